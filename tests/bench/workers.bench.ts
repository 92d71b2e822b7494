import { readFileSync } from 'node:fs';
import { DEFAULT_MODEL } from '../../src/model/registry.js';
import { type HyphaWorker, startHyphaWorker } from '../../src/worker/hosts/hypha-server.js';
import { connectFromNode, openSocketInNode } from '../../src/worker/hosts/websocket-client.js';
import { brightWorker } from '../support/bright-worker.js';
import { type HyphaHub, hyphaHub } from '../support/hypha-hub.js';
import { seededRandom } from '../support/random.js';
import { diskImage } from '../support/real-worker.js';
import { atLeast, atMost, type Figure, reported } from './figure.js';

/**
 * Replicas behind a Hypha server, with a delay in place of the model: how much of their number arrives, and what is lost and
 * done twice when half of them die at random moments.
 */
const DELAY_MS = 1000;
const ITEMS = 24;

export default async (): Promise<Figure[]> => {
  const seconds: number[] = [];
  let waited = 0;
  for (const count of [1, 2, 4]) {
    const before = waitedForProcessor();
    seconds.push((await batch(count)).seconds);
    waited = (waitedForProcessor() - before) / seconds.at(-1)!;
  }
  const efficiency = (count: number, time: number) => seconds[0] / (count * time);
  let lost = 0;
  let twice = 0;
  for (let seed = 1; seed <= 3; seed++) {
    const { done, computed } = await batch(4, seed);
    lost += ITEMS - done;
    twice = Math.max(twice, computed - ITEMS);
  }
  return [
    atLeast('scale_out_2_workers', efficiency(2, seconds[1]), 'ratio', 0.9),
    atLeast('scale_out_4_workers', efficiency(4, seconds[2]), 'ratio', 0.9),
    // Where this is more than a few hundredths, others have the machine, and the two above say little.
    reported('scale_out_4_workers_waited', waited, 'of the time, for a processor'),
    atMost('scale_out_lost_items', lost, `of ${3 * ITEMS}`, 0),
    // Of each that dies the one it was computing, and the one whose answer was under way.
    atMost('scale_out_repeated_items', twice, 'items', 4),
  ];
};

/** Seconds that this thread could have gone on and had no processor, where the system counts them. */
function waitedForProcessor(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e9;
  } catch {
    return 0;
  }
}

/** @param seed of the moments at which half of the workers die; none does if absent */
async function batch(count: number, seed?: number) {
  const hub = await hyphaHub();
  const workers = Array.from({ length: count }, () => oneAtATime());
  const registered = await Promise.all(workers.map(({ worker }) => register(hub, worker)));
  const pool = await connectFromNode(hub.address());
  const dying = seed === undefined ? 0 : count / 2;
  const random = seededRandom(seed ?? 0);
  const timers = registered
    .slice(0, dying)
    .map((worker, i) => setTimeout(() => die(worker, workers[i]), ((random() * ITEMS) / count) * DELAY_MS));
  const started = performance.now();
  const results = await Promise.allSettled(
    Array.from({ length: ITEMS }, () => pool.encode(DEFAULT_MODEL, diskImage(64))),
  );
  const seconds = (performance.now() - started) / 1000;
  for (const timer of timers) clearTimeout(timer);
  await pool.close();
  for (const worker of registered) worker.close();
  await hub.close();
  const done = results.filter(({ status }) => status === 'fulfilled').length;
  return { seconds, done, computed: workers.reduce((sum, { worker }) => sum + worker.encoded, 0) };
}

function register({ server, token }: HyphaHub, worker: ReturnType<typeof brightWorker>) {
  return startHyphaWorker({ server, token, worker, openSocket: openSocketInNode });
}

function die(registered: HyphaWorker, worker: ReturnType<typeof oneAtATime>): void {
  registered.close();
  worker.end();
}

/** As a model computes. */
function oneAtATime() {
  const worker = brightWorker(DELAY_MS);
  let ended = false;
  let last: Promise<unknown> = Promise.resolve();
  const encode: typeof worker.encode = (...args) => {
    const job = last.then(() => {
      if (ended) throw new Error('The worker is dead.');
      return worker.encode(...args);
    });
    last = job.catch(() => undefined);
    return job;
  };
  const end = () => {
    ended = true;
  };
  return { end, worker: Object.defineProperties({ ...worker, encode }, { encoded: { get: () => worker.encoded } }) };
}
