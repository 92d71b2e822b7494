import type { Tensor } from './array.js';
import { labelComponents, threeAxes } from './label.js';

/** Binary morphology on nonzero pixels in 2D and 3D; results are 0 / 1. */

export type Bitmap = Tensor<Uint8Array>;

/** 'faces': cross of 3 pixels per axis; 'all': 3 x 3 (x 3) square; 'z': 3 x 1 x 1, along z only. */
export type Structure = 'faces' | 'all' | 'z';

export interface MorphologyOptions {
  readonly structure?: Structure;
  readonly iterations?: number;
}

export function dilate(image: Tensor, { structure = 'faces', iterations = 1 }: MorphologyOptions = {}): Bitmap {
  return repeat(image, structure, iterations, 1);
}

/** What lies beyond the image counts as background, as in scipy.ndimage. */
export function erode(image: Tensor, { structure = 'faces', iterations = 1 }: MorphologyOptions = {}): Bitmap {
  return repeat(image, structure, iterations, 0);
}

/**
 * Fills background that is enclosed: not connected through faces to the border of the image.
 *
 * @param maxSize only holes of at most so many pixels
 */
export function fillHoles(image: Tensor, maxSize = Infinity): Bitmap {
  const [depth, height, width] = threeAxes(image.shape);
  const volume = image.shape.length === 3;
  const filled = binary(image);
  const inverse = filled.map((value) => 1 - value);
  const { labels, count } = labelComponents({ data: inverse, shape: image.shape });
  const sizes = new Float64Array(count + 1);
  for (let z = 0, p = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, p++) {
        const onBorder =
          y === 0 || x === 0 || y === height - 1 || x === width - 1 || (volume && (z === 0 || z === depth - 1));
        sizes[labels.data[p]] += onBorder ? Infinity : 1;
      }
    }
  }
  for (let i = 0; i < filled.length; i++) {
    const size = sizes[labels.data[i]];
    if (labels.data[i] !== 0 && size < Infinity && size <= maxSize) filled[i] = 1;
  }
  return { data: filled, shape: image.shape };
}

function binary(image: Tensor): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(image.data.length);
  for (let p = 0; p < data.length; p++) if (image.data[p] !== 0) data[p] = 1;
  return data;
}

/** Each round, pixels with a neighbour of the given value take that value. */
function repeat(image: Tensor, structure: Structure, iterations: number, value: 0 | 1): Bitmap {
  const [depth, height, width] = threeAxes(image.shape);
  const plane = height * width;
  const volume = image.shape.length === 3;
  let data = binary(image);
  for (let i = 0; i < iterations; i++) {
    // A square is a line along each axis in turn; a cross looks at all axes at once.
    if (structure === 'all') {
      data = spread(data, data, 1, width, value);
      data = spread(data, data, width, height, value);
      if (volume) data = spread(data, data, plane, depth, value);
    } else if (structure === 'z') {
      data = spread(data, data, plane, depth, value);
    } else {
      const before = data;
      data = spread(before, before, 1, width, value);
      data = spread(before, data, width, height, value);
      if (volume) data = spread(before, data, plane, depth, value);
    }
  }
  return { data, shape: image.shape };
}

/** A copy of `base` that takes `value` where a neighbour of `source` along one axis (or the outside, for 0) has it. */
function spread(
  source: Uint8Array,
  base: Uint8Array,
  stride: number,
  length: number,
  value: number,
): Uint8Array<ArrayBuffer> {
  const out = Uint8Array.from(base);
  const block = stride * length;
  for (let start = 0; start < source.length; start += block) {
    const last = start + block - stride;
    for (let p = start; p < start + block; p++) {
      const before = p - stride >= start ? source[p - stride] : 0;
      const after = p < last ? source[p + stride] : 0;
      if (before === value || after === value) out[p] = value;
    }
  }
  return out;
}
