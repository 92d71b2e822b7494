import { type ExportFormat, exportLabels } from '../../src/io/export.js';
import type { ImageSource } from '../../src/io/image.js';
import { paintLayer } from '../../src/session/layers.js';
import type { SessionState } from '../../src/session/state.js';
import type { TaskOptions } from '../../src/task.js';

/** The committed objects as files of one format, handed to the browser to save. */
export async function saveObjects(
  format: ExportFormat,
  state: SessionState,
  source: ImageSource,
  task: TaskOptions = {},
): Promise<void> {
  const { image } = state;
  if (!image) return;
  const objects = [...state.layers.committed_objects.objects.values()];
  const stack = image.axes.includes('z') ? 'z' : 't';
  const files = await exportLabels(
    format,
    {
      labels: paintLayer(state.layers.committed_objects, image),
      name: image.name,
      stack,
      objects,
      pixelSize: source.pixelSize,
    },
    task,
  );
  for (const { name, bytes } of files) download(name, bytes);
}

function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
