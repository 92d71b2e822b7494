import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, inBlocks } from '../bytes.js';

/**
 * The container of TIFF and BigTIFF: a header and a chain of directories of tags. Knows nothing of pixels. Values are
 * read when asked for, never more than the file holds, so a directory that claims 10^12 offsets costs nothing.
 */
export interface TiffFile {
  readonly source: ByteSource;
  readonly littleEndian: boolean;
  readonly big: boolean;
  readonly directories: readonly [first: TiffDirectory, ...more: TiffDirectory[]];
  /** The chain of directories leads to one that cannot be read: the file is truncated, or was never finished. */
  readonly broken: boolean;
}

/** Tags of one page by number. */
export interface TiffDirectory {
  /** Where in the file the directory or a value of its tags begins first from `offset` on; `Infinity` if nothing does. */
  firstFrom(offset: number): number;
  has(tag: number): boolean;
  /** The values of a tag as numbers; empty if it is absent. */
  numbers(tag: number, options?: TaskOptions): Promise<readonly number[]>;
  number(tag: number, fallback: number): Promise<number>;
  text(tag: number): Promise<string | undefined>;
  bytes(tag: number): Promise<Uint8Array | undefined>;
  /** Where the values of a tag are in the file. */
  position(tag: number): number | undefined;
  /** How many values a tag has, without reading them. */
  count(tag: number): number;
}

export const TAG = {
  subfileType: 254,
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  description: 270,
  stripOffsets: 273,
  samplesPerPixel: 277,
  rowsPerStrip: 278,
  stripByteCounts: 279,
  xResolution: 282,
  yResolution: 283,
  planar: 284,
  pageName: 285,
  resolutionUnit: 296,
  software: 305,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileByteCounts: 325,
  subIfds: 330,
  sampleFormat: 339,
  jpegTables: 347,
  subsampling: 530,
  metaMorph1: 33628,
  metaMorph2: 33629,
  lsmInfo: 34412,
} as const;

/** Bytes per value of each TIFF field type; index 0 is unused. */
const FIELD_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
const MAX_PAGES = 1_000_000;
/** A directory read in full: real ones have some tens of tags. */
const MAX_TAGS = 4096;

interface Entry {
  readonly type: number;
  /** Bytes per value. */
  readonly size: number;
  readonly count: number;
  readonly offset: number;
}

interface Reader {
  readonly source: ByteSource;
  readonly metadata: ByteSource;
  readonly littleEndian: boolean;
  readonly big: boolean;
}

/** @param pages how many directories are read at most */
export async function readTiffFile(
  source: ByteSource,
  options: TaskOptions = {},
  pages = MAX_PAGES,
): Promise<TiffFile> {
  const metadata = inBlocks(source);
  const head = await metadata.read(0, Math.min(16, source.size), options);
  const littleEndian = head[0] === 0x49;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  if (head.length < 8) throw new SamError('invalid_image', `${source.name} is truncated: a TIFF has at least 8 bytes.`);
  const big = view.getUint16(2, littleEndian) === 43;
  if (big && (head.length < 16 || view.getUint16(4, littleEndian) !== 8))
    throw new SamError('invalid_image', `${source.name} has a damaged BigTIFF header.`);
  const reader: Reader = { source, metadata, littleEndian, big };
  const directories: TiffDirectory[] = [];
  const seen = new Set<number>();
  let offset = big ? toNumber(view.getBigUint64(8, littleEndian)) : view.getUint32(4, littleEndian);
  let broken = false;
  while (offset !== 0 && !seen.has(offset) && directories.length < pages) {
    options.signal?.throwIfAborted();
    seen.add(offset);
    try {
      const { directory, next } = await readDirectory(reader, offset, options);
      directories.push(directory);
      offset = next;
    } catch (error) {
      // A broken link after good pages: what can be read is worth more than an error.
      if (directories.length === 0 || !(error instanceof SamError) || error.code !== 'invalid_image') throw error;
      broken = true;
      break;
    }
  }
  const [first, ...more] = directories;
  if (first === undefined) throw new SamError('invalid_image', `${source.name} is a TIFF without any image.`);
  return { source, littleEndian, big, directories: [first, ...more], broken };
}

/** The directories that a page points to (its lower resolutions). */
export async function readSubDirectories(
  file: TiffFile,
  directory: TiffDirectory,
  options: TaskOptions = {},
): Promise<TiffDirectory[]> {
  if (!directory.has(TAG.subIfds)) return [];
  const reader: Reader = { ...file, metadata: inBlocks(file.source, 4096) };
  const offsets = (await directory.numbers(TAG.subIfds, options)).slice(0, 64);
  return Promise.all(offsets.map(async (offset) => (await readDirectory(reader, offset, options)).directory));
}

async function readDirectory(
  reader: Reader,
  offset: number,
  options: TaskOptions,
): Promise<{ directory: TiffDirectory; next: number }> {
  const { metadata, littleEndian, big } = reader;
  const countBytes = big ? 8 : 2;
  const entryBytes = big ? 20 : 12;
  const head = await viewOf(metadata, offset, countBytes, options);
  const count = big ? toNumber(head.getBigUint64(0, littleEndian)) : head.getUint16(0, littleEndian);
  if (count > MAX_TAGS)
    throw new SamError(
      'invalid_image',
      `${metadata.name} is damaged: one of its TIFF directories claims ${count} tags.`,
    );
  const view = await viewOf(metadata, offset + countBytes, count * entryBytes, options);
  const entries = new Map<number, Entry>();
  for (let i = 0; i < count; i++) {
    const at = i * entryBytes;
    const type = view.getUint16(at + 2, littleEndian);
    const values = big ? toNumber(view.getBigUint64(at + 4, littleEndian)) : view.getUint32(at + 4, littleEndian);
    const field = at + (big ? 12 : 8);
    const size = FIELD_BYTES[type] ?? 0;
    const inline = values * size <= (big ? 8 : 4);
    const pointer = big ? toNumber(view.getBigUint64(field, littleEndian)) : view.getUint32(field, littleEndian);
    const position = inline ? offset + countBytes + field : pointer;
    const tag = view.getUint16(at, littleEndian);
    if (size > 0) entries.set(tag, { type, size, count: values, offset: position });
  }
  const end = offset + countBytes + count * entryBytes;
  const last = end + (big ? 8 : 4) <= metadata.size ? await viewOf(metadata, end, big ? 8 : 4, options) : undefined;
  const next =
    last === undefined ? 0 : big ? toNumber(last.getBigUint64(0, littleEndian)) : last.getUint32(0, littleEndian);
  return { directory: directoryOf(reader, offset, entries), next };
}

function directoryOf(reader: Reader, offset: number, entries: ReadonlyMap<number, Entry>): TiffDirectory {
  const loaded = new Map<number, Promise<readonly number[]>>();
  const load = (entry: Entry, options: TaskOptions) =>
    reader.metadata.read(entry.offset, entry.count * entry.size, options);
  const numbers = (tag: number, options: TaskOptions = {}) => {
    const entry = entries.get(tag);
    if (entry === undefined) return Promise.resolve([]);
    let values = loaded.get(tag);
    if (values === undefined) {
      values = load(entry, options).then((bytes) => parseNumbers(bytes, entry, reader.littleEndian));
      loaded.set(tag, values);
      values.catch(() => loaded.delete(tag));
    }
    return values;
  };
  const bytes = async (tag: number) => {
    const entry = entries.get(tag);
    return entry && load(entry, {});
  };
  return {
    firstFrom(from) {
      const starts = [offset, ...[...entries.values()].map((entry) => entry.offset)];
      return Math.min(...starts.filter((start) => start >= from));
    },
    has: (tag) => entries.has(tag),
    position: (tag) => entries.get(tag)?.offset,
    count: (tag) => entries.get(tag)?.count ?? 0,
    numbers,
    number: async (tag, fallback) => (await numbers(tag))[0] ?? fallback,
    bytes,
    async text(tag) {
      const raw = await bytes(tag);
      return raw && decodeText(raw);
    },
  };
}

/** Text up to its first zero: ASCII by the specification, UTF-8 or Latin-1 (ImageJ's µm) as programs write it. */
function decodeText(raw: Uint8Array): string {
  const end = raw.indexOf(0);
  const bytes = end < 0 ? raw : raw.subarray(0, end);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

function parseNumbers(bytes: Uint8Array, { type, size, count }: Entry, littleEndian: boolean): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => {
    const at = i * size;
    if (type === 3) return view.getUint16(at, littleEndian);
    if (type === 4 || type === 13) return view.getUint32(at, littleEndian);
    if (type === 5) return view.getUint32(at, littleEndian) / view.getUint32(at + 4, littleEndian);
    if (type === 6) return view.getInt8(at);
    if (type === 8) return view.getInt16(at, littleEndian);
    if (type === 9) return view.getInt32(at, littleEndian);
    if (type === 10) return view.getInt32(at, littleEndian) / view.getInt32(at + 4, littleEndian);
    if (type === 11) return view.getFloat32(at, littleEndian);
    if (type === 12) return view.getFloat64(at, littleEndian);
    if (type === 17) return toNumber(view.getBigInt64(at, littleEndian));
    if (type === 16 || type === 18) return toNumber(view.getBigUint64(at, littleEndian));
    return view.getUint8(at);
  });
}

async function viewOf(source: ByteSource, offset: number, length: number, options: TaskOptions): Promise<DataView> {
  const bytes = await source.read(offset, length, options);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Offsets beyond 2^53 point nowhere in any file; as numbers they are caught by the range check of the source. */
function toNumber(value: bigint): number {
  return Number(value);
}
