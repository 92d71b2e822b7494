import type { AbsolutePath, AsyncMutable, AsyncReadable, RangeQuery } from 'zarrita';
import type { Store } from '../store.js';

/** A Store as zarrita wants it: absolute keys, and ranges as `{offset, length}` or `{suffixLength}`. */
export function zarritaStore(store: Store): Required<AsyncReadable> & AsyncMutable {
  const { getRange } = store;
  return {
    get: (key: AbsolutePath, options?: { signal?: AbortSignal }) => store.get(key.slice(1), options),
    async getRange(key: AbsolutePath, range: RangeQuery, options?: { signal?: AbortSignal }) {
      const [offset, length] =
        'suffixLength' in range ? [-range.suffixLength, range.suffixLength] : [range.offset, range.length];
      if (getRange) return getRange.call(store, key.slice(1), offset, length, options);
      const value = await store.get(key.slice(1), options);
      return offset < 0 ? value?.subarray(offset) : value?.subarray(offset, offset + length);
    },
    set: (key: AbsolutePath, value: Uint8Array) => store.set(key.slice(1), value),
  };
}
