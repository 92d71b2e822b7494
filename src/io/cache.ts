import { codeOf } from '../errors.js';

/** What an entry costs beside its value, so that very many tiny ones do not fill the memory. */
const ENTRY_BYTES = 256;

/**
 * A cache with a limit in bytes: what was used longest ago goes first. Loads in progress are shared, so two readers of
 * one chunk decode it once; a load that fails or is cancelled is forgotten.
 */
export class LruCache<Key, Value> {
  readonly limit: number;
  private used = 0;
  private readonly entries = new Map<Key, { readonly value: Value; readonly bytes: number }>();
  private readonly loading = new Map<Key, Promise<Value>>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get bytes(): number {
    return this.used;
  }

  get(key: Key): Value | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key: Key, value: Value, size: number): void {
    this.delete(key);
    const bytes = size + ENTRY_BYTES;
    if (bytes > this.limit) return;
    this.entries.set(key, { value, bytes });
    this.used += bytes;
    for (const oldest of this.entries.keys()) {
      if (this.used <= this.limit) break;
      this.delete(oldest);
    }
  }

  delete(key: Key): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.used -= entry.bytes;
  }

  clear(): void {
    this.entries.clear();
    this.used = 0;
  }

  /**
   * The cached value, else what `load` gives. If the load another caller started was cancelled by that caller, it is
   * started again: one viewer's cancel is not another's failure.
   */
  async load(key: Key, load: () => Promise<{ value: Value; bytes: number }>): Promise<Value> {
    const cached = this.get(key);
    if (cached !== undefined) return cached;
    const pending = this.loading.get(key);
    if (pending !== undefined) {
      try {
        return await pending;
      } catch (error) {
        if (!isAbort(error)) throw error;
        return this.load(key, load);
      }
    }
    const started = load().then(({ value, bytes }) => {
      this.set(key, value, bytes);
      return value;
    });
    this.loading.set(key, started);
    try {
      return await started;
    } finally {
      if (this.loading.get(key) === started) this.loading.delete(key);
    }
  }
}

/** A cache with a limit in entries, whatever their sizes: what was used longest ago goes first. */
export class LruEntries<Key, Value> extends LruCache<Key, Value> {
  constructor(most: number) {
    super(most * ENTRY_BYTES);
  }

  override set(key: Key, value: Value): void {
    super.set(key, value, 0);
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || codeOf(error) === 'cancelled');
}
