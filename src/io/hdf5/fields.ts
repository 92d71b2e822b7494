import { SamError } from '../../errors.js';
import { type ByteSource, inBlocks } from '../bytes.js';

/**
 * The bytes of an HDF5 file as its structures see them: addresses relative to the superblock, addresses and lengths of
 * the width the superblock says. Structures are read through a cache of blocks, chunks of pixels directly.
 * Names and numbers of structures are those of the HDF5 File Format Specification, version 3.0.
 */
export interface Hdf5File {
  readonly name: string;
  readonly size: number;
  /** Bytes per address. */
  readonly addressSize: number;
  /** Bytes per length. */
  readonly lengthSize: number;
  readonly root: number;
  /** A structure: small, near others that will be read next. */
  structure(address: number, length: number, options: Cancel): Promise<Fields>;
  /** Stored pixels. */
  pixels(address: number, length: number, options: Cancel): Promise<Uint8Array>;
  /** The file from an address on, for pixels that are stored as one block. */
  readonly source: ByteSource;
  readonly base: number;
}

export interface Cancel {
  readonly signal?: AbortSignal;
}

/** Structures lie between chunks: each costs at least one block, so blocks are small. */
const BLOCK_BYTES = 16_384;
const BLOCKS = 256;
/** No structure that is read at once is larger in a real file. */
const MAX_STRUCTURE_BYTES = 2 ** 24;

export async function openHdf5File(source: ByteSource, options: Cancel): Promise<Hdf5File> {
  const { name, size } = source;
  const blocks = inBlocks(source, BLOCK_BYTES, BLOCKS);
  // Addresses count from the superblock on, whatever it says of the bytes before it, as for libhdf5.
  const base = (await findSuperblock(source, options)) ?? 0;
  const head = new Fields(await blocks.read(base, Math.min(size - base, 128), options), name);
  head.skip(8);
  const version = head.uint(1);
  if (version > 3) throw unsupported(name, `a superblock of version ${version}`);
  let widths: readonly [addresses: number, lengths: number];
  if (version < 2) {
    head.skip(4);
    widths = [head.uint(1), head.uint(1)];
    head.skip(version === 0 ? 9 : 13);
  } else {
    widths = [head.uint(1), head.uint(1)];
    head.skip(1);
  }
  const [addressSize, lengthSize] = widths;
  if (![2, 4, 8].includes(addressSize) || ![2, 4, 8].includes(lengthSize))
    throw damaged(name, `addresses of ${addressSize} and lengths of ${lengthSize} bytes`);
  head.skip(version < 2 ? 5 * addressSize : 3 * addressSize);
  const root = head.uint(addressSize);
  return {
    name,
    size,
    addressSize,
    lengthSize,
    root,
    source,
    base,
    async structure(address, length, { signal }) {
      signal?.throwIfAborted();
      if (length > MAX_STRUCTURE_BYTES) throw damaged(name, `a structure of ${length} bytes`);
      const bytes = await blocks.read(base + address, length, { signal });
      return new Fields(bytes, name, addressSize, lengthSize);
    },
    pixels: (address, length, { signal }) => source.read(base + address, length, { signal }),
  };
}

/** A file may begin with anything, then the superblock is at 512 bytes or a power of two beyond (II.A). */
const MAX_USER_BLOCK = 2 ** 24;
const SIGNATURE = '\x89HDF\r\n\x1a\n';

/** Where the superblock is: at 0, or behind a user block (MATLAB 7.3 has one of 512 bytes); undefined if it is no HDF5. */
export async function findSuperblock(source: ByteSource, options: Cancel): Promise<number | undefined> {
  for (let at = 0; at + SIGNATURE.length <= source.size && at <= MAX_USER_BLOCK; at = at === 0 ? 512 : at * 2) {
    const bytes = await source.read(at, SIGNATURE.length, options);
    if ([...SIGNATURE].every((letter, i) => bytes[i] === letter.charCodeAt(0))) return at;
  }
  return undefined;
}

/** Reads the fields of a structure one after the other, little-endian; a field beyond the end is a damaged file. */
export class Fields {
  at = 0;
  readonly bytes: Uint8Array;
  private readonly name: string;
  private readonly addressSize: number;
  private readonly lengthSize: number;

  constructor(bytes: Uint8Array, name: string, addressSize = 8, lengthSize = 8) {
    this.bytes = bytes;
    this.name = name;
    this.addressSize = addressSize;
    this.lengthSize = lengthSize;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  skip(bytes: number): void {
    this.take(bytes);
  }

  take(length: number): Uint8Array {
    if (length > this.left) throw damaged(this.name, 'a structure that ends too early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** An unsigned integer of `size` bytes; above 2^53 it is not exact, but then it is no place in a file either. */
  uint(size: number): number {
    const bytes = this.take(size);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[i]!;
    return value;
  }

  /** Undefined for the address that means "nowhere". */
  address(): number | undefined {
    const nowhere = this.bytes.subarray(this.at, this.at + this.addressSize).every((byte) => byte === 255);
    const value = this.uint(this.addressSize);
    return nowhere ? undefined : value;
  }

  length(): number {
    return this.uint(this.lengthSize);
  }

  /** Text that ends at its first zero, or after `length` bytes. */
  text(length: number): string {
    const bytes = this.take(length);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  expect(signature: string): void {
    const found = String.fromCharCode(...this.take(signature.length));
    if (found !== signature) throw damaged(this.name, `${JSON.stringify(found)} where ${signature} belongs`);
  }

  /** `length` bytes at `start` as fields of their own; where this one reads does not change. */
  from(start: number, length: number): Fields {
    const at = this.at;
    this.at = start;
    const part = this.part(length);
    this.at = at;
    return part;
  }

  /** The next `length` bytes as fields of their own. */
  part(length: number): Fields {
    return new Fields(this.take(length), this.name, this.addressSize, this.lengthSize);
  }
}

export function damaged(name: string, what: string): SamError {
  return new SamError('invalid_image', `${name} is truncated or damaged: it has ${what}. Get a complete copy of it.`);
}

export function unsupported(name: string, feature: string): SamError {
  return new SamError(
    'unsupported',
    `${name} has ${feature}, which is not read; save the dataset chunked with gzip, or as OME-Zarr or TIFF.`,
    { details: { feature } },
  );
}
