import { SamError } from '../../src/errors.js';
import type { ImageSource } from '../../src/io/image.js';
import { files } from '../../src/io/parts.js';
import type { ExportFormat, RecordingFormat } from '../../src/io/results/export-formats.js';
import type { RecordingExport } from '../../src/io/results/export-recording.js';
import type { NamedBytes } from '../../src/io/stores/zip.js';
import { labelExport } from '../../src/session/label-export.js';
import type { SessionState } from '../../src/session/state.js';
import type { TaskOptions } from '../../src/task.js';
import { download } from '../download.js';

/** The committed objects as files of one format, handed to the browser to save. */
export async function saveObjects(
  format: ExportFormat,
  state: SessionState,
  source: ImageSource,
  task: TaskOptions = {},
): Promise<void> {
  const { image } = state;
  if (!image) return;
  checkSize([image.planes, ...image.size]);
  const { exportLabels } = await files();
  await downloadAll(await exportLabels(format, labelExport(state, source), task));
}

/** The objects of all time points of a recording as one file. */
export async function saveRecording(
  format: RecordingFormat,
  recording: RecordingExport,
  task: TaskOptions = {},
): Promise<void> {
  checkSize([recording.times, ...recording.shape]);
  const { exportRecording } = await files();
  await downloadAll(await exportRecording(format, recording, task));
}

function checkSize(shape: readonly number[]): void {
  if (shape.reduce((product, length) => product * length, 1) <= MOST_PIXELS) return;
  throw new SamError(
    'unsupported',
    `A label image of ${shape.join(' x ')} pixels does not fit into the memory of a browser. Your work is saved automatically; annotate a part of the image to export it.`,
  );
}

async function downloadAll(written: readonly NamedBytes[]): Promise<void> {
  // A folder of files, e.g. one per frame, is saved as one archive.
  const folder = written[0]?.name.split('/')[0];
  if (written.length > 1 && written.every(({ name }) => name.startsWith(`${folder}/`)))
    download(`${folder}.zip`, await (await files()).zipFiles(written));
  else for (const { name, bytes } of written) download(name, bytes);
}

/** 2 GB of labels. */
const MOST_PIXELS = 2 ** 29;
