import type { LabelImage, Size } from '../ndimage/array.js';
import { labelComponents, labelSizes, mapLabels } from '../ndimage/label.js';
import type { Mask } from '../ndimage/mask.js';
import { paintMask } from '../ndimage/rle.js';

/**
 * Overlapping masks → one label image with ids 1 … n: `mask_data_to_segmentation` of micro-sam 1.8. Larger masks
 * are painted first; parts that fall apart become objects of their own.
 */
export interface MasksToLabelsOptions {
  /** Larger masks keep their pixels (default); else smaller ones lie on top. */
  readonly exclusive?: boolean;
  readonly minSize?: number;
}

export function masksToLabels(
  masks: readonly Mask[],
  size: Size,
  { exclusive = true, minSize = 0 }: MasksToLabelsOptions = {},
): LabelImage {
  const painted: LabelImage = { data: new Uint32Array(size[0] * size[1]), shape: [...size] };
  const order = masks.map((_, i) => i).sort((a, b) => masks[b].area - masks[a].area || a - b);
  for (const i of order)
    if (masks[i].area >= minSize) paintMask(painted, masks[i], i + 1, { onlyBackground: exclusive });
  const { labels } = labelComponents(painted);
  const kept = [...labelSizes(labels)].filter(([, pixels]) => pixels >= minSize);
  return mapLabels(labels, new Map(kept.map(([id], k) => [id, k + 1])));
}
