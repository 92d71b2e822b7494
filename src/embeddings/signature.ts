import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { type ImageSource, planeAt, planeCount } from '../io/image.js';
import { keysOf } from '../items.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { Size, TypedArray } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';

/**
 * What embeddings were made from, in the words micro-sam writes into its cache (micro_sam/util.py, 1.8), plus the intensity policy:
 * two embeddings with equal signatures may stand for each other.
 */
export interface Signature {
  /** SHA-1 of the pixels' bytes in C order, as micro-sam computes it; or `sampled:` and a digest, see below. */
  readonly data_signature: string;
  readonly tile_shape: Size | null;
  readonly halo: Size | null;
  /** e.g. 'vit_b' for 'vit_b_lm'. */
  readonly model_type: string;
  readonly model_name: string;
  readonly micro_sam_version: string;
  readonly model_hash: string | null;
  /** See intensityKey(); micro-sam knows only 'min-max', per tile and slice, and does not write it. */
  readonly intensity: string;
}

export const WRITER_VERSION = 'micro-sam-imjoy 0.1';

/** Models that share an encoder share their embeddings, so these carry the encoder's name. */
export function modelFields(model: ModelSpec): Pick<Signature, 'model_type' | 'model_name' | 'model_hash'> {
  const { encoderName: name = model.name } = model;
  return {
    model_type: /^vit_[tblh]/.exec(name)?.[0] ?? name,
    model_name: name,
    model_hash: encoderHash(model),
  };
}

/**
 * Counted up when int8 comes to compute something else. 2: the neck's convolutions, too; 3: scales by parts; 4: convolutions
 * between stages.
 */
const INT8_VERSION = '.4';

function encoderHash({ encoder, encoderDelta, encoderPrecision = 'float32' }: ModelSpec): string | null {
  const precision = encoderPrecision === 'float32' ? '' : `/${encoderPrecision}${INT8_VERSION}`;
  const delta = encoderDelta ? `+${encoderDelta.sha256?.toLowerCase() ?? 'unknown'}` : '';
  const digest = encoder.sha256 ?? encoder.digest;
  if (digest !== undefined) return `sha256:${digest.toLowerCase()}${delta}${precision}`;
  return delta + precision === '' ? null : `sha256:unknown${delta}${precision}`;
}

/** A short name for a signature, fit for a folder. */
export function signatureKey(signature: Signature): string {
  const { micro_sam_version: _, ...fields } = signature;
  return bytesToHex(sha1(new TextEncoder().encode(JSON.stringify(fields)))).slice(0, 16);
}

export interface PixelHashOptions {
  readonly channels?: readonly number[];
  /**
   * 'full' reads every pixel and gives what micro-sam gives. 'sampled' reads 64 small regions of a large image and gives
   * a digest of another form, which matches only itself. 'auto' is 'full' up to 256 MiB.
   */
  readonly extent?: 'full' | 'sampled' | 'auto';
}

/** The data signature of an image as the encoder will see it (after the choice of channels). Read once for each source. */
export async function pixelSignature(
  source: ImageSource,
  options: PixelHashOptions = {},
  task: TaskOptions = {},
): Promise<string> {
  const known = signatures.get(source) ?? new Map<string, string>();
  signatures.set(source, known);
  const key = JSON.stringify([options.channels ?? null, options.extent ?? 'auto']);
  const signature = known.get(key) ?? (await readSignature(source, options, task));
  known.set(key, signature);
  return signature;
}

const signatures = new WeakMap<ImageSource, Map<string, string>>();

async function readSignature(
  source: ImageSource,
  { channels, extent = 'auto' }: PixelHashOptions,
  task: TaskOptions,
): Promise<string> {
  const { y: height, x: width } = source.sizes;
  const planes = planeCount(source);
  const rowBytes = width * (channels?.length ?? source.sizes.c) * bytesPerPixel(source);
  const full = extent === 'full' || (extent === 'auto' && rowBytes * height * planes <= FULL_LIMIT);
  const hash = sha1.create();
  const read = async (plane: number, box: readonly [number, number, number, number]) => {
    task.signal?.throwIfAborted();
    const { data } = await source.readRegion({ ...planeAt(source, plane), channels, box }, { signal: task.signal });
    return rawBytes(data);
  };
  if (full) {
    const rows = Math.max(1, Math.floor(BAND_BYTES / rowBytes));
    for (let plane = 0; plane < planes; plane++) {
      for (let y = 0; y < height; y += rows) hash.update(await read(plane, [y, 0, Math.min(height, y + rows), width]));
      task.onProgress?.({ done: plane + 1, total: planes, message: 'Reading the image' });
    }
    return bytesToHex(hash.digest());
  }
  const { name, dtype, sizes } = source;
  hash.update(new TextEncoder().encode(JSON.stringify({ name, dtype, sizes, channels: channels ?? null })));
  const sampleAt = (i: number) => {
    // Low-discrepancy positions: spread evenly, and never on one grid line (Roberts 2018, R3 sequence).
    const at = (step: number, length: number) => Math.floor(((0.5 + (i + 1) * step) % 1) * length);
    const y = Math.min(at(0.8191725, height), Math.max(0, height - SAMPLE_SIDE));
    const x = Math.min(at(0.6710436, width), Math.max(0, width - SAMPLE_SIDE));
    const box = [y, x, Math.min(height, y + SAMPLE_SIDE), Math.min(width, x + SAMPLE_SIDE)] as const;
    return read(at(0.5497005, planes), box);
  };
  // Some at a time, because every one may be a request to a server.
  for (let first = 0; first < SAMPLES; first += SAMPLES_AT_ONCE) {
    const some = Array.from({ length: SAMPLES_AT_ONCE }, (_, i) => sampleAt(first + i));
    for (const data of await Promise.all(some)) hash.update(data);
  }
  return `sampled:${bytesToHex(hash.digest())}`;
}

const FULL_LIMIT = 2 ** 28;
const BAND_BYTES = 2 ** 24;
const SAMPLES = 64;
const SAMPLES_AT_ONCE = 16;
const SAMPLE_SIDE = 128;

function bytesPerPixel({ dtype }: ImageSource): number {
  return Number(/\d+/.exec(dtype)?.[0]) / 8;
}

function rawBytes(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** How stored attributes differ from the wanted signature. Keys that the store lacks are warnings, as in micro-sam. */
export function compareSignatures(
  stored: Readonly<Record<string, unknown>>,
  wanted: Signature,
): { mismatches: (keyof Signature)[]; warnings: (keyof Signature)[] } {
  const mismatches: (keyof Signature)[] = [];
  const warnings: (keyof Signature)[] = [];
  for (const key of keysOf(wanted)) {
    const got = key === 'intensity' ? (stored[key] ?? MICRO_SAM_INTENSITY) : stored[key];
    if (JSON.stringify(got ?? null) === JSON.stringify(wanted[key])) continue;
    const fatal = key in stored || key === 'intensity' ? isFatal(key, got, wanted[key]) : false;
    (fatal ? mismatches : warnings).push(key);
  }
  return { mismatches, warnings };
}

export const MICRO_SAM_INTENSITY = 'min-max';

/**
 * Stricter than micro-sam, which only warns of another model name: vit_b and vit_b_lm share their type and nothing else.
 * Hashes are compared only within one scheme (micro-sam hashes the PyTorch checkpoint, we the ONNX file).
 */
function isFatal(key: keyof Signature, got: unknown, wanted: unknown): boolean {
  if (key === 'micro_sam_version') return false;
  if (key !== 'model_hash') return true;
  const scheme = (hash: unknown) => (typeof hash === 'string' ? hash.split(':')[0] : undefined);
  return scheme(got) !== undefined && scheme(got) === scheme(wanted);
}

/** What each differing key means to a person. */
export const SIGNATURE_MEANING: Readonly<Record<keyof Signature, string>> = {
  data_signature: 'another image, or other channels of it',
  tile_shape: 'another tile size',
  halo: 'another tile overlap',
  model_type: 'another kind of model',
  model_name: 'another model',
  model_hash: 'other weights of the model',
  micro_sam_version: 'another version of the program',
  intensity: 'another intensity range',
};
