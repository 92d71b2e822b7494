import { toImage } from '../../src/model/intensity.js';
import { resolveModel } from '../../src/model/registry.js';
import type { Embedding } from '../../src/model/sam-tensors.js';
import type { Size, Tensor } from '../../src/ndimage/array.js';
import type { StackContext } from '../../src/session/annotators/annotator-stack.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

export interface CountingContext extends StackContext {
  /** Planes that decoding was asked for since it was last emptied, in order. */
  readonly decoded: number[];
}

/** A stack [Z, H, W] whose planes are encoded once, on first use. */
export function stackContext(worker: SamWorker, pixels: Tensor, model = 'vit_t'): CountingContext {
  const [, height, width] = pixels.shape;
  const size: Size = [height, width];
  const encoded = new Map<number, Promise<Embedding>>();
  const decoded: number[] = [];
  return {
    worker,
    model,
    following: resolveModel(model).following,
    decoded,
    embeddings: {
      size,
      pixels: async ({ plane, box: [top, left, bottom, right] }) => {
        const shape = [bottom - top, right - left];
        const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
          const x = i % shape[1];
          return pixels.data[(plane * height + top + (i - x) / shape[1]) * width + left + x];
        });
        return { data, shape };
      },
      embedding({ plane }) {
        decoded.push(plane);
        const area = height * width;
        const known =
          encoded.get(plane) ??
          worker.encode(
            model,
            toImage({ data: pixels.data.slice(plane * area, (plane + 1) * area), shape: [height, width] } as Tensor),
          );
        encoded.set(plane, known);
        return known;
      },
    },
  };
}
