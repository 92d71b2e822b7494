import { SamError } from '../../errors.js';
import type { LabelImage } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { type ImageSource, planeCount, readPlane } from '../image.js';

/**
 * Reads a label image whole: object numbers, [H, W], or [planes, H, W] of a stack. Any number type that holds them.
 *
 * @throws SamError `invalid_image` if it has channels or holds anything but whole numbers from 0 to 4294967295
 */
export async function readLabelImage(source: ImageSource, task: TaskOptions = {}): Promise<LabelImage> {
  const { c, y, x } = source.sizes;
  if (c > 1)
    throw new SamError(
      'invalid_image',
      `${source.name} has ${c} channels, so it is a picture; a label image has one, in which each pixel holds the number of its object.`,
    );
  const planes = planeCount(source);
  const data = new Uint32Array(planes * y * x);
  for (let plane = 0; plane < planes; plane++) {
    const pixels = (await readPlane(source, plane, {}, task)).data;
    const wrong = pixels.findIndex((value: number) => !(Number.isInteger(value) && value >= 0 && value <= 0xffffffff));
    if (wrong >= 0)
      throw new SamError(
        'invalid_image',
        `${source.name} is no label image: labels are whole numbers from 0 to 4294967295, there is ${pixels[wrong]}.`,
      );
    data.set(pixels, plane * y * x);
    task.onProgress?.({ done: plane + 1, total: planes, message: `Read plane ${plane + 1} of ${planes}` });
  }
  return { data, shape: planes === 1 ? [y, x] : [planes, y, x] };
}
