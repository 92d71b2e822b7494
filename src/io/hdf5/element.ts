import type { Fields } from './fields.js';

/** What every chunk index of HDF5 holds per chunk, whichever kind it is. */
export interface StoredChunk {
  readonly address: number;
  readonly bytes: number;
  /** Which filters were left out, see filters.ts. */
  readonly mask: number;
}

export interface ChunkGrid {
  readonly shape: readonly number[];
  readonly maxShape: readonly number[];
  readonly chunks: readonly number[];
  /** Bytes of a chunk before it is packed. */
  readonly chunkBytes: number;
  readonly filtered: boolean;
}

/** An element of an index: an address, and if chunks are packed also their size and which filters were left out. */
export function parseElement(
  fields: Fields,
  size: number,
  addressSize: number,
  grid: Pick<ChunkGrid, 'filtered' | 'chunkBytes'>,
): StoredChunk | undefined {
  const address = fields.address();
  const bytes = grid.filtered ? fields.uint(size - addressSize - 4) : grid.chunkBytes;
  const mask = grid.filtered ? fields.uint(4) : 0;
  return address === undefined ? undefined : { address, bytes, mask };
}
