import type { EmbeddingSource } from '../../src/embeddings/embedding-source.js';
import type { InstanceMaps } from '../../src/model/sam-tensors.js';
import { resizedSize } from '../../src/model/transforms.js';
import { type LabelImage, type Size, type Tensor, tensor, type YXYX } from '../../src/ndimage/array.js';
import type { Tiling } from '../../src/ndimage/blocking.js';
import { distanceTransform } from '../../src/ndimage/distance.js';
import { masksFromLabels, maskToBitmap } from '../../src/ndimage/rle.js';
import { resizeBilinear } from './resize-bilinear.js';

/**
 * What an instance decoder that knows the labels would say: torch-em's PerObjectDistanceTransform (0.10.9), the target that
 * micro-sam trains its decoders with.
 *
 * @returns [3, H, W]: foreground, centre distance, boundary distance
 */
export function oracleMaps(labels: LabelImage): Tensor<Float32Array> {
  const [height, width] = labels.shape;
  const count = height * width;
  const data = new Float32Array(3 * count).fill(1, count);
  for (let p = 0; p < count; p++) data[p] = labels.data[p] === 0 ? 0 : 1;
  const inner = innerBoundaries(labels);
  for (const mask of masksFromLabels(labels).values()) {
    const [top, left, bottom, right] = mask.box;
    const size: Size = [bottom - top, right - left];
    const inside = maskToBitmap(mask, size, [top, left]);
    const free = Uint8Array.from(inside, (_, p) =>
      inner[(top + Math.floor(p / size[1])) * width + left + (p % size[1])] ? 0 : 1,
    );
    const depth = distanceTransform(tensor(free, size)).data.map((d, p) => (inside[p] && Number.isFinite(d) ? d : 0));
    const centre = centreOf(inside, depth, size);
    const centreDistance = depth.map((_, p) =>
      inside[p] ? Math.hypot(Math.floor(p / size[1]) - centre[0], (p % size[1]) - centre[1]) : 0,
    );
    const deepest = depth.reduce((a, b) => Math.max(a, b), 0);
    const boundaryDistance = depth.map((d, p) => (inside[p] ? deepest - d : 0));
    for (const [channel, values] of [
      [1, centreDistance],
      [2, boundaryDistance],
    ] as const) {
      const most = values.reduce((a, b) => Math.max(a, b), 0) + 1e-7;
      for (let p = 0; p < inside.length; p++)
        if (inside[p])
          data[channel * count + (top + Math.floor(p / size[1])) * width + left + (p % size[1])] = values[p] / most;
    }
  }
  return tensor(data, [3, height, width]);
}

/** scikit-image's find_boundaries of mode 'inner': pixels of objects that touch another id, diagonals not counted. */
function innerBoundaries({ data, shape: [height, width] }: LabelImage): Uint8Array {
  const inner = new Uint8Array(data.length);
  for (let y = 0, p = 0; y < height; y++)
    for (let x = 0; x < width; x++, p++) {
      if (data[p] === 0) continue;
      const other = (q: number, isInside: boolean) => isInside && data[q] !== data[p];
      if (
        other(p - 1, x > 0) ||
        other(p + 1, x < width - 1) ||
        other(p - width, y > 0) ||
        other(p + width, y < height - 1)
      )
        inner[p] = 1;
    }
  return inner;
}

function centreOf(inside: Uint8Array, depth: Float32Array, size: Size): [number, number] {
  let [y, x, n] = [0, 0, 0];
  for (let p = 0; p < inside.length; p++) {
    if (!inside[p]) continue;
    y += Math.floor(p / size[1]);
    x += p % size[1];
    n++;
  }
  const halfEven = (value: number) => {
    const floor = Math.floor(value);
    const rest = value - floor;
    return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  };
  const centre: [number, number] = [halfEven(y / n), halfEven(x / n)];
  if (inside[centre[0] * size[1] + centre[1]]) return centre;
  let best = 0;
  for (let p = 1; p < depth.length; p++) if (depth[p] > depth[best]) best = p;
  return [Math.floor(best / size[1]), best % size[1]];
}

/**
 * An image whose model has an instance decoder that knows the labels; each frame is seen as the encoder would, at up to
 * 1024 / cell map pixels along its longer side.
 */
export function oracleSource(
  labels: LabelImage | readonly LabelImage[],
  source: Pick<EmbeddingSource, 'embedding'>,
  { tiling, noise = 0, cell = 2 }: { tiling?: Tiling; noise?: number; cell?: number } = {},
): EmbeddingSource & { readonly asked: YXYX[] } {
  const planes = Array.isArray(labels) ? (labels as LabelImage[]) : [labels as LabelImage];
  const size: Size = [planes[0].shape[0], planes[0].shape[1]];
  const whole = planes.map(oracleMaps);
  const asked: YXYX[] = [];
  return {
    size,
    tiling,
    asked,
    embedding: source.embedding,
    async instanceMaps(at) {
      const tile = 'box' in at ? undefined : at.tile;
      const box: YXYX =
        'box' in at ? at.box : tiling && tile !== undefined ? tiling.tiles[tile].outer : [0, 0, ...size];
      asked.push(box);
      return seen(whole[at.plane], box, { noise: noise * (asked.length % 2), cell });
    },
  };
}

function seen(
  maps: Tensor<Float32Array>,
  [top, left, bottom, right]: YXYX,
  { noise, cell }: { noise: number; cell: number },
): InstanceMaps {
  const [, height, width] = maps.shape;
  const size: Size = [bottom - top, right - left];
  const inputSize = resizedSize(size);
  const grid: Size = [Math.ceil(inputSize[0] / cell), Math.ceil(inputSize[1] / cell)];
  const data = new Float32Array(3 * grid[0] * grid[1]);
  for (let channel = 0; channel < 3; channel++) {
    const part = new Float32Array(size[0] * size[1]);
    for (let y = 0; y < size[0]; y++) {
      const from = channel * height * width + (y + top) * width + left;
      part.set(maps.data.subarray(from, from + size[1]), y * size[1]);
    }
    data.set(resizeBilinear(tensor(part, size), grid).data, channel * grid[0] * grid[1]);
  }
  if (noise > 0) for (let p = 0; p < data.length; p++) data[p] += noise;
  return { maps: tensor(data, [3, ...grid]), cell, inputSize };
}
