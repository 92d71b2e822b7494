import { type ExportFormat, exportLabels } from '../../src/io/export.js';
import type { ImageSource } from '../../src/io/image.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { paintPlane } from '../../src/session/layers.js';
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
  const objects = [...state.layers.committed_objects.objects.values()].map((object) => ({
    id: object.id,
    ...(object.predictedIou !== undefined && { predictedIou: object.predictedIou }),
  }));
  const stack = image.axes.includes('z') ? 'z' : 't';
  const files = await exportLabels(
    format,
    { labels: committedLabels(state), name: image.name, stack, objects, pixelSize: source.pixelSize },
    task,
  );
  for (const { name, bytes } of files) download(name, bytes);
}

/** [H, W], or [planes, H, W] of a stack. */
export function committedLabels({ image, layers }: SessionState): LabelImage {
  if (!image) return { data: new Uint32Array(0), shape: [0, 0] };
  if (image.planes === 1) return paintPlane(layers.committed_objects, 0, image.size);
  const [height, width] = image.size;
  const data = new Uint32Array(image.planes * height * width);
  for (let plane = 0; plane < image.planes; plane++)
    data.set(paintPlane(layers.committed_objects, plane, image.size).data, plane * height * width);
  return { data, shape: [image.planes, height, width] };
}

function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
