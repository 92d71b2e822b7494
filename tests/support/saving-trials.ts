import { SamError } from '../../src/errors.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import type { Autosave } from '../../src/session/saving/autosave.js';
import { rootOf } from '../../src/session/saving/home.js';
import { Journal } from '../../src/session/saving/journal.js';
import { recordJson } from '../../src/session/saving/records.js';
import { rootsOf } from '../../src/session/saving/saved-work.js';
import { seal, unseal } from '../../src/session/saving/sealed.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectRecord } from '../../src/session/state.js';
import { DiscAnnotator } from './disc-annotator.js';
import { openSaved } from './open-saved.js';
import { randomInteger, seededRandom } from './random.js';
import { randomStep, WALK_IMAGE } from './session-walk.js';

/**
 * What "saved" promises, tried many times: kills at any operation of the store, two writers at once, damage anywhere.
 * Short in the ordinary tests (tests/session/saving.test.ts), long in the bench (tests/bench/saving.bench.ts).
 */
export interface Losses {
  readonly trials: number;
  /** In words, one for each trial that lost something. */
  readonly losses: readonly string[];
}

/** The work of an image as text: what the journal restores, and each of its branches. */
export async function savedTexts(store: Store, image: ImageInfo): Promise<{ main: string; branches: string[] }> {
  const textOf = async (root?: string) => {
    const { restored } = await Journal.open(store, image, root);
    const session = new AnnotationSession();
    session.open(image, undefined, restored);
    return exportSession(session.state);
  };
  const roots = rootsOf(await listKeys(store), rootOf(image));
  return { main: await textOf(), branches: await Promise.all(roots.map((root) => textOf(root))) };
}

const died = () => new SamError('storage', 'The program was killed.');

/** A program that dies at one of the writing operations of its stores, before or after it was done; nothing works from then on. */
export class Mortal {
  isDead = false;
  private operations = 0;

  constructor(
    private readonly diesAt: number,
    private readonly afterwards: boolean,
  ) {}

  store(inner: Store): Store {
    return {
      ...inner,
      get: (key, options) => (this.isDead ? Promise.reject(died()) : inner.get(key, options)),
      list: (prefix) => this.list(inner, prefix),
      set: (key, value) => this.write(() => inner.set(key, value)),
      create: (key, value) => this.write(() => inner.create(key, value)),
      delete: (key) => this.write(() => inner.delete(key)),
    };
  }

  private async *list(inner: Store, prefix?: string): AsyncIterable<string> {
    if (this.isDead) throw died();
    yield* inner.list(prefix);
  }

  private async write<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) throw died();
    if (this.operations++ !== this.diesAt) return work();
    this.isDead = true;
    if (this.afterwards) await work();
    throw died();
  }
}

/**
 * Annotates at random over and over on one store, each time until the program dies at a random operation: appending,
 * taking a snapshot, thinning. What was acknowledged must be restored, or what was done after it.
 */
export async function killTrials(trials: number, seed: number): Promise<Losses> {
  const random = seededRandom(seed);
  const losses: string[] = [];
  let inner = memoryStore();
  let allowed: string[] | undefined;
  for (let trial = 0; trial < trials; trial++) {
    if (trial % 200 === 0) [inner, allowed] = [memoryStore(), undefined];
    const mortal = new Mortal(Math.floor(random() ** 2 * 60), random() < 0.5);
    const store = mortal.store(inner);
    const session = new AnnotationSession();
    const autosave = await openSaved(session, store, WALK_IMAGE, new DiscAnnotator([60, 80]));
    const restored = exportSession(session.state);
    if (allowed && !allowed.includes(restored) && !allowed.map(asRestored).includes(restored))
      losses.push(`trial ${trial}: restored what was never acknowledged last`);
    allowed = await annotateUntilDeath(session, autosave, mortal, random, restored, trial);
  }
  return { trials, losses };
}

/** As it comes back: an object being edited that is not there any more is not pointed to. */
function asRestored(text: string): string {
  const session = new AnnotationSession();
  session.open(WALK_IMAGE, undefined, importSession(text, WALK_IMAGE));
  return exportSession(session.state);
}

/** @returns the states that may be restored: the last that was acknowledged and all after it */
async function annotateUntilDeath(
  session: AnnotationSession,
  autosave: Autosave,
  mortal: Mortal,
  random: () => number,
  restored: string,
  trial: number,
): Promise<string[]> {
  let allowed = [restored];
  for (let step = 0; !mortal.isDead && step < 200; step++) {
    // Each change by itself, as autosave may write between the parts of a command.
    const unsubscribe = session.subscribe((state, previous) => {
      if (
        state.layers !== previous.layers ||
        state.prompts !== previous.prompts ||
        state.settings !== previous.settings
      )
        allowed.push(exportSession(state));
    });
    if (random() < 0.1) session.undo();
    else await randomStep(session, random, trial * 1000 + step);
    unsubscribe();
    allowed.push(exportSession(session.state));
    if (random() < 0.4) continue;
    const acknowledged = await autosave.flush().then(
      () => true,
      () => false,
    );
    if (acknowledged) allowed = [exportSession(session.state)];
  }
  await autosave.close();
  return allowed;
}

/** Two windows or more save the same image at the same time, over a store whose operations take random turns. */
export async function raceTrials(
  trials: number,
  seed: number,
  windows = 2,
  open: (trial: number) => Store = () => memoryStore(),
): Promise<Losses> {
  const random = seededRandom(seed);
  const losses: string[] = [];
  for (let trial = 0; trial < trials; trial++) {
    const store = slowStore(open(trial), random);
    const raced = await Promise.all(
      Array.from({ length: windows }, (_, writer) => raceOnce(store, WALK_IMAGE, trial * windows + writer)),
    );
    losses.push(...(await lostInRace(store, WALK_IMAGE, raced)).map((what) => `race ${trial}: ${what}`));
  }
  return { trials, losses };
}

/** What one window of a race found when it opened the image, and what it was told is saved when it closed it. */
export interface Raced {
  readonly found: string;
  readonly told: string;
}

/** One window of a race: opens, commits some objects, and closes. */
export async function raceOnce(store: Store, image: ImageInfo, seed: number): Promise<Raced> {
  const random = seededRandom(seed);
  const session = new AnnotationSession();
  const autosave = await openSaved(session, store, image, new DiscAnnotator(image.size));
  const found = exportSession(session.state);
  const commits = randomInteger(random, 1, 4);
  for (let commit = 0; commit < commits; commit++) {
    const at = [randomInteger(random, 0, 60) + 0.5, randomInteger(random, 0, 80) + 0.5] as const;
    const id = `${seed}-${commit}`;
    await session.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at, positive: true }] });
    await session.run('commit', { preserveMode: 'none' });
    if (random() < 0.7) await autosave.flush();
  }
  await autosave.flush();
  await autosave.close();
  return { found, told: exportSession(session.state) };
}

/** What was told to be saved and is neither in the journal nor in a branch, nor where another window went on from. */
export async function lostInRace(store: Store, image: ImageInfo, windows: readonly Raced[]): Promise<string[]> {
  const { main, branches } = await savedTexts(store, image);
  const kept = [main, ...branches, ...windows.map(({ found }) => found)];
  return windows.filter(({ told }) => !kept.includes(told)).map(({ told }) => `lost ${told.length} characters`);
}

function slowStore(inner: Store, random: () => number): Store {
  const turn = async () => {
    for (let wait = randomInteger(random, 0, 4); wait > 0; wait--) await Promise.resolve();
  };
  return {
    ...inner,
    get: async (key) => turn().then(() => inner.get(key)),
    create: async (key, value) => turn().then(() => inner.create(key, value)),
    delete: async (key) => turn().then(() => inner.delete(key)),
  };
}

/**
 * Annotates at random on a store that refuses for a while now and then (full, denied, away), with or without having done
 * what it was asked. Once it takes everything again, all that was done must be there, and nothing be called damaged.
 */
export async function refusalTrials(trials: number, seed: number): Promise<Losses> {
  const random = seededRandom(seed);
  const losses: string[] = [];
  for (let trial = 0; trial < trials; trial++) {
    const inner = memoryStore();
    const store = new Moody(inner, random);
    const meanwhile = trial % 2 === 0 ? undefined : memoryStore();
    for (let opening = 0; opening < 2; opening++) {
      const session = new AnnotationSession();
      const autosave = await openSaved(session, store, WALK_IMAGE, new DiscAnnotator([60, 80]), meanwhile);
      store.isMoody = true;
      for (let step = 0; step < 30; step++) {
        await randomStep(session, random, trial * 1000 + opening * 100 + step);
        if (random() < 0.5) await autosave.flush().catch(() => undefined);
      }
      store.isMoody = false;
      await autosave.flush();
      await autosave.close();
      const { restored, notice } = await Journal.open(inner, WALK_IMAGE);
      const again = new AnnotationSession();
      again.open(WALK_IMAGE, undefined, restored);
      const isSame = exportSession(again.state) === exportSession(session.state);
      if (!isSame || notice) losses.push(`trial ${trial}, opening ${opening}: ${notice ?? 'something is missing'}`);
    }
  }
  return { trials, losses };
}

class Moody implements Store {
  isMoody = false;
  private refuses = false;
  readonly name: string;

  constructor(
    private readonly inner: Store,
    private readonly random: () => number,
  ) {
    this.name = inner.name;
  }

  get: Store['get'] = (key, options) => this.inner.get(key, options);
  list: Store['list'] = (prefix) => this.inner.list(prefix);
  set: Store['set'] = (key, value) => this.write(() => this.inner.set(key, value));
  create: Store['create'] = (key, value) => this.write(() => this.inner.create(key, value));
  delete: Store['delete'] = (key) => this.write(() => this.inner.delete(key));

  private async write<T>(work: () => Promise<T>): Promise<T> {
    if (this.isMoody && this.random() < 0.15) this.refuses = !this.refuses;
    if (!this.isMoody || !this.refuses) return work();
    if (this.random() < 0.4) await work();
    throw new SamError('storage', 'No space is left.');
  }
}

export const DAMAGED_OBJECTS = 90;

/**
 * 90 objects, of which some came one by one and some together; one byte anywhere among the files is changed, or one
 * file is missing, and the image is opened again.
 *
 * @param places how many bytes are changed
 * @returns how many trials restored fewer objects as they were than all but one for each place, and the least number
 */
export async function damageTrials(
  trials: number,
  seed: number,
  places = 1,
): Promise<{ failed: number; least: number }> {
  const random = seededRandom(seed);
  const image: ImageInfo = { ...WALK_IMAGE, size: [200, 200] };
  const journals = await Promise.all([
    journalOf(
      image,
      [...Array(DAMAGED_OBJECTS).keys()].map(() => 1),
    ),
    journalOf(image, [DAMAGED_OBJECTS]),
    journalOf(image, [30, ...Array(60).fill(1)]),
  ]);
  let failed = 0;
  let least = DAMAGED_OBJECTS;
  for (let trial = 0; trial < trials; trial++) {
    const { files, objects } = journals[trial % journals.length];
    let damaged: ReadonlyMap<string, Uint8Array> = files;
    for (let place = 0; place < places; place++)
      damaged = damagedFiles(damaged, random, trial % 10 === 9 && place === 0);
    const store = memoryStore('damaged', new Map(damaged));
    const { restored } = await Journal.open(store, image);
    const found = new Set(objectTexts(restored?.layers?.committed_objects.objects));
    const count = objects.filter((text) => found.has(text)).length;
    least = Math.min(least, count);
    if (count < DAMAGED_OBJECTS - places) failed++;
  }
  return { failed, least };
}

/**
 * A newer version of the program has saved one of the files, each in turn: what an older one finds, and whether that file
 * is still there after it has saved work of its own.
 */
export async function newerTrials(): Promise<{ kind: string; lost: number; notice?: string; isKept: boolean }[]> {
  const image: ImageInfo = { ...WALK_IMAGE, size: [300, 200] };
  const { files, objects } = await journalOf(image, Array(NEWER_OBJECTS).fill(1));
  const keys = [...files.keys()];
  const changes = keys.filter((key) => key.includes('/journal/'));
  const results = [];
  for (const key of [...keys.filter((key) => key.includes('/snapshots/')), changes[0], changes.at(-1) as string]) {
    const newer = await ofNewerVersion(files.get(key) as Uint8Array);
    const store = memoryStore('newer', new Map([...files, [key, newer]]));
    const { notice } = await Journal.open(store, image);
    const session = new AnnotationSession();
    const autosave = await openSaved(session, store, image, new DiscAnnotator(image.size, 4));
    const found = new Set(objectTexts(session.state.layers.committed_objects.objects));
    await session.run('put_prompts', {
      prompts: [{ kind: 'point', id: 'new', plane: 0, at: [290, 190], positive: true }],
    });
    await session.run('commit');
    await autosave.close();
    const after = await Promise.all((await listKeys(store)).map((kept) => store.get(kept)));
    const isKept = after.some((bytes) => Buffer.compare(bytes as Uint8Array, newer) === 0);
    const lost = objects.filter((text) => !found.has(text)).length;
    results.push({ kind: key.split('/')[1], lost, isKept, ...(notice && { notice }) });
  }
  return results;
}

/** More than the changes that go without a snapshot. */
const NEWER_OBJECTS = 110;

async function ofNewerVersion(bytes: Uint8Array): Promise<Uint8Array> {
  const { lines } = await unseal(bytes);
  const [header, ...rest] = lines as object[];
  return (await seal([{ ...header, version: 3, somethingNew: true }, ...rest])).bytes;
}

/** @param isMissing a whole snapshot is gone instead of a byte being wrong */
function damagedFiles(
  files: ReadonlyMap<string, Uint8Array>,
  random: () => number,
  isMissing: boolean,
): Map<string, Uint8Array> {
  const damaged = new Map([...files].map(([key, bytes]) => [key, bytes.slice()]));
  const snapshots = [...files.keys()].filter((key) => key.includes('/snapshots/'));
  if (isMissing && snapshots.length > 0) {
    damaged.delete(snapshots[randomInteger(random, 0, snapshots.length)]);
    return damaged;
  }
  let place = randomInteger(
    random,
    0,
    [...files.values()].reduce((sum, { length }) => sum + length, 0),
  );
  for (const bytes of damaged.values()) {
    if (place < bytes.length) {
      bytes[place] ^= randomInteger(random, 1, 256);
      break;
    }
    place -= bytes.length;
  }
  return damaged;
}

/** @param batches how many objects come in each change */
async function journalOf(image: ImageInfo, batches: readonly number[]) {
  const store = memoryStore();
  const session = new AnnotationSession();
  const autosave = await openSaved(session, store, image, new DiscAnnotator(image.size, 4));
  let count = 0;
  for (const batch of batches) {
    const { state } = session;
    // Several come in one change, as when all automatic objects are accepted.
    const other = batch === 1 ? session : new AnnotationSession();
    if (other !== session) other.open(image, new DiscAnnotator(image.size, 4), state);
    for (let i = 0; i < batch; i++) {
      const at = [20 * Math.floor(count / 10) + 10.5, 20 * (count % 10) + 10.5] as const;
      const id = `p${count++}`;
      await other.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at, positive: true }] });
      await other.run('commit');
    }
    if (other !== session)
      session.apply({ title: 'All', change: (before) => ({ ...before, layers: other.state.layers }) });
    await autosave.flush();
  }
  await autosave.close();
  const files = new Map<string, Uint8Array>();
  for (const key of await listKeys(store)) files.set(key, (await store.get(key)) as Uint8Array);
  return { files, objects: objectTexts(session.state.layers.committed_objects.objects) };
}

function objectTexts(objects: ReadonlyMap<number, ObjectRecord> = new Map()): string[] {
  return [...objects.values()].map((record) => {
    const json = recordJson(record) as object;
    return JSON.stringify(Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
