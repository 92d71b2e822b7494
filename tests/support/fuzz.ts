import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { encode as encodePng } from 'fast-png';
import { gzipSync, zipSync, zlibSync } from 'fflate';
import { openCheckpoint } from '../../src/checkpoints/checkpoint.js';
import { SamError } from '../../src/errors.js';
import { type ByteSource, memoryBytes } from '../../src/io/bytes.js';
import type { ImageSource } from '../../src/io/image.js';
import '../../src/io/node-file.js';
import { type ImageInput, openImage } from '../../src/io/open.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { sizeOf } from '../../src/ndimage/array.js';
import { writeSafetensors } from '../../src/training/safetensors.js';
import { dataItems, dataPath, hasData } from './data.js';
import { h5pySample, hdf5Sample } from './hdf5-sample.js';
import { encodeJpeg } from './jpeg-encoder.js';
import { randomInteger, seededRandom } from './random.js';
import { buildTiff, short } from './tiff-builder.js';
import { type Saved, SavedObject, SavedTensor, torchLegacy, torchZip } from './torch-writer.js';
import { encodeWebp } from './webp-encoder.js';
import { madeOmeZarr } from './zarr-builder.js';

/**
 * Damaged files, seeded: each is a good file with some bytes changed, cut, moved or mixed with another's. A reader may
 * refuse it with a SamError or read something; nothing else may happen.
 */
export interface Family {
  readonly name: string;
  readonly seeds: readonly Seed[];
  /** Reads one in another way than as an image. */
  readonly read?: (input: ImageInput) => Promise<string>;
}
/** A file, or a zarr as files by key. */
type Seed = Uint8Array | ReadonlyMap<string, Uint8Array>;

export interface FuzzResult {
  readonly files: number;
  readonly failures: readonly string[];
  /** How often it was read, and how often each error code came. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly slowestMs: number;
}

const HANG_MS = 5_000;
const MEMORY_BYTES = 2 ** 30;

export async function fuzz(family: Family, count: number, seed: number): Promise<FuzzResult> {
  const random = seededRandom(seed);
  const failures: string[] = [];
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  let latest = 0;
  // What a library fails with beside the call would end the program.
  const unheard = (error: unknown) =>
    void failures.push(
      `${family.name} ${seed}/${latest}: beside the call: ${error instanceof Error ? error.stack : error}`,
    );
  process.prependListener('unhandledRejection', unheard);
  for (let i = 0; i < count; i++) {
    latest = i;
    const original = family.seeds[randomInteger(random, 0, family.seeds.length)];
    const other = family.seeds[randomInteger(random, 0, family.seeds.length)];
    const input = damaged(original, other, random);
    const start = performance.now();
    const before = process.cpuUsage();
    const memory = process.memoryUsage.rss();
    let outcome: string;
    try {
      outcome = await (family.read ?? readSome)(input, i);
    } catch (error) {
      outcome = error instanceof SamError ? error.code : 'not a SamError';
      if (!(error instanceof SamError) || error.code === 'internal')
        failures.push(`${family.name} ${seed}/${i}: ${error instanceof Error ? error.stack : error}`);
    }
    const elapsed = performance.now() - start;
    slowestMs = Math.max(slowestMs, elapsed);
    // On a busy machine the clock runs on while nothing is computed.
    const { user, system } = process.cpuUsage(before);
    if (Math.min(elapsed, (user + system) / 1000) > HANG_MS)
      failures.push(`${family.name} ${seed}/${i}: took ${Math.round(elapsed)} ms (${outcome})`);
    const grown = process.memoryUsage.rss() - memory;
    if (grown > MEMORY_BYTES) failures.push(`${family.name} ${seed}/${i}: memory grew by ${grown} bytes (${outcome})`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.removeListener('unhandledRejection', unheard);
  return { files: count, failures, outcomes, slowestMs };
}

/** Opens an image and reads a corner, the middle and, where it is small, the whole of the first and last plane. */
async function readSome(input: ImageInput, pick: number): Promise<string> {
  const image = await openOne(input, pick);
  for (const level of image.levels.keys()) await readLevel(image, level);
  await image.close();
  return 'read';
}

/** Where a file holds several images, the error says which: one of them. */
async function openOne(input: ImageInput, pick: number): Promise<ImageSource> {
  try {
    return await openImage(input, { name: 'fuzz' });
  } catch (error) {
    const keys = error instanceof SamError && error.code === 'invalid_argument' ? error.details?.keys : undefined;
    if (!Array.isArray(keys) || keys.length === 0) throw error;
    return openImage(input, { name: 'fuzz', key: keys[pick % keys.length] });
  }
}

async function readLevel(image: ImageSource, level: number): Promise<void> {
  const [height, width] = image.levels[level];
  const { t, z } = image.sizes;
  const boxes = [
    [0, 0, Math.min(16, height), Math.min(16, width)],
    [height >> 1, width >> 1, Math.min(height, (height >> 1) + 16), Math.min(width, (width >> 1) + 16)],
    ...(height * width <= 2 ** 20 ? [[0, 0, height, width]] : []),
  ] as const;
  const channels = image.sizes.c > 8 ? [0, image.sizes.c - 1] : undefined;
  for (const plane of [
    { t: 0, z: 0 },
    { t: t - 1, z: z - 1 },
  ])
    for (const [y0, x0, y1, x1] of boxes) {
      const region = await image.readRegion({ ...plane, level, channels, box: [y0, x0, y1, x1] });
      if (region.data.length !== sizeOf(region.shape)) throw new Error(`${region.data.length} for [${region.shape}]`);
    }
}

function damaged(seed: Seed, other: Seed, random: () => number): ImageInput {
  if (seed instanceof Uint8Array)
    return memoryBytes(mutate(seed, other instanceof Uint8Array ? other : seed, random), 'fuzz');
  const entries = new Map(seed);
  const keys = [...entries.keys()];
  for (let i = randomInteger(random, 1, 3); i > 0; i--) {
    const metadata = keys.filter((key) => /json|\.z/.test(key));
    const pool = random() < 0.6 ? metadata : keys;
    const key = pool[randomInteger(random, 0, pool.length)];
    const value = entries.get(key) ?? new Uint8Array();
    if (random() < 0.05) entries.delete(key);
    else
      entries.set(
        key,
        random() < 0.5 && /json|\.z/.test(key) ? mutateJson(value, random) : mutate(value, value, random),
      );
  }
  return memoryStore('fuzz', entries) satisfies Store;
}

const EXTREMES = [0, 1, 2, 255, 256, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xffffffff, 1_000_000, 100_000];

function mutate(original: Uint8Array, other: Uint8Array, random: () => number): Uint8Array {
  let bytes = original.slice();
  /** Half of all changes go into the first and last kilobyte, where headers are. */
  const place = () => {
    const near = Math.min(bytes.length, 1024);
    if (random() < 0.3) return randomInteger(random, 0, near);
    if (random() < 0.3) return bytes.length - 1 - randomInteger(random, 0, near);
    return randomInteger(random, 0, bytes.length);
  };
  for (let i = randomInteger(random, 1, 9); i > 0 && bytes.length > 0; i--) {
    const at = place();
    const kind = random();
    if (kind < 0.45) bytes[at] = randomInteger(random, 0, 256);
    else if (kind < 0.55) bytes[at] ^= 1 << randomInteger(random, 0, 8);
    else if (kind < 0.8) {
      const size = [2, 4, 8][randomInteger(random, 0, 3)];
      const value = EXTREMES[randomInteger(random, 0, EXTREMES.length)];
      const swapped = random() < 0.3;
      for (let k = 0; k < size && at + k < bytes.length; k++)
        bytes[at + k] = Math.floor(value / 256 ** (swapped ? size - 1 - k : k)) % 256;
    } else if (kind < 0.86) bytes = bytes.slice(0, at);
    else if (kind < 0.9) bytes.fill(randomInteger(random, 0, 2) * 255, at, at + randomInteger(random, 1, 64));
    else if (kind < 0.95)
      bytes = Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + randomInteger(random, 1, 40))]);
    else {
      const from = randomInteger(random, 0, other.length);
      bytes.set(other.subarray(from, from + Math.min(randomInteger(random, 1, 200), bytes.length - at)), at);
    }
  }
  return bytes;
}

/** Replaces one number or text of a JSON document by an unlikely one. */
function mutateJson(bytes: Uint8Array, random: () => number): Uint8Array {
  const source = new TextDecoder().decode(bytes);
  const values = [...source.matchAll(/"[^"]*"|-?\d+(\.\d+)?|true|false|null/g)];
  if (values.length === 0) return bytes;
  const { 0: old, index } = values[randomInteger(random, 0, values.length)];
  const odd = [
    '0',
    '-1',
    '1e12',
    '1e300',
    '2.5',
    'null',
    '"<i8"',
    '"x"',
    '[]',
    '{}',
    '1000000',
    '7',
    '"../.."',
    '"float16"',
    'true',
  ];
  const next = odd[randomInteger(random, 0, odd.length)];
  return new TextEncoder().encode(source.slice(0, index) + next + source.slice(index + old.length));
}

/** Small good files per reader family; the data folder adds real ones where it is present. */
export async function families(maxSeedBytes = 200_000): Promise<Family[]> {
  const fromData = (name: RegExp) => dataFiles(name, maxSeedBytes);
  const made: Record<string, Seed[]> = {
    tiff: [...(await madeTiffs()), ...fromData(/\.tiff?$/)],
    png: [...madePngs(), ...fromData(/\.png$/)],
    jpeg: [encodeJpeg(noise(48, 56, 3), 48, 56, 3), encodeJpeg(noise(31, 17, 1), 31, 17, 1), ...fromData(/\.jpg$/)],
    nifti: [...madeNiftis(), ...fromData(/\.nii(\.gz)?$/)],
    numpy: madeNumpys(),
    hdf5: [hdf5Sample(), h5pySample('earliest'), h5pySample('latest')],
    webp: [await encodeWebp(false), await encodeWebp(true)],
    zarr: madeZarrs(),
  };
  const images = Object.entries(made).map(([name, seeds]) => ({ name, seeds }));
  return [...images, { name: 'checkpoint', seeds: madeCheckpoints(), read: readCheckpoint }];
}

/** Every tensor of what is there. */
async function readCheckpoint(input: ImageInput): Promise<string> {
  const { sam, decoder } = await openCheckpoint(input as ByteSource);
  for (const tensor of [...(sam?.values() ?? []), ...(decoder?.values() ?? [])]) {
    const data = await tensor.read();
    if (data.length !== sizeOf(tensor.shape)) throw new Error(`${data.length} elements for [${tensor.shape}]`);
  }
  return 'read';
}

function madeCheckpoints(): Seed[] {
  const storage = new Uint8Array(Float32Array.from({ length: 24 }, (_, i) => i / 8).buffer);
  const sam = new Map<string, Saved>([
    ['prompt_encoder.no_mask_embed.weight', new SavedTensor([1, 24], storage)],
    ['image_encoder.blocks.0.attn.qkv.qkv_proj.weight', new SavedTensor([6, 2], storage, 'Float', 4)],
    ['image_encoder.blocks.0.attn.qkv.w_a_linear_q.weight', new SavedTensor([1, 2], storage, 'Half', 3, [1, 2])],
    ['image_encoder.blocks.0.attn.qkv.w_b_linear_q.weight', new SavedTensor([2, 1], storage.slice(), 'BFloat16')],
  ]);
  const decoder = new Map<string, Saved>([
    ['out_conv.weight', new SavedTensor([3, 1, 1, 1], storage)],
    ['base.block.1.weight', new SavedTensor([2, 3], storage, 'Float', 0, [1, 2])],
  ]);
  const training = new Map<string, Saved>([
    ['epoch', 7],
    ['init', new SavedObject('a', 'Trainer', [], new Map([['x', 1.5]]))],
    ['model_state', sam],
    ['decoder_state', decoder],
  ]);
  const tensors = new Map([['prompt_encoder.no_mask_embed.weight', { shape: [2, 3], data: new Float32Array(6) }]]);
  const card = new TextEncoder().encode('name: model\n');
  return [
    torchZip(training),
    torchZip(sam),
    torchLegacy(training),
    torchLegacy(decoder),
    writeSafetensors({ tensors, metadata: {} }),
    zipSync({ 'rdf.yaml': card, 'vit_b.pt': torchZip(sam), 'vit_b_decoder.pt': torchZip(decoder) }),
  ];
}

function dataFiles(name: RegExp, maxBytes: number): Uint8Array[] {
  if (!hasData) return [];
  return dataItems()
    .filter(({ file }) => name.test(file))
    .map(({ file }) => new Uint8Array(readFileSync(dataPath(file))))
    .filter(({ length }) => length <= maxBytes);
}

/** Smooth enough to compress, rough enough to use every code. */
function noise(height: number, width: number, channels: number): Uint8Array {
  const random = seededRandom(height * width);
  return Uint8Array.from({ length: height * width * channels }, (_, i) => (i % 97) + randomInteger(random, 0, 40));
}

async function madeTiffs(): Promise<Uint8Array[]> {
  const stack = Uint16Array.from(noise(4 * 40, 50, 1), (value) => value * 200);
  const volume = { data: stack, shape: [4, 40, 50] };
  const page = {
    width: 50,
    height: 40,
    blocks: [noise(40, 50, 1)],
    tags: [short(258, 8), short(259, 1), short(262, 1)],
  };
  const half = { width: 25, height: 20, blocks: [noise(20, 25, 1)], tags: [short(258, 8), short(262, 1)] };
  const tiles = Array.from({ length: 12 }, (_, i) => zlibSync(noise(16, 16, 1).map((value) => value + i)));
  const tags = [short(258, 8), short(259, 8), short(262, 1), short(317, 2)];
  return [
    await encodeTiff(volume, { axes: 'zyx' }),
    await encodeTiff(volume, { axes: 'zyx', description: 'ome', pixelSize: { y: 0.2, x: 0.2, z: 1, unit: 'µm' } }),
    await encodeTiff({ data: Float32Array.from(stack), shape: [4, 40, 50] }, { axes: 'tyx', compression: 'none' }),
    buildTiff([{ ...page, sub: [half] }]),
    buildTiff([{ ...page, sub: [half] }], { big: true, bigEndian: true }),
    buildTiff([{ width: 50, height: 40, tile: [16, 16], blocks: tiles, tags }], { big: true }),
  ];
}

function madePngs(): Uint8Array[] {
  const deep = Uint16Array.from(noise(30, 21, 1), (value) => value * 300);
  return [
    encodePng({ width: 21, height: 30, data: noise(30, 21, 1), channels: 1, depth: 8 }),
    encodePng({ width: 21, height: 30, data: noise(30, 21, 3), channels: 3, depth: 8 }),
    encodePng({ width: 21, height: 30, data: noise(30, 21, 4), channels: 4, depth: 8 }),
    encodePng({ width: 21, height: 30, data: deep, channels: 1, depth: 16 }),
  ];
}

function madeNiftis(): Uint8Array[] {
  const bytes = new Uint8Array(352 + 5 * 6 * 7 * 2);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, 348, true);
  for (const [i, length] of [3, 5, 6, 7, 1, 1, 1, 1].entries()) view.setInt16(40 + 2 * i, length, true);
  view.setInt16(70, 4, true);
  view.setInt16(72, 16, true);
  view.setFloat32(108, 352, true);
  bytes.set([0x6e, 0x2b, 0x31, 0], 344);
  for (let i = 352; i < bytes.length; i++) bytes[i] = i % 251;
  return [bytes, gzipSync(bytes)];
}

function madeNumpys(): Uint8Array[] {
  const npy = (descr: string, shape: string, payload: Uint8Array, fortran = 'False') => {
    const dictionary = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': (${shape}), }`;
    const header = new TextEncoder().encode(`${dictionary.padEnd(117)}\n`);
    return Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0, ...header, ...payload]);
  };
  const image = npy('<u2', '12, 10', noise(12, 20, 1));
  const stack = npy('>f4', '3, 6, 5', noise(18, 20, 1), 'True');
  const colour = npy('|u1', '8, 9, 3', noise(8, 9, 3));
  return [image, stack, colour, zipSync({ 'image.npy': image, 'stack.npy': stack })];
}

function madeZarrs(): Seed[] {
  const seeds: Seed[] = [madeOmeZarr(2), madeOmeZarr(3), zipSync(Object.fromEntries(madeOmeZarr(2)))];
  for (const { file } of hasData ? dataItems().filter((item) => /zarr/.test(item.file)) : []) {
    const folder = dataPath(file);
    const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const entries = names.map((entry) => {
      const full = path.join(entry.parentPath, entry.name);
      return [path.relative(folder, full), new Uint8Array(readFileSync(full))] as const;
    });
    seeds.push(new Map(entries));
  }
  return seeds;
}
