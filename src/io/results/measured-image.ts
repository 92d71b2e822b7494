import type { Tensor } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { type ImageSource, readPlane } from '../image.js';
import type { MeasuredImage } from './csv.js';
import type { LabelExport } from './export.js';

/** What the labels of an image are exported with: all that its file tells. */
export function factsForExport(
  source: ImageSource,
  task: TaskOptions = {},
): Pick<LabelExport, 'stack' | 'pixelSize' | 'image'> {
  const stack = source.axes.startsWith('t') ? 't' : 'z';
  return { stack, pixelSize: source.pixelSize, image: measuredImage(source, task) };
}

/** The image under the labels, all channels but transparency, read plane by plane, in the unit its file says. */
export function measuredImage(source: ImageSource, task: TaskOptions = {}): MeasuredImage {
  const shown = [...source.channels.entries()].filter(([, { name }]) => name !== 'Alpha');
  const channels = shown.map(([index]) => index);
  return {
    channels: shown.map(([, { name }]) => name),
    plane: async (index) => scaled(await readPlane(source, index, { channels }, task), source.valueScale),
  };
}

function scaled({ data, shape }: Tensor, scale: ImageSource['valueScale']): Tensor {
  if (scale === undefined) return { data, shape };
  return { data: Float64Array.from(data, (value) => value * scale.slope + scale.intercept), shape };
}
