import { present } from '../../items.js';
import type { Tensor, YXYX } from '../../ndimage/array.js';
import { halfValues } from '../../ndimage/half.js';
import type { PixelMaps } from './post-process.js';
import type { InstanceState, InstanceTile } from './state.js';

/**
 * Maps of tiles → maps in the pixels of a box of the image: each enlarged bilinearly with half-pixel centres, as
 * torch.nn.functional.interpolate does with align_corners = false, and blended where tiles overlap. A tile counts for less
 * toward its edges, where it sees less of an object than its neighbour, so that there is no seam. What no tile covers is
 * background.
 */
export interface BoxMaps extends PixelMaps {
  /** [H, W] each: vector away from where the pixels of an object meet; only of decoders that have it. */
  readonly vector?: { readonly y: Tensor<Float32Array>; readonly x: Tensor<Float32Array> };
}

export function pixelMaps(state: Pick<InstanceState, 'size' | 'tiles'>, box: YXYX): BoxMaps {
  const shape = [box[2] - box[0], box[3] - box[1]];
  const count = shape[0] * shape[1];
  const tiles = state.tiles.filter(({ frame }) => common(frame, box) !== undefined);
  const channels = Math.max(3, ...tiles.map(({ maps }) => maps.shape[0]));
  const sums = Array.from({ length: channels }, () => new Float32Array(count));
  const weights = new Float32Array(count);
  for (const tile of tiles) addTile(tile, state, box, sums, weights);
  for (let p = 0; p < count; p++) {
    const weight = weights[p];
    if (weight === 0) {
      sums[1][p] = 1;
      sums[2][p] = 1;
    } else if (weight !== 1) for (const sum of sums) sum[p] /= weight;
  }
  const [foreground, centre, boundary, y, x] = sums.map((data) => ({ data, shape }));
  return { foreground, centre, boundary, ...(y && { vector: { y, x } }) };
}

function addTile(
  { frame, inputSize, cell, maps }: InstanceTile,
  { size }: Pick<InstanceState, 'size'>,
  box: YXYX,
  sums: readonly Float32Array[],
  weights: Float32Array,
): void {
  const [top, left, bottom, right] = present(common(frame, box), 'a part in common');
  const [channels, height, width] = maps.shape;
  const rows = taps(top - frame[0], bottom - frame[0], inputSize[0] / ((frame[2] - frame[0]) * cell), height);
  const columns = taps(left - frame[1], right - frame[1], inputSize[1] / ((frame[3] - frame[1]) * cell), width);
  const nearX = depths(frame[1], frame[3], size[1], left, right);
  const nearY = depths(frame[0], frame[2], size[0], top, bottom);
  const values = halfValues();
  const { data } = maps;
  const stride = box[3] - box[1];
  const line = new Float32Array(width);
  for (let y = top; y < bottom; y++) {
    const k = y - top;
    const to = (y - box[0]) * stride + left - box[1];
    const depth = nearY[k];
    for (let i = 0; i < right - left; i++) weights[to + i] += Math.min(1, depth, nearX[i]);
    for (let c = 0; c < channels; c++) {
      const upper = (c * height + rows.first[k]) * width;
      const lower = (c * height + rows.second[k]) * width;
      const share = rows.share[k];
      for (let x = 0; x < width; x++) line[x] = values[data[upper + x]] * (1 - share) + values[data[lower + x]] * share;
      const sum = sums[c];
      for (let i = 0; i < right - left; i++) {
        const part = columns.share[i];
        const value = line[columns.first[i]] * (1 - part) + line[columns.second[i]] * part;
        sum[to + i] += value * Math.min(1, depth, nearX[i]);
      }
    }
  }
}

/** Between which two map pixels each image pixel lies, and how near to the second. */
function taps(first: number, end: number, scale: number, length: number) {
  const count = end - first;
  const taps = { first: new Int32Array(count), second: new Int32Array(count), share: new Float32Array(count) };
  for (let i = 0; i < count; i++) {
    const at = Math.min(Math.max((first + i + 0.5) * scale - 0.5, 0), length - 1);
    const below = Math.floor(at);
    taps.first[i] = below;
    taps.second[i] = Math.min(below + 1, length - 1);
    taps.share[i] = at - below;
  }
  return taps;
}

/** How deep pixels lie in their tile, 0..1 over its outer eighth; an edge of the image is no edge of a tile. */
function depths(first: number, end: number, size: number, from: number, to: number): Float32Array {
  const ramp = Math.max(1, (end - first) / 8);
  return Float32Array.from({ length: to - from }, (_, i) => {
    const before = first === 0 ? Infinity : from + i + 0.5 - first;
    const after = end === size ? Infinity : end - from - i - 0.5;
    return Math.min(1, before / ramp, after / ramp);
  });
}

function common(a: YXYX, b: YXYX): YXYX | undefined {
  const box: YXYX = [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  return box[0] < box[2] && box[1] < box[3] ? box : undefined;
}
