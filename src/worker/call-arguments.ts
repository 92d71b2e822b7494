import { type ErrorCode, SamError } from '../errors.js';
import { hasMembers } from '../items.js';
import type { DecodeOptions, Embedding, SamPrompts } from '../model/sam-tensors.js';
import type { Tensor } from '../ndimage/array.js';
import type { CandidateOptions } from './sam-worker.js';

/**
 * What a client sends to be computed with, checked before it is: another program may send anything, and sizes that do not
 * fit each other would end in an error of nobody's or in memory without end. Models are in model-argument.ts.
 */
const FEATURES = 256 * 64 * 64;
const MASK = 256 * 256;
/** Of one call that gives whole masks, of which each takes a megabyte. */
const MOST_MASKS = 1024;
const MOST_PROMPTS = 1 << 17;

/** An embedding as it is sent: without features if the worker should have them. */
export type SentEmbedding = Omit<Embedding, 'features'> & Partial<Pick<Embedding, 'features'>>;

/** [H, W, 3] uint8. @throws SamError `invalid_image` */
export function imageArgument(value: unknown): Tensor<Uint8Array> {
  const { data, shape } = record(value, 'invalid_image', 'an image');
  const sizes = Array.isArray(shape) && shape.every((length) => Number.isInteger(length) && length >= 0) ? shape : [];
  if (data instanceof Uint8Array && sizes.length > 0) return { data, shape: sizes };
  throw wrong('invalid_image', 'an image of bytes with its shape', value);
}

/** @throws SamError `invalid_argument` */
export function embeddingArgument(value: unknown): SentEmbedding {
  const { id, features, early, levels, inputSize, originalSize } = record(value, 'invalid_argument', 'an embedding');
  const fits =
    typeof id === 'string' &&
    id.length <= 100 &&
    isSize(inputSize, 1024) &&
    isSize(originalSize, 2 ** 31) &&
    (!isGiven(features) || isTensor(features, Float32Array, FEATURES)) &&
    (!isGiven(early) || isEarly(early)) &&
    (!isGiven(levels) || (Array.isArray(levels) && levels.every((one) => isTensor(one, Uint16Array))));
  if (!fits) throw wrong('invalid_argument', 'an embedding of this program', value);
  return {
    id,
    inputSize,
    originalSize,
    ...(isGiven(features) && { features }),
    ...(isGiven(early) && { early }),
    ...(isGiven(levels) && { levels }),
  };
}

/**
 * @param most prompts of one call
 * @throws SamError `invalid_prompt`
 */
function promptsArgument(value: unknown, most: number): SamPrompts {
  const { coords, labels, batch, points, maskInput } = record(value, 'invalid_prompt', 'prompts');
  const count = Number(batch) * Number(points);
  const fits =
    isCount(batch, most) &&
    isCount(points, 4096) &&
    coords instanceof Float32Array &&
    labels instanceof Float32Array &&
    coords.length === 2 * count &&
    labels.length === count &&
    (!isGiven(maskInput) || (maskInput instanceof Float32Array && maskInput.length === Number(batch) * MASK));
  if (!fits) throw wrong('invalid_prompt', `at most ${most} prompts whose arrays fit each other`, value);
  return { coords, labels, batch, points, ...(isGiven(maskInput) && { maskInput }) };
}

/** Prompts and options of `decode`. */
export function decodeArguments(prompts: unknown, asked: unknown): [SamPrompts, DecodeOptions] {
  const { iouFloor, edges } = isGiven(asked) ? record(asked, 'invalid_argument', 'options') : {};
  return [
    promptsArgument(prompts, MOST_MASKS),
    {
      ...(isGiven(iouFloor) && { iouFloor: number(iouFloor, 'iouFloor') }),
      ...(isGiven(edges) && { edges: edgeOptions(edges) }),
    },
  ];
}

/** Prompts and options of `decodeCandidates`. */
export function candidateArguments(prompts: unknown, asked: unknown): [SamPrompts, CandidateOptions] {
  const { iouFloor, stabilityFloor } = record(asked, 'invalid_argument', 'options');
  return [
    promptsArgument(prompts, MOST_PROMPTS),
    { iouFloor: number(iouFloor, 'iouFloor'), stabilityFloor: number(stabilityFloor, 'stabilityFloor') },
  ];
}

function edgeOptions(value: unknown): DecodeOptions['edges'] {
  const { tokens, background } = record(value, 'invalid_argument', 'edges');
  if (Array.isArray(tokens) && tokens.length <= 4 && tokens.every((token) => isCount(token, 3)))
    return { tokens, background: background === true };
  throw wrong('invalid_argument', 'edges with the tokens of masks, 0 to 3', value);
}

function isEarly(value: unknown): value is NonNullable<Embedding['early']> {
  return Object.values(record(value, 'invalid_argument', 'early')).every((one) => isTensor(one, Uint16Array));
}

function isTensor<T extends Float32Array | Uint16Array>(
  value: unknown,
  type: new (length: number) => T,
  length?: number,
): value is Tensor<T> {
  const { data, shape } = record(value, 'invalid_argument', 'an array');
  if (!(data instanceof type) || !Array.isArray(shape)) return false;
  return (
    data.length === shape.reduce((product, one) => product * Number(one), 1) && (length ?? data.length) === data.length
  );
}

function isSize(value: unknown, most: number): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((one) => isCount(one, most) && one > 0);
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

function number(value: unknown, name: string): number {
  if (typeof value === 'number' && !Number.isNaN(value)) return value;
  throw wrong('invalid_argument', `a number as ${name}`, value);
}

/** Absent members arrive as null. */
function isGiven(value: unknown): value is NonNullable<unknown> {
  return value !== undefined && value !== null;
}

function record(value: unknown, code: ErrorCode, what: string): Readonly<Record<string, unknown>> {
  if (hasMembers(value)) return value;
  throw wrong(code, what, value);
}

function wrong(code: ErrorCode, expected: string, got: unknown): SamError {
  const kind = got === null ? 'null' : Array.isArray(got) ? 'a list' : typeof got;
  return new SamError(code, `Expected ${expected}, got ${kind === 'object' ? 'something else' : kind}.`);
}
