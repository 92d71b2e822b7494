import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import type { Tensor } from '../../src/ndimage/array.js';

/** Whole stacks [Z, H, W] from files, first channel, and parts of them. */

/** The middle slices. */
export function middle({ data, shape: [depth, height, width] }: Tensor, slices: number): Tensor {
  const count = Math.min(slices, depth);
  const first = Math.floor((depth - count) / 2);
  const area = height * width;
  return { data: data.slice(first * area, (first + count) * area), shape: [count, height, width] } as Tensor;
}

/** Of a stack, every n-th slice. */
export function everyNth({ data, shape: [depth, height, width] }: Tensor, n: number): Tensor {
  const area = height * width;
  const planes = Array.from({ length: Math.ceil(depth / n) }, (_, i) => ({
    data: data.slice(i * n * area, (i * n + 1) * area),
    shape: [height, width],
  }));
  return stacked(planes as Tensor[]);
}

export async function readStack(file: string): Promise<Tensor> {
  const source = await openImage(new Uint8Array(readFileSync(file)), { name: path.basename(file) });
  const planes: Tensor[] = [];
  for (let plane = 0; plane < Math.max(source.sizes.z, source.sizes.t); plane++)
    planes.push(await readPlane(source, plane, { channels: [0] }));
  return stacked(planes);
}

/** The files of a folder, in the order of their names. */
export async function readFrames(folder: string, pattern: RegExp): Promise<Tensor> {
  const names = readdirSync(folder)
    .filter((name) => pattern.test(name))
    .sort();
  return stacked(
    await Promise.all(
      names.map(async (name) => {
        const { data, shape } = await readStack(path.join(folder, name));
        return { data, shape: shape.slice(-2) } as Tensor;
      }),
    ),
  );
}

function stacked(planes: readonly Tensor[]): Tensor {
  const [height, width] = planes[0].shape;
  const data = Float32Array.from({ length: planes.length * height * width });
  planes.forEach((plane, i) => {
    data.set(plane.data, i * height * width);
  });
  return { data, shape: [planes.length, height, width] };
}
