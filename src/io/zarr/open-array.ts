import * as zarr from 'zarrita';
import type { Store } from '../store.js';
import { zarritaStore } from './zarrita-store.js';

/** An array that any program may have written, as zarrita reads it. */
export function openArray(store: Store, path: string): Promise<zarr.Array<zarr.DataType, zarr.Readable>> {
  return zarr.open(zarr.root(zarritaStore(store)).resolve(path), { kind: 'array' });
}
