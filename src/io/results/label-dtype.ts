import type { LabelImage, Tensor } from '../../ndimage/array.js';
import { maxLabel } from '../../ndimage/label.js';

/** Labels in the smallest type that other programs read as labels: uint16 up to 65,535, else uint32. */
export function narrowLabels(labels: LabelImage): Tensor<Uint16Array> | LabelImage {
  return maxLabel(labels) > 0xffff ? labels : { data: Uint16Array.from(labels.data), shape: labels.shape };
}
