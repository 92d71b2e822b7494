import { SamError } from '../errors.js';
import { hasMembers } from '../items.js';
import {
  DECODER_FAMILIES,
  type DecoderLayout,
  ENCODER_PRECISIONS,
  type EncoderInput,
  type ModelFile,
  type ModelSpec,
} from '../model/model-spec.js';

/**
 * What a client sends as a model, checked before anything is done with it: a name, or all of a declaration. A worker that
 * took an object for a name would open whatever files the object names.
 */

/** @throws SamError `invalid_argument` */
export function modelName(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new SamError('invalid_argument', `Expected the name of a model, got ${kindOf(value)}.`);
}

/** @throws SamError `invalid_argument` */
export function modelSpec(value: unknown): ModelSpec {
  const spec = record(value, 'model');
  return {
    name: named(spec.name, 'name'),
    description: typeof spec.description === 'string' ? spec.description : '',
    encoder: modelFile(spec.encoder, 'encoder'),
    ...(isGiven(spec.encoderDelta) && { encoderDelta: modelFile(spec.encoderDelta, 'encoderDelta') }),
    ...(isGiven(spec.encoderPrecision) && { encoderPrecision: oneOf(spec.encoderPrecision, ENCODER_PRECISIONS) }),
    decoder: modelFile(spec.decoder, 'decoder'),
    ...(isGiven(spec.instances) && { instances: modelFile(spec.instances, 'instances') }),
    ...(isGiven(spec.earlyFeatures) && { earlyFeatures: names(spec.earlyFeatures, 'earlyFeatures') }),
    encoderInput: encoderInput(spec.encoderInput),
    decoderLayout: decoderLayout(spec.decoderLayout),
  };
}

function modelFile(value: unknown, part: string): ModelFile {
  const { url, bytes, sha256, digest } = record(value, part);
  if (isGiven(bytes) && !(typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0))
    throw wrong(`${part}.bytes`, 'a number of bytes', bytes);
  if (isGiven(sha256) && !/^[0-9a-f]{64}$/i.test(String(sha256)))
    throw wrong(`${part}.sha256`, '64 hexadecimal digits', sha256);
  return {
    url: named(url, `${part}.url`),
    ...(typeof bytes === 'number' && { bytes }),
    ...(typeof sha256 === 'string' && { sha256 }),
    ...(typeof digest === 'string' && { digest }),
  };
}

function encoderInput(value: unknown): EncoderInput {
  const { name, layout, side, resize, mean, std, output } = record(value, 'encoderInput');
  if (typeof side !== 'number' || !Number.isInteger(side) || side < 16 || side > LARGEST_SIDE)
    throw wrong('encoderInput.side', `16 to ${LARGEST_SIDE} pixels`, side);
  return {
    layout: oneOf(layout, ['nchw', 'hwc']),
    side,
    resize: oneOf(resize, ['longest-side', 'stretch']),
    mean: colour(mean, 'mean'),
    std: colour(std, 'std'),
    ...(typeof name === 'string' && { name }),
    ...(typeof output === 'string' && { output }),
  };
}

function decoderLayout(value: unknown): DecoderLayout {
  const layout = record(value, 'decoderLayout');
  return {
    family: oneOf(layout.family, DECODER_FAMILIES),
    ...(isGiven(layout.names) && { names: names(layout.names, 'decoderLayout.names') }),
    ...(isGiven(layout.levels) && { levels: levels(layout.levels) }),
    ...(isGiven(layout.padding) && { padding: oneOf(layout.padding, ['caller', 'graph']) }),
  };
}

const MOST_LEVELS = 4;

function levels(value: unknown): DecoderLayout['levels'] {
  const what = 'decoderLayout.levels';
  if (!Array.isArray(value) || value.length > MOST_LEVELS) throw wrong(what, `a list of at most ${MOST_LEVELS}`, value);
  return value.map((level) => {
    const { output, input } = record(level, what);
    return { output: named(output, what), input: named(input, what) };
  });
}

const LARGEST_SIDE = 4096;

function colour(value: unknown, name: string): readonly [number, number, number] {
  const numbers = Array.isArray(value) ? value.filter((part): part is number => Number.isFinite(part)) : [];
  const [red, green, blue] = numbers;
  const whole = Array.isArray(value) && value.length === 3;
  if (whole && red !== undefined && green !== undefined && blue !== undefined) return [red, green, blue];
  throw wrong(`encoderInput.${name}`, 'three numbers', value);
}

/** Absent members arrive as null. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function names(value: unknown, what: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record(value, what)).map(([key, name]) => [key, named(name, what)]));
}

function oneOf<const T extends string>(value: unknown, known: readonly T[]): T {
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  throw wrong('model', known.join(' or '), value);
}

function named(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw wrong(what, 'text', value);
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (hasMembers(value)) return value;
  throw wrong(what, 'an object', value);
}

function wrong(what: string, expected: string, got: unknown): SamError {
  return new SamError('invalid_argument', `${what} of a model should be ${expected}, got ${kindOf(got)}.`);
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  return typeof value === 'number' ? String(value) : Array.isArray(value) ? 'a list' : typeof value;
}
