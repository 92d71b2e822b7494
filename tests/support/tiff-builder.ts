/** Writes TIFFs of kinds that the project's own writer does not make, tag by tag, for tests of the reader. */
export interface Tag {
  readonly tag: number;
  /** 1 byte, 2 text, 3 uint16, 4 uint32, 5 rational, 7 bytes, 13 directory, 16 uint64. */
  readonly type: 1 | 2 | 3 | 4 | 5 | 7 | 13 | 16;
  readonly values: readonly number[] | string | Uint8Array;
  /** What the tag claims, where that is not the number of its values (MetaMorph). */
  readonly count?: number;
}

export interface Page {
  readonly width: number;
  readonly height: number;
  /** Strips or tiles, as stored. */
  readonly blocks: readonly Uint8Array[];
  /** Whole tags beyond size, offsets and byte counts; bits per sample, compression and so on. */
  readonly tags?: readonly Tag[];
  readonly tile?: readonly [height: number, width: number];
  readonly rowsPerStrip?: number;
  /** Lower resolutions, as sub-directories. */
  readonly sub?: readonly Page[];
}

export interface Flavour {
  readonly big?: boolean;
  readonly bigEndian?: boolean;
}

const SIZES: Record<number, number> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4, 16: 8 };

export function buildTiff(pages: readonly Page[], { big = false, bigEndian = false }: Flavour = {}): Uint8Array {
  const bytes: number[] = [];
  const put = (value: number, size: number, at?: number) => {
    for (let i = 0; i < size; i++) {
      const shift = bigEndian ? size - 1 - i : i;
      const byte = Math.floor(value / 256 ** shift) % 256;
      if (at === undefined) bytes.push(byte);
      else bytes[at + i] = byte;
    }
  };
  const word = big ? 8 : 4;
  bytes.push(...(bigEndian ? [0x4d, 0x4d] : [0x49, 0x49]));
  put(big ? 43 : 42, 2);
  if (big) {
    put(8, 2);
    put(0, 2);
  }
  let link = bytes.length;
  put(0, word);
  for (const page of pages) {
    const { at, next } = directory(page);
    put(at, word, link);
    link = next;
  }
  return Uint8Array.from(bytes);

  function directory(page: Page): { at: number; next: number } {
    const sub = (page.sub ?? []).map((lower) => directory(lower).at);
    const offsets = page.blocks.map((block) => {
      const at = bytes.length;
      for (const byte of block) bytes.push(byte);
      if (bytes.length % 2) bytes.push(0);
      return block.length === 0 ? 0 : at;
    });
    const lengths = page.blocks.map((block) => block.length);
    const pointer = big ? 16 : 4;
    const layout: Tag[] = page.tile
      ? [
          { tag: 322, type: 4, values: [page.tile[1]] },
          { tag: 323, type: 4, values: [page.tile[0]] },
          { tag: 324, type: pointer, values: offsets },
          { tag: 325, type: pointer, values: lengths },
        ]
      : [
          { tag: 273, type: pointer, values: offsets },
          { tag: 278, type: 4, values: [page.rowsPerStrip ?? page.height] },
          { tag: 279, type: pointer, values: lengths },
        ];
    const tags: Tag[] = [
      { tag: 256, type: 4, values: [page.width] },
      { tag: 257, type: 4, values: [page.height] },
      ...layout,
      ...(sub.length > 0 ? [{ tag: 330, type: big ? 16 : 13, values: sub } as const] : []),
      ...(page.tags ?? []),
    ];
    tags.sort((a, b) => a.tag - b.tag);
    const entries = tags.map(({ tag, type, values, count }) => {
      const list = typeof values === 'string' ? [...new TextEncoder().encode(`${values}\0`)] : [...values];
      const raw = values instanceof Uint8Array;
      const parts = type === 5 && !raw ? list.flatMap((value) => [Math.round(value * 1000), 1000]) : list;
      const size = raw ? 1 : type === 5 ? 4 : SIZES[type];
      let at: number | undefined;
      if (parts.length * size > word) {
        at = bytes.length;
        for (const value of parts) put(value, size);
      }
      return { tag, type, count: count ?? list.length, parts, size, at };
    });
    const start = bytes.length;
    put(entries.length, big ? 8 : 2);
    for (const { tag, type, count, parts, size, at } of entries) {
      put(tag, 2);
      put(type, 2);
      put(count, word);
      const field = bytes.length;
      put(at ?? 0, word);
      if (at === undefined) for (const [i, value] of parts.entries()) put(value, size, field + i * size);
    }
    const next = bytes.length;
    put(0, word);
    return { at: start, next };
  }
}

export const short = (tag: number, ...values: number[]): Tag => ({ tag, type: 3, values });
export const text = (tag: number, values: string): Tag => ({ tag, type: 2, values });
