import { SamError } from '../../errors.js';
import type { LabelImage } from '../../ndimage/array.js';
import { maxLabel } from '../../ndimage/label.js';
import type { TaskOptions } from '../../task.js';
import { stemOf } from '../folder/file-names.js';
import { safeName } from '../folder/result-names.js';
import type { PixelSize } from '../pixel-size.js';
import { memoryStore } from '../stores/memory.js';
import type { NamedBytes } from '../stores/zip.js';
import { encodeTiff } from '../tiff/writer.js';
import { writeOmeZarrLabels } from '../zarr/ome-zarr-writer.js';
import { type Row, tableRows, tableText } from './csv.js';
import { filesOf, type LabelExport } from './export.js';
import { RECORDING_FORMATS, type RecordingFormat } from './export-formats.js';
import { narrowLabels } from './label-dtype.js';

/**
 * The objects of all time points of a recording with time and depth in one file, [T, Z, H, W]. Every time point has numbers
 * of its own: the same number in two of them does not say that it is the same object.
 */
export interface RecordingExport {
  /** Of the image. */
  readonly name: string;
  readonly times: number;
  /** Of the volume of a time point: [Z, H, W]. */
  readonly shape: readonly [slices: number, height: number, width: number];
  readonly pixelSize?: PixelSize;
  /** What is there of a time point, from 0. */
  timePoint(t: number): Promise<Pick<LabelExport, 'labels' | 'objects' | 'image'>>;
}

/** One file, or for OME-Zarr those of one folder, called `<name>_all_labels…`. */
export async function exportRecording(
  format: RecordingFormat,
  recording: RecordingExport,
  task: TaskOptions = {},
): Promise<NamedBytes[]> {
  if (!RECORDING_FORMATS.includes(format))
    throw new SamError(
      'unsupported',
      `"${format}" holds one time point; for all of them choose ${RECORDING_FORMATS.join(', ')}.`,
    );
  const stem = safeName(`${stemOf(recording.name)}_all`);
  if (format === 'csv')
    return [{ name: `${stem}_objects.csv`, bytes: new TextEncoder().encode(await table(recording, task)) }];
  const labels = await allLabels(recording, task);
  const { times, pixelSize } = recording;
  if (format === 'tiff' || format === 'ome-tiff') {
    const narrow = narrowLabels(labels);
    const bytes = await encodeTiff(
      { ...narrow, shape: [times, ...recording.shape] },
      {
        ...task,
        axes: 'tzyx',
        description: format === 'tiff' ? 'imagej' : 'ome',
        pixelSize,
        name: 'labels',
        range: [0, Math.max(1, maxLabel(labels))],
      },
    );
    return [{ name: `${stem}_labels.${format === 'tiff' ? '' : 'ome.'}tif`, bytes }];
  }
  const store = memoryStore();
  const version = format === 'ome-zarr' ? '0.5' : '0.4';
  await writeOmeZarrLabels(store, '', labels, { ...task, version, pixelSize, times });
  return filesOf(store, `${stem}_labels${version === '0.5' ? '' : '_v04'}.ome.zarr`);
}

/** [T * Z, H, W] */
async function allLabels({ times, shape, timePoint }: RecordingExport, task: TaskOptions): Promise<LabelImage> {
  const [slices, height, width] = shape;
  const data = new Uint32Array(times * slices * height * width);
  for (let t = 0; t < times; t++) {
    task.signal?.throwIfAborted();
    data.set((await timePoint(t)).labels.data, t * slices * height * width);
    task.onProgress?.({ done: t + 1, total: times, message: `Time point ${t + 1} of ${times}` });
  }
  return { data, shape: [times * slices, height, width] };
}

async function table({ times, pixelSize, timePoint }: RecordingExport, task: TaskOptions): Promise<string> {
  const rows: Row[] = [];
  for (let t = 0; t < times; t++) {
    task.signal?.throwIfAborted();
    const { labels, objects, image } = await timePoint(t);
    rows.push(...(await tableRows(labels, { pixelSize, objects, image, stack: 'z', position: { t } })));
    task.onProgress?.({ done: t + 1, total: times, message: `Time point ${t + 1} of ${times}` });
  }
  return tableText(rows);
}
