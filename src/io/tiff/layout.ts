import { SamError } from '../../errors.js';

/**
 * The skeleton of a TIFF file: header, then all strips, then all directories. Offsets take 4 bytes, or 8 (BigTIFF) where
 * the file grows beyond them. Reference: TIFF 6.0 (Adobe, 1992), BigTIFF of libtiff 4.
 */
export type IfdEntry =
  | {
      readonly tag: number;
      readonly type: 'short' | 'long' | 'rational' | 'offset';
      readonly values: readonly number[];
    }
  | { readonly tag: number; readonly type: 'ascii'; readonly text: string };

export interface TiffPage {
  readonly strips: readonly Uint8Array[];
  /** All tags but the strips' offsets and lengths, in any order. */
  readonly entries: readonly IfdEntry[];
}

/** The file in parts, in order. */
export function layOutTiff(pages: readonly TiffPage[], big?: boolean): Uint8Array[] {
  const dataBytes = pages.flatMap((page) => page.strips).reduce((sum, strip) => sum + strip.length, 0);
  // Directories are small beside the data, but there may be many.
  const directoryBytes = pages.reduce((sum, page) => sum + 4096 + page.strips.length * 16, 0);
  const tooLong = dataBytes + directoryBytes > 0xffffffff;
  if (tooLong && big === false)
    throw new SamError('unsupported', `A plain TIFF ends at 4 GB and this one has ${dataBytes} bytes; allow BigTIFF.`);
  const form = big || tooLong ? BIG : PLAIN;

  const parts: Uint8Array[] = [];
  let position = form.headerBytes;
  const directories = pages.map(({ strips, entries }) => {
    const offsets: number[] = [];
    for (const strip of strips) {
      offsets.push(position);
      parts.push(strip);
      position += strip.length;
    }
    return [
      ...entries,
      { tag: 273, type: 'offset', values: offsets },
      { tag: 279, type: 'offset', values: strips.map((strip) => strip.length) },
    ] as const;
  });
  const padding = (16 - (position % 16)) % 16;
  parts.push(new Uint8Array(padding));
  position += padding;

  const header = new Uint8Array(form.headerBytes);
  const view = new DataView(header.buffer);
  header.set([0x49, 0x49]); // 'II': little-endian
  view.setUint16(2, form.magic, true);
  if (form === BIG) view.setUint16(4, 8, true);
  form.setOffset(view, form.headerBytes - form.offsetBytes, position);
  directories.forEach((entries, i) => {
    const directory = encodeDirectory(entries, position, i === directories.length - 1, form);
    parts.push(directory);
    position += directory.length;
  });
  return [header, ...parts];
}

/** The fraction closest to `value` with 32-bit terms, by continued fraction: 1 / 0.65 becomes 20 / 13. */
export function rational(value: number): [numerator: number, denominator: number] {
  const limit = 0xffffffff;
  if (!(value > 0) || value > limit || value < 1 / limit) return [0, 1];
  let [n0, d0, n1, d1] = [0, 1, 1, 0];
  for (let rest = value; ; ) {
    const whole = Math.floor(rest);
    const [n, d] = [whole * n1 + n0, whole * d1 + d0];
    if (n > limit || d > limit) break;
    [n0, d0, n1, d1] = [n1, d1, n, d];
    if (Math.abs(n / d - value) <= value * 1e-15 || rest === whole) break;
    rest = 1 / (rest - whole);
  }
  return [n1, d1];
}

interface Form {
  readonly magic: number;
  readonly headerBytes: number;
  readonly offsetBytes: number;
  readonly countBytes: number;
  setOffset(view: DataView, at: number, value: number): void;
}

const PLAIN: Form = {
  magic: 42,
  headerBytes: 8,
  offsetBytes: 4,
  countBytes: 2,
  setOffset: (view, at, value) => view.setUint32(at, value, true),
};

const BIG: Form = {
  magic: 43,
  headerBytes: 16,
  offsetBytes: 8,
  countBytes: 8,
  setOffset: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
};

/** One directory at `position`, followed by the values that do not fit into it; the next one follows directly. */
function encodeDirectory(entries: readonly IfdEntry[], position: number, last: boolean, form: Form): Uint8Array {
  const sorted = [...entries].sort((a, b) => a.tag - b.tag);
  const { offsetBytes, countBytes } = form;
  const entryBytes = 4 + 2 * offsetBytes;
  const tableBytes = countBytes + sorted.length * entryBytes + offsetBytes;
  const values = sorted.map((entry) => {
    const { type, count, bytes } = encodeValues(entry, form);
    return { tag: entry.tag, type, count, bytes, outside: bytes.length > offsetBytes ? aligned(bytes.length) : 0 };
  });
  const total = aligned(tableBytes) + values.reduce((sum, { outside }) => sum + outside, 0);
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  view.setUint16(0, sorted.length, true); // BigTIFF counts in 8 bytes; the upper ones stay 0
  let free = aligned(tableBytes);
  values.forEach(({ tag, type, count, bytes, outside }, i) => {
    const at = countBytes + i * entryBytes;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, type, true);
    form.setOffset(view, at + 4, count);
    if (bytes.length <= offsetBytes) out.set(bytes, at + 4 + offsetBytes);
    else {
      form.setOffset(view, at + 4 + offsetBytes, position + free);
      out.set(bytes, free);
      free += outside;
    }
  });
  form.setOffset(view, tableBytes - offsetBytes, last ? 0 : position + total);
  return out;
}

const aligned = (length: number) => Math.ceil(length / 16) * 16;

function encodeValues(entry: IfdEntry, form: Form): { type: number; count: number; bytes: Uint8Array } {
  if (entry.type === 'ascii') {
    const bytes = new TextEncoder().encode(`${entry.text}\0`);
    return { type: 2, count: bytes.length, bytes };
  }
  const { values } = entry;
  if (entry.type === 'short') return { type: 3, count: values.length, bytes: bytesOf(Uint16Array.from(values)) };
  if (entry.type === 'long') return { type: 4, count: values.length, bytes: bytesOf(Uint32Array.from(values)) };
  if (entry.type === 'rational') return { type: 5, count: values.length / 2, bytes: bytesOf(Uint32Array.from(values)) };
  if (form === PLAIN) return { type: 4, count: values.length, bytes: bytesOf(Uint32Array.from(values)) };
  return { type: 16, count: values.length, bytes: bytesOf(BigUint64Array.from(values, BigInt)) };
}

const bytesOf = (array: Uint16Array | Uint32Array | BigUint64Array) => new Uint8Array(array.buffer);
