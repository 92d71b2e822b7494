import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compress } from '../../src/io/compression/compress.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { chunkKey, writeArrayMetadata, writeGroup, type ZarrArray } from '../../src/io/zarr/writer.js';
import type { Size, YX } from '../../src/ndimage/array.js';

/**
 * Huge OME-Zarr images (0.5) that are made in a moment: one pattern of cells that repeats from chunk to chunk where
 * there is tissue, and no chunks where there is none. Every level shows the same image, so what is on screen can be
 * checked at any zoom.
 */
const CHUNK = 512;
/** Background inside tissue; where there is none, 0. */
export const TISSUE = 300;
export const CELL = 4000;
const PITCH = 128;
const RADIUS = 44;

export interface PyramidOptions {
  readonly size: Size;
  readonly levels: number;
  /** Whether the full-resolution chunk has pixels; default an ellipse in the middle. */
  readonly tissue?: (row: number, column: number) => boolean;
}

/** An ellipse in the middle, a third of the image across. */
export function inTheMiddle([height, width]: Size): (row: number, column: number) => boolean {
  return (row, column) => {
    const y = ((row + 0.5) * CHUNK) / height - 0.5;
    const x = ((column + 0.5) * CHUNK) / width - 0.5;
    return y * y + x * x < (1 / 6) ** 2;
  };
}

/** The value at a full-resolution pixel inside tissue. */
export function tissuePixel(y: number, x: number): number {
  const dy = (y % PITCH) - PITCH / 2;
  const dx = (x % PITCH) - PITCH / 2;
  return dy * dy + dx * dx < RADIUS * RADIUS ? CELL : TISSUE;
}

/** The centre of the cell nearest to a pixel. */
export function cellNear([y, x]: YX): YX {
  const centre = (at: number) => Math.floor(at / PITCH) * PITCH + PITCH / 2;
  return [centre(y), centre(x)];
}

export async function pyramidStore({ size, levels, tissue = inTheMiddle(size) }: PyramidOptions): Promise<Store> {
  const store = memoryStore('pyramid');
  const axes = ['y', 'x'].map((name) => ({ name, type: 'space', unit: 'micrometer' }));
  const datasets = Array.from({ length: levels }, (_, level) => ({
    path: `${level}`,
    coordinateTransformations: [{ type: 'scale', scale: [0.25 * 2 ** level, 0.25 * 2 ** level] }],
  }));
  const multiscales = [{ name: 'tissue', axes, datasets }];
  await writeGroup(store, '', 3, { ome: { version: '0.5', multiscales } });
  const chunks = new Map<string, Promise<Uint8Array>>();
  for (let level = 0; level < levels; level++) {
    const factor = 2 ** level;
    const shape = size.map((length) => Math.ceil(length / factor));
    const array: ZarrArray = { version: 3, shape, chunks: [CHUNK, CHUNK], dtype: 'uint16', compression: 'gzip' };
    await writeArrayMetadata(store, `${level}`, array);
    for (let row = 0; row * CHUNK < shape[0]; row++)
      for (let column = 0; column * CHUNK < shape[1]; column++) {
        const there = Array.from({ length: factor * factor }, (_, i) =>
          tissue(row * factor + Math.floor(i / factor), column * factor + (i % factor)),
        );
        if (!there.includes(true)) continue;
        const key = `${level} ${there.map(Number).join('')}`;
        const packed = chunks.get(key) ?? packedChunk(factor, there);
        chunks.set(key, packed);
        await store.set(chunkKey(`${level}`, array, [row, column]), await packed);
      }
  }
  return store;
}

/** One chunk of the level that is `factor` times smaller; `there` says which of the chunks below it have tissue. */
function packedChunk(factor: number, there: readonly boolean[]): Promise<Uint8Array> {
  const values = new Uint16Array(CHUNK * CHUNK);
  const part = CHUNK / factor;
  for (let y = 0; y < CHUNK; y++)
    for (let x = 0; x < CHUNK; x++)
      if (there[Math.floor(y / part) * factor + Math.floor(x / part)])
        values[y * CHUNK + x] = tissuePixel(y * factor, x * factor);
  return compress(new Uint8Array(values.buffer), 'gzip');
}

/** Writes a store into a folder, without the care that real work needs. */
export async function writeFolder(store: Store, folder: string): Promise<void> {
  const made = new Set<string>();
  for (const key of await listKeys(store)) {
    const file = path.join(folder, key);
    const parent = path.dirname(file);
    if (!made.has(parent)) await mkdir(parent, { recursive: true });
    made.add(parent);
    await writeFile(file, (await store.get(key)) as Uint8Array);
  }
}
