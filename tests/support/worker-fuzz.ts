import { SamError } from '../../src/errors.js';
import { withExternalData } from '../../src/onnx/external-data.js';
import { readModel } from '../../src/onnx/read.js';
import { Connection } from '../../src/worker/connection.js';
import { PROTOCOL } from '../../src/worker/sam-worker.js';
import { packMessage, unpackMessage } from '../../src/worker/wire.js';
import { bytesChannel } from './bytes-channel.js';
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

const HANG_MS = 30_000;

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
    type: 'call',
    id: 1,
    name: 'encode',
    args: ['tiny', { data: new Uint8Array(30), shape: [2, 5, 3] }, new Float64Array(5), new ArrayBuffer(9)],
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

/**
 * Messages of a connection with members of other kinds. Whatever comes, the link is either closed with a sentence or goes on
 * answering, and nothing is thrown into whoever delivers it.
 */
export async function fuzzMessages(count: number, seed: number): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const failures: string[] = [];
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const { here, there } = bytesChannel();
    new Connection(here, { echo: async (_, ...args) => args, fail: () => Promise.reject(new Error('No.')) });
    let pongs = 0;
    let closed: string | undefined;
    there.onMessage((message) => (message as { type: string }).type === 'pong' && pongs++);
    here.onClose((reason) => {
      closed = reason;
    });
    const greeting = { type: 'hello', protocol: PROTOCOL };
    const greeted = random() < 0.95;
    const messages = [
      greeted ? greeting : other(greeting, random),
      ...Array.from({ length: 3 }, () => other(goodMessage(random), random)),
      { type: 'ping' },
    ];
    try {
      for (const message of messages) if (closed === undefined) there.send(message as object);
    } catch (error) {
      if (closed === undefined) failures.push(`message ${seed}/${i}: ${error instanceof Error ? error.stack : error}`);
    }
    if (closed !== undefined) refused++;
    if (closed === undefined ? pongs === 0 : !/^The other side s(ent|peaks) .*\.$/.test(closed))
      failures.push(`message ${seed}/${i}: ${pongs} answers, closed for ${closed}: ${JSON.stringify(messages)}`);
    await Promise.resolve(); // a failure of what was called would come now
  }
  return { cases: count, failures, refused };
}

function goodMessage(random: () => number): object {
  const id = randomInteger(random, 1, 5);
  const messages = [
    { type: 'call', id, name: ['echo', 'fail', 'constructor', 'toString'][randomInteger(random, 0, 4)], args: [1, {}] },
    { type: 'cancel', id },
    { type: 'progress', id, progress: { done: 1, total: 2, message: 'x' } },
    { type: 'value', id, value: { a: [1] } },
    { type: 'error', id, error: { code: 'unsupported', message: 'x', details: {} } },
    { type: 'hello', protocol: PROTOCOL },
    { type: 'pong' },
  ];
  return messages[randomInteger(random, 0, messages.length)];
}

/** Calls of the worker's functions with arguments of other kinds in place of one or several good ones. */
export async function fuzzCalls(
  connection: Connection,
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
    if (await attempt(`${name} ${seed}/${i}`, failures, () => connection.call(name, args))) refused++;
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
