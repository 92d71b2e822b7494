import { SamError } from '../../src/errors.js';
import { withExternalData } from '../../src/onnx/external-data.js';
import { readModel } from '../../src/onnx/read.js';
import type { Connection } from '../../src/worker/connection.js';
import { packMessage, unpackMessage } from '../../src/worker/wire.js';
import { PLACES, withWeightsIn } from './external-model.js';
import { randomInteger, seededRandom } from './random.js';
import { TINY_MODEL } from './tiny-model.js';

/**
 * Models and messages that are wrong in ways that their grammar allows: fields of a graph given other lengths, numbers and
 * types, arguments of a call of other kinds. Each may be refused with an error of ours, or taken; nothing else may happen.
 */
export interface FuzzOutcome {
  readonly cases: number;
  readonly failures: readonly string[];
  readonly refused: number;
}

const HANG_MS = 5000;

async function attempt(what: string, failures: string[], job: () => unknown): Promise<boolean> {
  const started = performance.now();
  try {
    await job();
    return false;
  } catch (error) {
    if (!(error instanceof SamError) || error.code === 'internal')
      failures.push(`${what}: ${error instanceof Error ? error.stack : error}`);
    return true;
  } finally {
    if (performance.now() - started > HANG_MS) failures.push(`${what}: took ${performance.now() - started} ms`);
  }
}

/** Models whose fields were changed, as the reader and the guard of external data meet them. */
export async function fuzzModels(count: number, seed: number): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const whole = Buffer.from(TINY_MODEL.encoder.url.split(',')[1], 'base64');
  const seeds = [new Uint8Array(whole), ...PLACES.map((place) => withWeightsIn(whole, 'weights', place).model)];
  const failures: string[] = [];
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const bytes = changed(seeds[randomInteger(random, 0, seeds.length)], random);
    const outcome = await attempt(`model ${seed}/${i}`, failures, async () => {
      readModel(bytes);
      await withExternalData(bytes, async () => new Uint8Array(64));
    });
    if (outcome) refused++;
  }
  return { cases: count, failures, refused };
}

/** Messages as they arrive over a socket. */
export async function fuzzWire(count: number, seed: number): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const good = packMessage({
    type: 'method',
    name: 'encode',
    args: [1, { data: new Uint8Array(30), shape: [2, 5, 3] }],
  });
  const failures: string[] = [];
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const bytes = changed(good, random);
    if (await attempt(`message ${seed}/${i}`, failures, () => unpackMessage(bytes))) refused++;
  }
  return { cases: count, failures, refused };
}

/** A few places get another byte, another length, or are cut out or doubled; the beginning, where lengths stand, more often. */
function changed(seed: Uint8Array, random: () => number): Uint8Array {
  let bytes = seed.slice();
  for (let k = randomInteger(random, 1, 4); k > 0 && bytes.length > 1; k--) {
    const near = random() < 0.7 ? Math.min(bytes.length, 400) : bytes.length;
    const at = randomInteger(random, 0, near);
    const kind = randomInteger(random, 0, 5);
    if (kind === 0) bytes[at] = randomInteger(random, 0, 256);
    else if (kind === 1) bytes[at] ^= 1 << randomInteger(random, 0, 8);
    else if (kind === 2) bytes.fill(0xff, at, at + randomInteger(random, 1, 11));
    else if (kind === 3) bytes = bytes.slice(0, at + 1);
    else {
      const end = Math.min(bytes.length, at + randomInteger(random, 1, 40));
      bytes = Uint8Array.from([...bytes.subarray(0, end), ...bytes.subarray(at)]);
    }
  }
  return bytes;
}

/** Calls of the worker's functions with arguments of other kinds in place of one or several good ones. */
export async function fuzzCalls(
  { call }: Connection,
  good: Readonly<Record<string, readonly unknown[]>>,
  count: number,
  seed: number,
): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const names = Object.keys(good);
  const failures: string[] = [];
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const name = names[randomInteger(random, 0, names.length)];
    const args = good[name].map((argument) => (random() < 0.6 ? argument : other(argument, random)));
    if (random() < 0.1) args.length = randomInteger(random, 0, args.length + 1);
    const task = random() < 0.95 ? i : (other(i, random) as number);
    if (await attempt(`${name} ${seed}/${i}`, failures, () => call(name, task, ...args))) refused++;
  }
  return { cases: count, failures, refused };
}

/** Something else of the same place: of an object, one member; else a value of any kind. */
export function other(value: unknown, random: () => number): unknown {
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (isPlain && random() < 0.8) {
    const keys = Object.keys(value);
    const key = keys[randomInteger(random, 0, keys.length)];
    const members = value as Readonly<Record<string, unknown>>;
    return { ...members, [key]: other(members[key], random) };
  }
  const values = [
    null,
    undefined,
    0,
    -1,
    1e300,
    0.5,
    '',
    'x',
    '../x',
    true,
    [],
    [1],
    {},
    { data: 1 },
    new Uint8Array(3),
    new Float32Array(7),
    [[[]]],
    [-1, 5],
    [2 ** 40, 3, 3],
  ];
  return values[randomInteger(random, 0, values.length)];
}
