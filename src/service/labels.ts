import { SamError } from '../errors.js';
import type { LabelImage, Tensor } from '../ndimage/array.js';
import { checkLabelShape } from '../session/layers.js';
import type { ImageInfo } from '../session/state.js';

/**
 * Label images that come over RPC.
 *
 * @throws SamError invalid_argument unless they have the image's shape and are whole numbers of 32 bits
 */
export function checkLabels({ data, shape }: Tensor, image: ImageInfo): LabelImage {
  checkLabelShape(shape, image);
  for (const value of data)
    if (!(Number.isInteger(value) && value >= 0 && value <= 0xffffffff))
      throw new SamError('invalid_argument', `Labels are whole numbers from 0 to 4294967295; there is ${value}.`);
  return { data: Uint32Array.from(data), shape };
}
