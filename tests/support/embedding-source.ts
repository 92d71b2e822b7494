import { toImage } from '../../src/model/intensity.js';
import type { Embedding } from '../../src/model/sam-tensors.js';
import type { Tensor } from '../../src/ndimage/array.js';
import type { Tiling } from '../../src/ndimage/blocking.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/** What a worker made of an image is kept for the tests that come after; by model and tile. */
const kept = new WeakMap<SamWorker, WeakMap<Tensor, Map<string, Promise<Embedding>>>>();

function keptOf(worker: SamWorker, pixels: Tensor): Map<string, Promise<Embedding>> {
  const images = kept.get(worker) ?? new WeakMap<Tensor, Map<string, Promise<Embedding>>>();
  kept.set(worker, images);
  const tiles = images.get(pixels) ?? new Map<string, Promise<Embedding>>();
  images.set(pixels, tiles);
  return tiles;
}

/** One 2D image, whole or in tiles; each tile is encoded on first use, in the intensity range of the whole image. */
export function contextOf(worker: SamWorker, pixels: Tensor, tiling?: Tiling, model = 'vit_t'): SegmentContext {
  const image = toImage(pixels);
  const [height, width] = image.shape;
  const encoded = keptOf(worker, pixels);
  const encode = ([y0, x0, y1, x1]: readonly number[]) => {
    const data = new Uint8Array((y1 - y0) * (x1 - x0) * 3);
    for (let y = y0; y < y1; y++)
      data.set(image.data.subarray((y * width + x0) * 3, (y * width + x1) * 3), (y - y0) * (x1 - x0) * 3);
    return worker.encode(model, { data, shape: [y1 - y0, x1 - x0, 3] });
  };
  return {
    worker,
    model,
    plane: 0,
    embeddings: {
      size: [height, width],
      tiling,
      embedding({ tile }) {
        const box = tiling && tile !== undefined ? tiling.tiles[tile].outer : [0, 0, height, width];
        const known = encoded.get(`${model} ${box}`) ?? encode(box);
        encoded.set(`${model} ${box}`, known);
        return known;
      },
    },
  };
}
