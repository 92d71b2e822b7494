import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { folderStore } from '../../io/stores/fs.js';
import { keysOf } from '../../items.js';
import { type ModelSpec, networksOf } from '../../model/model-spec.js';
import type { TaskOptions } from '../../task.js';
import type { TrainingImage } from '../../training/labelled-image.js';
import type { PartsTraining } from '../../training/train-parts.js';
import { LeaseFile } from '../serve/lease-file.js';
import { loadFile } from './trained-models.js';

/**
 * The state of a run in its folder, and what it is the state of: pictures that were encoded and weights that were learned
 * are of use to the same training alone. A training is the same if its model, its settings, its images and their labels are.
 */
export interface RunState {
  readonly store: Store;
  /** What is told before it begins: that it goes on, is done already, or begins anew, and why. */
  readonly notice?: string;
  /** The result is written. */
  finish(): Promise<void>;
  /** Lets other processes train the model, finished or not. */
  close(): Promise<void>;
}

/** What a training is of, each as a digest. */
type Identity = Readonly<Record<'model' | 'settings' | 'images' | 'images_kept_back', string>>;

interface Stored {
  readonly version: 1;
  readonly identity: Identity;
  readonly done: boolean;
}

const KEY = 'training.json';

interface RunOptions {
  /** A result of an earlier training is there. */
  readonly made: boolean;
  /** An unfinished training of something else is given up. */
  readonly restart: boolean;
}

/**
 * @param folder of the model that is made; the state is in `run` in it
 * @throws SamError `signature_mismatch` if an unfinished training of something else is there, and it is not to be given up;
 * `read_only` if another process trains the model
 */
export async function openRun(
  folder: string,
  training: PartsTraining,
  options: RunOptions,
  task: TaskOptions = {},
): Promise<RunState> {
  const close = await alone(folder, task);
  try {
    return { ...(await openAlone(folder, training, options, task)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Another process that trains this model would mix its state with ours. One of another machine is watched before it is believed to be gone. */
async function alone(folder: string, { signal }: TaskOptions): Promise<RunState['close']> {
  const lease = new LeaseFile(path.join(folder, 'training.lock'), randomUUID());
  for (let looks = 0; !(await lease.acquire()); looks++) {
    signal?.throwIfAborted();
    if (looks === MOST_LOOKS)
      throw new SamError(
        'read_only',
        `Another process trains the model in ${folder}. Wait until it is done, or give another --trained_model_name.`,
        { details: { folder } },
      );
    await new Promise((resolve) => setTimeout(resolve, SECOND));
  }
  const touching = setInterval(() => lease.touch().catch(() => undefined), SECOND);
  return async () => {
    clearInterval(touching);
    await lease.release();
  };
}

const SECOND = 1000;
/** More than what a lease is believed to be abandoned after. */
const MOST_LOOKS = 10;

async function openAlone(
  folder: string,
  training: PartsTraining,
  { made, restart }: RunOptions,
  task: TaskOptions,
): Promise<Omit<RunState, 'close'>> {
  const store = folderStore(path.join(folder, 'run'));
  const identity = await identityOf(training, task);
  const write = (done: boolean) =>
    store.set(KEY, new TextEncoder().encode(`${JSON.stringify({ version: 1, identity, done } satisfies Stored)}\n`));
  const state = { store, finish: () => write(true) };
  const stored = await readStored(store);
  const begun = stored !== undefined || (await hasKeys(store));
  const differing = stored && differences(stored.identity, identity);
  if (begun && differing?.length === 0 && !restart)
    return {
      ...state,
      notice: stored?.done
        ? 'This training was done before, with the same model, settings and images: its result is written again.'
        : 'An earlier run of this training goes on.',
    };
  if (begun && !(stored ? stored.done : made) && !restart)
    throw new SamError(
      'signature_mismatch',
      `In ${folder} another training was begun and not finished${differing ? `; it differs in ${listed(differing)}` : ''}. Give the command as it was to go on with that, --restart to give it up, or another --trained_model_name.`,
      { details: { folder, ...(differing && { differing }) } },
    );
  rmSync(path.join(folder, 'run'), { recursive: true, force: true });
  rmSync(path.join(folder, 'log.csv'), { force: true });
  await write(false);
  if (!begun) return state;
  const why = differing && differing.length > 0 ? `: it differs from the earlier one in ${listed(differing)}` : '';
  return { ...state, notice: `The training begins anew${why}.` };
}

const NAMES: Readonly<Record<keyof Identity, string>> = {
  model: 'the model that it goes on from',
  settings: 'its settings',
  images: 'its images or their labels',
  images_kept_back: 'what is kept back to score on',
};

function differences(before: Identity, now: Identity): string[] {
  return keysOf(NAMES)
    .filter((key) => before[key] !== now[key])
    .map((key) => NAMES[key]);
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

async function identityOf(
  { model, parts, fromScratch = false, settings, training, heldBack }: PartsTraining,
  task: TaskOptions,
): Promise<Identity> {
  const learned = [...parts].sort();
  return {
    model: await digestOfModel(model, task),
    settings: digest(JSON.stringify([learned, fromScratch, settings(true), settings(false)])),
    images: await digestOfImages(training, task),
    images_kept_back: await digestOfImages(heldBack, task),
  };
}

async function digestOfModel(model: ModelSpec, task: TaskOptions) {
  const hash = createHash('sha256');
  for (const file of networksOf(model)) hash.update(file ? await loadFile(file, { signal: task.signal }) : 'none');
  return hash.digest('hex');
}

async function digestOfImages(images: readonly TrainingImage[], { signal }: TaskOptions): Promise<string> {
  const hash = createHash('sha256');
  for (const { kind, load } of images) {
    signal?.throwIfAborted();
    const { image, labels, partial } = await load({ signal });
    hash.update(JSON.stringify([kind, image.shape, partial]));
    for (const { buffer, byteOffset, byteLength } of [image.data, labels.data])
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Undefined of a run that does not say what it is of, or in a newer form. */
async function readStored(store: Store): Promise<Stored | undefined> {
  const bytes = await store.get(KEY);
  if (!bytes) return undefined;
  try {
    const stored: Stored = JSON.parse(new TextDecoder().decode(bytes));
    return stored.version === 1 && typeof stored.identity === 'object' ? stored : undefined;
  } catch {
    return undefined;
  }
}

async function hasKeys(store: Store): Promise<boolean> {
  for await (const _ of store.list()) return true;
  return false;
}
