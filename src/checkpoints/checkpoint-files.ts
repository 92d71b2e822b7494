import type { ByteSource } from '../io/bytes.js';
import type { Store } from '../io/store.js';
import type { TaskOptions } from '../task.js';
import { type Download, download } from './download.js';

/** Where a file of a checkpoint is: at an address, with its hash where that is known, or wherever the caller opens it. */
export type CheckpointPlace =
  | { readonly url: string; readonly xxh128?: string }
  | { readonly open: () => ByteSource | Promise<ByteSource> };

/**
 * Opens the files that make one model, one after the other, and lets go of them when `use` has ended. What was fetched
 * is kept in the store after a cancel alone, as it may be asked for again.
 */
export async function withCheckpointFiles<T>(
  places: readonly CheckpointPlace[],
  store: Store,
  { signal, onProgress }: TaskOptions,
  use: (files: readonly ByteSource[]) => Promise<T>,
): Promise<T> {
  const files: (ByteSource | Download)[] = [];
  try {
    for (const place of places)
      files.push(
        'open' in place
          ? await place.open()
          : await download(store, place.url, { xxh128: place.xxh128, signal, onProgress }),
      );
    return await use(files);
  } finally {
    for (const file of files)
      if (!('discard' in file)) await file.close?.();
      else if (!signal?.aborted) await file.discard();
  }
}
