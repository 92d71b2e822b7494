/**
 * What a function hands out piece by piece, as Hypha's clients read it (a generator in Python): one call for each item, and one
 * by which a reader ends it early.
 */
export class Streams {
  private readonly open = new Map<string, Stream>();

  /** What the reader is told instead of the result. @param ends `workspace/client` of both */
  hold(iterator: AsyncIterator<unknown>, { self, reader }: { readonly self: string; readonly reader: string }) {
    const key = crypto.randomUUID().replaceAll('-', '');
    this.open.set(key, { iterator, reader });
    return {
      _rtype: 'generator',
      _rtarget: self,
      _rmethod: `stream.${key}.next`,
      _rclose_method: `stream.${key}.return`,
      _rpromise: '*',
      _rdoc: 'Results as they come',
    };
  }

  /** The next item, or that there is none: also for anybody else than the reader. */
  async read(key: string, step: string, from: string): Promise<unknown> {
    const stream = this.open.get(key);
    if (stream?.reader !== from) return OVER;
    try {
      const { done, value } = step === 'next' ? await stream.iterator.next() : await ended(stream);
      if (!done) return value;
      this.open.delete(key);
      return OVER;
    } catch (error) {
      this.open.delete(key);
      throw error;
    }
  }

  /** Nobody reads on; without a name, nobody at all. */
  end(reader?: string): void {
    for (const [key, stream] of [...this.open]) {
      if (reader !== undefined && stream.reader !== reader) continue;
      this.open.delete(key);
      ended(stream).catch(() => undefined);
    }
  }
}

interface Stream {
  readonly iterator: AsyncIterator<unknown>;
  /** `workspace/client`. */
  readonly reader: string;
}

const OVER = { _rtype: 'stop_iteration' };

async function ended({ iterator }: Stream): Promise<IteratorResult<unknown>> {
  return (await iterator.return?.()) ?? { done: true, value: undefined };
}

export function isIterator(value: unknown): value is AsyncIterator<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value;
}
