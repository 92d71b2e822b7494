import { asSamError } from '../../src/errors.js';
import type { YX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { ScoredMask } from '../../src/segmentation/scored-mask.js';
import type { Annotator, AutomaticOptions, LayerContent } from '../../src/session/annotator.js';
import { COMMAND_LIST, type CommandId, refusal } from '../../src/session/commands/commands.js';
import { setCommittedObjects } from '../../src/session/edits/edits.js';
import { withMasks } from '../../src/session/layers.js';
import { importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectRecord, SessionSettings, SessionState } from '../../src/session/state.js';
import type { TaskOptions } from '../../src/task.js';
import { DiscAnnotator } from './disc-annotator.js';
import { randomInteger } from './random.js';
import { documentOf } from './session-walk.js';

/**
 * A hand that works faster than the model, in made-up time: the same sequence of clicks and keys is played slowly, each
 * waiting for all that the one before brought about, and fast, while encoder and decoder take as long as they like. Both
 * must end in the same work on every image.
 */
export type HandStep = { readonly wait: number } & (
  | { readonly kind: 'prompt'; readonly prompt: Prompt; readonly negative: boolean }
  | {
      readonly kind: 'command';
      readonly id: CommandId;
      readonly args?: unknown;
      /** Of automatic segmentation: whether the hand waits for what it finds, as it does unless this says otherwise. */
      readonly seen?: boolean;
    }
  /** Another image, which the hand sees before it goes on. */
  | { readonly kind: 'image'; readonly index: number }
  /** Another model of the same answers. */
  | { readonly kind: 'model' }
  /** Another program gives the committed objects. */
  | { readonly kind: 'load'; readonly at: YX }
);

const SIZE = [60, 80] as const;
const PLANES = 3;

/** Cancel is about what has come of something by then. */
export const NOT_OF_THE_SEQUENCE: ReadonlySet<string> = new Set(['cancel']);

/** Work beside the hand, whose results are there when they are there. */
const SEEN_FIRST = ['automatic_segmentation', 'automatic_in_box', 'search_deeper', 'run_proposed'] as const;

/** Every command of the session, by what a hand may tell it. */
export function vocabulary(random: () => number, k: number): Partial<Record<CommandId, unknown>> {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  const at = (): YX => [int(0, SIZE[0]) + 0.5, int(0, SIZE[1]) + 0.5];
  const some = <T>(...values: readonly T[]): T => values[int(0, values.length)];
  const object = () => int(1, 4);
  const layer = () => some('committed_objects', 'auto_segmentation', 'current_object');
  const box = () => boxAt(int(0, 50), int(0, 70), int(3, 20), int(3, 20));
  const track = () => ({ ids: [object(), object()], frame: int(0, PLANES) });
  const simple = Object.fromEntries(
    COMMAND_LIST.filter(({ scope, needsArguments }) => scope === 'session' && !needsArguments)
      .filter(({ id }) => !NOT_OF_THE_SEQUENCE.has(id))
      .map(({ id }) => [id, undefined]),
  );
  return {
    ...simple,
    automatic_segmentation: { allPlanes: random() < 0.3 },
    clear_annotations: { allPlanes: random() < 0.5 },
    commit: some(undefined, undefined, { layer: 'auto_segmentation' }, { preserveMode: 'pixels' }, { sure: true }),
    put_prompts: { prompts: [promptAt(random, `r${k}`)] },
    scribble: { id: `s${k}`, path: [at(), at()] },
    change_prompt: { prompt: promptAt(random, `h${int(0, k + 1)}`) },
    remove_prompts: { ids: [`h${int(0, k + 1)}`] },
    choose_candidate: { index: int(0, 3) },
    paint: { tool: some('brush', 'eraser', 'fill'), path: [at(), at()], radius: int(1, 6) },
    edit_outline: { layer: layer(), id: object(), rings: [[at(), at(), at()]] },
    pick_object: { id: object(), ...(random() < 0.3 && { layer: 'auto_segmentation' }) },
    select_objects: { layer: layer(), ids: [object()], how: some('replace', 'add', 'toggle') },
    select_in_box: { box: box() },
    split_by_hand: { path: [at(), at()] },
    split_object: { path: [at(), at()] },
    describe_objects: { facts: { name: `named ${k}` } },
    delete_object: { layer: layer(), id: object() },
    set_settings: some<Partial<SessionSettings>>(
      { batched: random() < 0.3 },
      { preserveMode: some('objects', 'pixels', 'none') },
      { autoSegment: random() < 0.7 },
      { positive: random() < 0.7 },
    ),
    set_plane: { plane: int(0, PLANES) },
    change_automatic: { thresholds: { minObjectSize: int(0, 60) } },
    choose_automatic: { id: object() },
    accept_automatic: { ids: [object()] },
    reject_automatic: { ids: [object()] },
    set_track: { id: object() },
    link_tracks: { mother: object(), daughter: object() },
    unlink_track: { daughter: object() },
    split_track: { id: object() },
    merge_tracks: track(),
    swap_tracks: track(),
    delete_track: { id: object() },
  };
}

/** Any kind of prompt. */
function promptAt(random: () => number, id: string): Prompt {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  const [y, x] = [int(0, 50), int(0, 70)];
  const box = boxAt(y, x, int(3, 20), int(3, 20));
  const ring = [
    [box[0], box[1]],
    [box[0], box[3]],
    [box[2], box[3]],
  ] as const;
  const kind = random();
  if (kind < 0.4) return { kind: 'point', id, plane: 0, at: [y + 0.5, x + 0.5], positive: random() < 0.7 };
  if (kind < 0.7) return { kind: 'box', id, plane: 0, box };
  return { kind: kind < 0.85 ? 'polygon' : 'ellipse', id, plane: 0, ring };
}

function boxAt(y: number, x: number, height: number, width: number): readonly [number, number, number, number] {
  return [y, x, y + height, x + width];
}

export function randomSequence(random: () => number, length: number): HandStep[] {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  // Half of the hands go from object to object without saying where one ends; half use all there is.
  const [paced, rich] = [random() < 0.5, random() < 0.5];
  return Array.from({ length }, (_, k): HandStep => {
    const wait = int(0, 400);
    const at = () => [int(0, SIZE[0]) + 0.5, int(0, SIZE[1]) + 0.5] as const;
    const choice = random();
    const id = `h${k}`;
    if (k === 0 && paced) return { wait, kind: 'command', id: 'toggle_auto_commit' };
    if (rich && random() < 0.4) {
      const other = random();
      if (other < 0.04) return { wait, kind: 'model' };
      if (other < 0.08) return { wait, kind: 'load', at: at() };
      const words = Object.entries(vocabulary(random, k)) as [CommandId, unknown][];
      const [command, args] = words[int(0, words.length)];
      return { wait, kind: 'command', id: command, args };
    }
    if (choice < 0.34)
      return {
        wait,
        kind: 'prompt',
        negative: random() < 0.1,
        prompt: { kind: 'point', id, plane: 0, at: at(), positive: true },
      };
    if (choice < 0.42) return { wait, kind: 'prompt', negative: random() < 0.1, prompt: promptAt(random, id) };
    if (choice < 0.6) return { wait, kind: 'command', id: 'commit' };
    if (choice < 0.63) return { wait, kind: 'image', index: int(0, 2) };
    if (choice < 0.66) return { wait, kind: 'command', id: 'pick_object', args: { id: int(1, 4) } };
    const others = [
      'toggle_label',
      'toggle_label',
      'toggle_auto_commit',
      'next_candidate',
      'next_candidate',
      'refine_object',
      'delete',
      'undo',
      'undo',
      'redo',
      'clear_annotations',
      'previous_plane',
      'next_plane',
      'segment_all',
    ] as const;
    return { wait, kind: 'command', id: others[int(0, others.length)] };
  });
}

/** Automatic objects picked, committed, rejected and changed while the next run over them is still going on. */
export function besideAutomatic(random: () => number, length: number): HandStep[] {
  const all = { wait: 0, kind: 'command', id: 'automatic_segmentation' } as const;
  const words = [
    'put_prompts',
    'commit',
    'clear_annotations',
    'pick_object',
    'edit_outline',
    'select_objects',
    'split_object',
    'grow_objects',
    'merge_objects',
    'delete_object',
    'choose_automatic',
    'accept_automatic',
    'reject_automatic',
    'edit_automatic',
    'accept_all_automatic',
    'select_all',
    'delete',
  ] as const;
  const steps = Array.from({ length }, (_, k): HandStep => {
    const id = words[randomInteger(random, 0, words.length)];
    const args = vocabulary(random, k)[id];
    const layer = 'auto_segmentation';
    const ofThem = ['pick_object', 'edit_outline', 'select_objects', 'delete_object'].includes(id);
    return {
      wait: randomInteger(random, 0, 400),
      kind: 'command',
      id,
      args: ofThem ? { ...(args as object), layer } : args,
    };
  });
  return [all, { ...all, seen: false }, ...steps];
}

/** Time that passes only when everything that can be done without it is done. */
export class FakeClock {
  now = 0;
  private readonly sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  sleep(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      this.sleepers.push({ at: this.now + milliseconds, wake });
    });
  }

  /** Lets time pass until the promise is settled. */
  async until(promise: Promise<unknown>): Promise<void> {
    let done = false;
    const settle = () => {
      done = true;
    };
    promise.then(settle, settle);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (done) return;
      if (this.sleepers.length === 0) throw new Error('Nothing is left that could happen, and it has not ended.');
      const next = this.sleepers.reduce((first, other) => (other.at < first.at ? other : first));
      this.sleepers.splice(this.sleepers.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.wake();
    }
  }
}

/** Discs as `DiscAnnotator` makes them, from a model that takes its time; and all that the real annotators can do. */
class SlowAnnotator extends DiscAnnotator implements Annotator {
  private readonly encoded = new Map<number, Promise<void>>();

  constructor(private readonly pause: (longest: number) => Promise<void>) {
    super(SIZE);
  }

  override async prepare(plane: number): Promise<void> {
    const known = this.encoded.get(plane) ?? this.pause(2000);
    this.encoded.set(plane, known);
    await known;
  }

  override async segment(state: SessionState, task: TaskOptions): Promise<LayerContent> {
    await this.prepare(state.plane);
    await this.pause(1000);
    return super.segment(state, task);
  }

  /** The mask in use, grown by a disc around its first point. */
  async refine(state: SessionState, { signal }: TaskOptions): Promise<LayerContent> {
    await this.pause(1000);
    signal?.throwIfAborted();
    const objects = [...state.layers.current_object.objects.values()].map((record): ObjectRecord => {
      const [plane, { box }] = [...record.masks][0];
      return { ...record, masks: new Map(record.masks).set(plane, rasterizeStroke([[box[0], box[1]]], 9, SIZE)) };
    });
    return { layer: 'current_object', objects };
  }

  async segmentAll(state: SessionState, { signal }: TaskOptions): Promise<LayerContent> {
    for (let plane = 0; plane < PLANES; plane++) await this.pause(700);
    signal?.throwIfAborted();
    const objects = [...state.layers.current_object.objects.values()].flatMap((record) => {
      const [first] = record.masks.values();
      return withMasks(record, new Map(Array.from({ length: PLANES }, (_, plane) => [plane, first]))) ?? [];
    });
    return { layer: 'current_object', objects };
  }

  /** Asks for one of the offered masks again. */
  exactCandidate(mask: Mask): ((task: TaskOptions) => Promise<ScoredMask>) | undefined {
    if (mask.area % 2 === 0) return undefined;
    return async ({ signal }) => {
      await this.pause(1000);
      signal?.throwIfAborted();
      return { mask, predictedIou: 0.5, stability: 0.5 };
    };
  }

  async automaticEstimate() {
    await this.pause(300);
    return { planes: 1, tiles: 1, points: 0, encodes: 0, seconds: 1 };
  }

  /** Three discs in the plane, or in each. */
  async automatic(state: SessionState, { signal }: TaskOptions, options: AutomaticOptions = {}): Promise<LayerContent> {
    await this.pause(2000);
    signal?.throwIfAborted();
    const { plane, settings, layers } = state;
    const others = [...layers.auto_segmentation.objects.values()].filter(({ masks }) => !masks.has(plane));
    const first = options.region ? [options.region[0], options.region[1]] : [10, 10 + 5 * plane];
    const objects = Array.from({ length: 3 }, (_, k): ObjectRecord => {
      const mask = rasterizeStroke([[first[0] + 15 * k, first[1] + 20 * k]], 4, SIZE);
      const planes = settings.applyToVolume ? [0, 1, 2] : [plane];
      const masks = new Map(planes.map((p) => [p, mask]));
      return { id: 3 * plane + k + 1, masks, prompts: [], origin: 'automatic' };
    });
    return { layer: 'auto_segmentation', objects: [...others, ...objects], dismissed: [] };
  }
}

function isSeenFirst(step: HandStep): boolean {
  if (step.kind !== 'command') return step.kind === 'image';
  return step.seen ?? SEEN_FIRST.some((id) => id === step.id);
}

function discAt(at: YX): ObjectRecord {
  return { id: 1, masks: new Map([[0, rasterizeStroke([at], 5, SIZE)]]), prompts: [], origin: 'loaded' };
}

/** What the hand works with, if not with discs in planes. */
export interface HandTools {
  readonly annotator: (pause: (longest: number) => Promise<void>) => Annotator;
  readonly settings: Partial<SessionSettings>;
}

/** The work on each image after the sequence was played. */
export async function play(
  steps: readonly HandStep[],
  options: { readonly fast: boolean; readonly random: () => number; readonly tools?: HandTools },
): Promise<string[]> {
  const { fast, random } = options;
  const { tools = { annotator: (pause) => new SlowAnnotator(pause), settings: { annotator: '2d' } } } = options;
  const clock = new FakeClock();
  const session = new AnnotationSession();
  const kept: (string | undefined)[] = [undefined, undefined];
  const image = (index: number): ImageInfo => ({
    name: `${index}.tif`,
    axes: 'zyx',
    size: SIZE,
    planes: PLANES,
    signature: `s${index}`,
  });
  let shown = 0;
  const pause = (longest: number) => (fast ? clock.sleep(random() * random() * longest) : Promise.resolve());
  const open = async (index: number): Promise<void> => {
    await session.settled();
    if (session.state.image) kept[shown] = documentOf(session.state);
    shown = index;
    const before = kept[index];
    session.open(image(index), tools.annotator(pause), before ? importSession(before, image(index)) : undefined);
    session.apply({ title: 'as planes', change: (s) => ({ ...s, settings: { ...s.settings, ...tools.settings } }) });
    void session.run('compute_embeddings').catch(() => undefined);
  };
  const act = (step: HandStep): Promise<unknown> => {
    if (step.kind === 'image') return open(step.index);
    if (step.kind === 'command') return run(step.id, step.args);
    if (step.kind === 'model') return Promise.resolve(session.useAnnotator(tools.annotator(pause)));
    if (step.kind === 'load') return session.applyInTurn(setCommittedObjects([discAt(step.at)]));
    return session.run('put_prompts', { prompts: [step.prompt], byHand: step.negative ? 'negative' : 'tool' });
  };
  const run = session.run.bind(session) as (id: CommandId, args?: unknown) => Promise<void>;
  await open(0);
  let idle = false;
  for (const step of steps) {
    const is = (id: CommandId) => step.kind === 'command' && step.id === id;
    // Undo takes back the segmentation of all slices: all of it, or none if it found nothing.
    if (!fast && idle && is('undo')) {
      idle = false;
      continue;
    }
    const { current_object } = session.state.layers;
    const begins = is('segment_all') && refusal('segment_all', session.state) === undefined;
    const done = act(step).catch((error) => {
      if (asSamError(error).code === 'internal') throw error;
    });
    // The hand sees which image is there before it goes on.
    if (!fast || isSeenFirst(step)) await clock.until(done);
    else await clock.until(clock.sleep(step.wait));
    idle = begins && session.state.layers.current_object === current_object;
  }
  await clock.until(session.settled());
  while (session.state.tasks.some(({ slot }) => slot === 'automatic')) await clock.until(clock.sleep(500));
  kept[shown] = documentOf(session.state);
  return kept.map((work) => work ?? '');
}
