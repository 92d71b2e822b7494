import { Gunzip, Unzlib } from 'fflate';
import { registry } from 'zarrita';
import { SamError } from '../errors.js';
import { bloscContentSize } from './blosc.js';
import { inflatePrefix } from './gzip.js';
import { zstdContentSize } from './zstd.js';

/**
 * zarrita's decompressors, each with a limit: a chunk may not unpack to more than its array says. The originals allocate
 * whatever the compressed bytes claim. Encoding is theirs, unchanged.
 */
interface Codec {
  encode(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
  decode(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
}
interface ChunkMeta {
  readonly shape: readonly number[];
}
type Factory = { fromConfig(configuration: unknown, meta: ChunkMeta): Codec };
type Decode = (bytes: Uint8Array, limit: number, codec: Codec) => Uint8Array | Promise<Uint8Array>;

/** Bytes beyond the pixels that checksums may add. */
const SLACK = 1024;
const WIDEST = 8;

const claims =
  (read: (bytes: Uint8Array) => number | undefined): Decode =>
  (bytes, limit, codec) => {
    const claimed = read(bytes);
    if (claimed !== undefined && claimed > limit)
      throw new SamError(
        'invalid_image',
        `A chunk claims ${claimed} bytes where at most ${limit} belong; it is damaged.`,
      );
    return codec.decode(bytes);
  };

const DECODERS: Record<string, Decode> = {
  gzip: (bytes, limit) => inflatePrefix(Gunzip, bytes, limit, 'A chunk'),
  zlib: (bytes, limit) => inflatePrefix(Unzlib, bytes, limit, 'A chunk'),
  zstd: claims(zstdContentSize),
  blosc: claims(bloscContentSize),
  lz4: claims((bytes) => uint32(bytes, 0)),
};

let installed = false;

/** Once per program; later calls do nothing. */
export function boundCodecs(): void {
  if (installed) return;
  installed = true;
  for (const [name, decode] of Object.entries(DECODERS))
    for (const id of [name, `numcodecs.${name}`]) {
      const load = registry.get(id);
      if (load === undefined) continue;
      const bounded = async () => {
        const original = (await load()) as unknown as Factory;
        return {
          fromConfig(configuration: unknown, meta: ChunkMeta) {
            const codec = original.fromConfig(configuration, meta);
            const limit = meta.shape.reduce((product, length) => product * length, WIDEST) + SLACK;
            return {
              kind: 'bytes_to_bytes',
              encode: (bytes: Uint8Array) => codec.encode(bytes),
              decode: (bytes: Uint8Array) => decode(bytes, limit, codec),
            };
          },
        };
      };
      registry.set(id, bounded as unknown as typeof load);
    }
}

function uint32(bytes: Uint8Array, at: number): number {
  if (bytes.length < at + 4) throw new SamError('invalid_image', 'A chunk is truncated.');
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
