import { Inflate } from 'fflate';
import { SamError } from '../errors.js';
import { type ByteSource, checkRange, memoryBytes } from './bytes.js';
import { inflatePrefix } from './compression/gzip.js';
import { checkBlockSize, checkPlausible } from './region.js';

/**
 * A zip archive read by its directory (APPNOTE.TXT 4.3, with zip64): opening one reads the list at its end, and a member
 * only the bytes it is stored in. Members that are not compressed are files inside the file and can be read in parts.
 */
export interface ZipArchive {
  readonly name: string;
  readonly members: ReadonlyMap<string, ZipMember>;
  /** All bytes of a member, or the first of them. */
  read(member: string, options?: ReadOptions): Promise<Uint8Array>;
  /** A member as a file: parts of it are read where it is not compressed, else it is unpacked now. */
  open(member: string, options?: ReadOptions): Promise<ByteSource>;
}

export interface ZipMember {
  readonly size: number;
  readonly packedSize: number;
  readonly stored: boolean;
}

interface Cancel {
  readonly signal?: AbortSignal;
}

interface ReadOptions extends Cancel {
  /** No more than so many bytes of it. */
  readonly limit?: number;
}

interface Entry extends ZipMember {
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly header: number;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 65_535;
/** Directories of a million members are shorter. */
const MAX_DIRECTORY_BYTES = 2 ** 28;
/** Local headers may hold more than the directory says; with this much to spare, one read nearly always does. */
const SPARE_BYTES = 256;
const DEFLATE_RATIO = 1032;

export async function openZipArchive(source: ByteSource, options: Cancel = {}): Promise<ZipArchive> {
  const { name } = source;
  const { offset, size } = await findDirectory(source, options);
  if (size > MAX_DIRECTORY_BYTES) throw damaged(name, `a directory of ${size} bytes`);
  const members = parseDirectory(await source.read(offset, size, options), name);

  const entryOf = (member: string) => {
    const entry = members.get(member);
    if (entry === undefined) throw new SamError('not_found', `${name} has no member "${member}".`);
    if (entry.encrypted || (entry.method !== 0 && entry.method !== 8))
      throw new SamError(
        'unsupported',
        `"${member}" in ${name} is ${entry.encrypted ? 'encrypted' : `packed by method ${entry.method}`}, which is not read; unpack the archive.`,
      );
    return entry;
  };

  /** The header before a member, with as many bytes of what follows as `length` asks for. */
  const readPacked = async (entry: Entry, length: number, options: Cancel) => {
    const nameBytes = new TextEncoder().encode(entry.name).length;
    const guess = LOCAL_BYTES + nameBytes + SPARE_BYTES + length;
    const head = await source.read(entry.header, Math.min(guess, source.size - entry.header), options);
    const view = viewOf(head);
    if (head.length < LOCAL_BYTES || view.getUint32(0, true) !== LOCAL)
      throw damaged(name, `no member where "${entry.name}" should be`);
    const start = LOCAL_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
    const at = entry.header + start;
    const inHead = start + length <= head.length;
    return { at, bytes: inHead ? head.subarray(start, start + length) : await source.read(at, length, options) };
  };

  const read = async (member: string, { limit = Infinity, ...options }: ReadOptions = {}) => {
    const entry = entryOf(member);
    const size = Math.min(entry.size, limit);
    const where = `${name}/${member}`;
    if (size > 0) checkBlockSize(where, 'a member', [size], 1);
    checkPlausible(where, entry.size, entry.stored ? entry.packedSize : entry.packedSize * DEFLATE_RATIO, source.size);
    const { bytes } = await readPacked(entry, entry.packedSize, options);
    const onMore = () => {
      if (size === entry.size) throw damaged(name, `more of "${member}" than the ${size} bytes that belong`);
    };
    const out = entry.stored ? bytes.slice(0, size) : inflatePrefix(Inflate, bytes, size, where, onMore);
    if (out.length !== size) throw damaged(name, `${out.length} bytes of "${member}" where ${size} belong`);
    return out;
  };

  return {
    name,
    members,
    read,
    async open(member, options = {}) {
      const entry = entryOf(member);
      if (!entry.stored) return memoryBytes(await read(member, options), member);
      const { at } = await readPacked(entry, 0, options);
      checkRange(name, source.size, at, entry.size);
      return {
        name: member,
        size: entry.size,
        async read(offset, length, options) {
          checkRange(member, entry.size, offset, length);
          return source.read(at + offset, length, options);
        },
      };
    },
  };
}

/** Where the directory is: told by a record at the very end, before which only a comment may stand. */
async function findDirectory(source: ByteSource, options: Cancel): Promise<{ offset: number; size: number }> {
  const { name } = source;
  const length = Math.min(source.size, END_BYTES + MAX_COMMENT);
  const tail = await source.read(source.size - length, length, options);
  const view = viewOf(tail);
  let at = length - END_BYTES;
  while (at >= 0 && view.getUint32(at, true) !== END) at--;
  if (at < 0) throw damaged(name, 'no directory at its end');
  const found = { size: view.getUint32(at + 12, true), offset: view.getUint32(at + 16, true) };
  if (at < 20 || view.getUint32(at - 20, true) !== LOCATOR_64) return found;
  const record = viewOf(await source.read(uint64(view, at - 12), 56, options));
  if (record.getUint32(0, true) !== END_64) throw damaged(name, 'a damaged directory');
  return { size: uint64(record, 40), offset: uint64(record, 48) };
}

function parseDirectory(bytes: Uint8Array, name: string): Map<string, Entry> {
  const view = viewOf(bytes);
  const entries = new Map<string, Entry>();
  for (let at = 0; at < bytes.length; ) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== CENTRAL) throw damaged(name, 'a damaged directory');
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const length = (field: number) => view.getUint16(at + field, true);
    const [nameLength, extraLength, commentLength] = [length(28), length(30), length(32)];
    const text = bytes.subarray(at + 46, at + 46 + nameLength);
    const member = new TextDecoder(flags & 2048 ? 'utf-8' : 'latin1').decode(text);
    const extra = bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const field = (from: number) => view.getUint32(at + from, true);
    const { size, packedSize, header } = wideFields(
      { size: field(24), packedSize: field(20), header: field(42) },
      extra,
    );
    entries.set(member, {
      name: member,
      size,
      packedSize,
      header,
      method,
      stored: method === 0,
      encrypted: (flags & 1) !== 0,
    });
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}

/** Fields that are full are in the zip64 part of the extra field instead, in the same order (4.5.3). */
function wideFields(fields: WideFields, extra: Uint8Array): WideFields {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    const wide = (field: number) => {
      if (field !== 0xffffffff || next + 8 > extra.length) return field;
      next += 8;
      return uint64(view, next - 8);
    };
    return { size: wide(fields.size), packedSize: wide(fields.packedSize), header: wide(fields.header) };
  }
  return fields;
}

interface WideFields {
  readonly size: number;
  readonly packedSize: number;
  /** Where the member's own header begins. */
  readonly header: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function uint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function damaged(name: string, what: string): SamError {
  return new SamError(
    'invalid_image',
    `${name} is not a readable zip archive: it has ${what}. Get a complete copy of it.`,
  );
}
