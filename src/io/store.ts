/**
 * Bytes by key: the seam under zarr, autosave and caches. Keys are '/'-separated relative paths without a leading slash.
 * `set` is atomic: after a crash a key holds its old or its new value, never a part. Every implementation passes
 * tests/contracts/store.ts.
 */
export interface Store {
  readonly name: string;
  get(key: string, options?: ReadOptions): Promise<Uint8Array | undefined>;
  /** `length` bytes from `offset`; a negative offset counts from the end. Implementations may read the whole value. */
  getRange?(key: string, offset: number, length: number, options?: ReadOptions): Promise<Uint8Array | undefined>;
  set(key: string, value: Uint8Array): Promise<void>;
  /**
   * Sets a key that is not there yet; false if it is, whoever made it: of many writers, one is told true. A key with an
   * empty value may be taken for one that is not there, since browsers make a file before they write it. After an error
   * the key may hold the value or not.
   */
  create(key: string, value: Uint8Array): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** All keys that start with `prefix`, in no particular order. */
  list(prefix?: string): AsyncIterable<string>;
}

export interface ReadOptions {
  /** Honoured where a read can take long (http). */
  readonly signal?: AbortSignal;
}
