import { encode } from 'fast-png';
import type { LabelImage, Tensor } from '../ndimage/array.js';

/**
 * An image with outlines over it, as PNG: what a report shows. Reference outlines are green, predicted ones magenta,
 * where both agree white; the two hues stay apart for colour-blind eyes.
 */
export interface Picture {
  /** [H, W, 3] uint8. */
  readonly image: Tensor<Uint8Array>;
  /** [H, W]; any of the two may be missing. */
  readonly reference?: LabelImage;
  readonly prediction?: LabelImage;
}

const REFERENCE = [0, 220, 90] as const;
const PREDICTION = [255, 60, 220] as const;
const BOTH = [255, 255, 255] as const;

/** @param maxSide the picture is shrunk by a whole factor until no side is longer */
export function renderPicture({ image, reference, prediction }: Picture, maxSide = 640): Uint8Array {
  const [height = 0, width = 0] = image.shape;
  const step = Math.max(1, Math.ceil(Math.max(height, width) / maxSide));
  const [h, w] = [Math.ceil(height / step), Math.ceil(width / step)];
  const data = new Uint8Array(h * w * 3);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const source = 3 * (y * step * width + x * step);
      const inReference = reference !== undefined && edgeIn(reference, y * step, x * step, step);
      const inPrediction = prediction !== undefined && edgeIn(prediction, y * step, x * step, step);
      const color =
        inReference && inPrediction ? BOTH : inReference ? REFERENCE : inPrediction ? PREDICTION : undefined;
      data.set(color ?? image.data.subarray(source, source + 3), 3 * (y * w + x));
    }
  }
  return encode({ width: w, height: h, data, depth: 8, channels: 3 });
}

/** True if an object's edge runs through the block: a labelled pixel whose right or lower neighbour differs, or vice versa. */
function edgeIn({ data, shape }: LabelImage, top: number, left: number, step: number): boolean {
  const [height = 0, width = 0] = shape;
  const bottom = Math.min(top + step, height);
  const right = Math.min(left + step, width);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const id = data[y * width + x];
      if (x + 1 < width && data[y * width + x + 1] !== id) return true;
      if (y + 1 < height && data[(y + 1) * width + x] !== id) return true;
    }
  }
  return false;
}
