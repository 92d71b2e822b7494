import { Gunzip, Unzlib } from 'fflate';
import { registry } from 'zarrita';
import { SamError } from '../../errors.js';
import { membersOf } from '../../items.js';
import { bloscContentSize } from '../compression/blosc.js';
import { inflatePrefix } from '../compression/gzip.js';
import { checkZstd } from '../compression/zstd.js';

/**
 * zarrita's decompressors, each with a limit: a chunk may not unpack to more than its array says. The originals allocate
 * whatever the compressed bytes claim. Encoding is theirs, unchanged. zarrita knows codecs by name in one registry of the
 * whole program; ours have names of their own there, which the metadata get that we hand to it, so that what else reads zarr
 * in the same program has zarrita's codecs as they are.
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
  zstd: (bytes, limit, codec) => {
    checkZstd(bytes, limit);
    return codec.decode(bytes);
  },
  blosc: claims(bloscContentSize),
  lz4: claims((bytes) => uint32(bytes, 0)),
};

const OURS = 'bounded.';

/**
 * What zarrita is told of an array, so that it decompresses within limits.
 *
 * @param metadata of an array, v2 or v3; not changed
 */
export function withLimits(metadata: Readonly<Record<string, unknown>>, version: 2 | 3): Record<string, unknown> {
  register();
  if (version === 3) return { ...metadata, codecs: limitedV3(metadata.codecs) };
  const { filters, compressor } = metadata;
  return {
    ...metadata,
    ...(Array.isArray(filters) && { filters: filters.map((codec) => renamed(codec, 'id')) }),
    ...(compressor !== undefined && { compressor: renamed(compressor, 'id') }),
  };
}

/** Those inside of shards, too. */
function limitedV3(codecs: unknown): unknown {
  if (!Array.isArray(codecs)) return codecs;
  return codecs.map((codec) => {
    const { name, configuration } = codec ?? {};
    if (name !== 'sharding_indexed' || !configuration) return renamed(codec, 'name');
    const { codecs: inner, index_codecs: index } = configuration;
    return {
      ...codec,
      configuration: { ...configuration, codecs: limitedV3(inner), ...(index && { index_codecs: limitedV3(index) }) },
    };
  });
}

/** @param key where it has its name */
function renamed(codec: unknown, key: 'id' | 'name'): unknown {
  const { [key]: said } = membersOf(codec);
  const [, before, name] = /^(numcodecs\.)?(.*)$/.exec(String(said)) ?? [];
  return name !== undefined && Object.hasOwn(DECODERS, name)
    ? { ...(codec as object), [key]: `${before ?? ''}${OURS}${name}` }
    : codec;
}

/** Adds to the registry; zarrita puts `numcodecs.` before the names that v2 has. */
function register(): void {
  for (const [name, decode] of Object.entries(DECODERS))
    for (const before of ['', 'numcodecs.']) {
      const load = registry.get(`${before}${name}`);
      if (load === undefined || registry.has(`${before}${OURS}${name}`)) continue;
      const bounded = async () => {
        const original = (await load()) as Factory;
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
      registry.set(`${before}${OURS}${name}`, bounded as typeof load);
    }
}

/**
 * Looked up before zarrita does: of two codecs that it does not have it only catches the first, and the other's failure
 * would end a Node process.
 *
 * @param metadata of an array, v2 or v3
 * @throws SamError unsupported for a codec that is not read, invalid_image where none can be told
 */
export function checkCodecs(metadata: Readonly<Record<string, unknown>>, version: 2 | 3, where: string): void {
  const names = version === 3 ? codecsV3(metadata.codecs) : codecsV2(metadata);
  for (const name of names) {
    if (typeof name !== 'string')
      throw new SamError('invalid_image', `The codecs in the metadata of ${where} have no names; they are damaged.`);
    if (!registry.has(name))
      throw new SamError('unsupported', `${where} is compressed with a codec that is not read: ${name}.`);
  }
}

/** Of shards, those inside. */
function codecsV3(codecs: unknown): unknown[] {
  if (!Array.isArray(codecs)) return [undefined];
  const shards = codecs.find((codec) => codec?.name === 'sharding_indexed')?.configuration;
  const inside = shards ? [shards.codecs, shards.index_codecs] : [codecs];
  return inside.flatMap((list) => (Array.isArray(list) ? list.map((codec) => codec?.name) : [undefined]));
}

function codecsV2(metadata: Readonly<Record<string, unknown>>): unknown[] {
  const filters: unknown = metadata.filters ?? [];
  const list = Array.isArray(filters) ? filters : [undefined];
  return [...list, ...(metadata.compressor ? [metadata.compressor] : [])].map((codec) => {
    const id: unknown = codec?.id;
    if (typeof id !== 'string') return undefined;
    // zarrita reads this one as two others.
    return /^(numcodecs\.)?fixedscaleoffset$/.test(id) ? 'scale_offset' : `numcodecs.${id}`;
  });
}

function uint32(bytes: Uint8Array, at: number): number {
  if (bytes.length < at + 4) throw new SamError('invalid_image', 'A chunk is truncated.');
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
