import { asSamError } from '../../src/errors.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { Annotator, Segmentation } from '../../src/session/annotator.js';
import { withMasks } from '../../src/session/layers.js';
import { importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectRecord, SessionState } from '../../src/session/state.js';
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
      readonly id:
        | 'toggle_label'
        | 'toggle_auto_commit'
        | 'commit'
        | 'next_candidate'
        | 'refine_object'
        | 'delete'
        | 'undo'
        | 'redo'
        | 'clear_annotations'
        | 'segment_all'
        | 'previous_plane'
        | 'next_plane';
    }
  | { readonly kind: 'pick'; readonly id: number }
  | { readonly kind: 'image'; readonly index: number }
);

const SIZE = [60, 80] as const;
const PLANES = 3;

export function randomSequence(random: () => number, length: number): HandStep[] {
  const int = (low: number, high: number) => randomInteger(random, low, high);
  return Array.from({ length }, (_, k): HandStep => {
    const wait = int(0, 400);
    const at = () => [int(0, SIZE[0]) + 0.5, int(0, SIZE[1]) + 0.5] as const;
    const choice = random();
    const id = `h${k}`;
    // Half of the hands go from object to object without saying where one ends.
    if (k === 0 && choice < 0.5) return { wait, kind: 'command', id: 'toggle_auto_commit' };
    if (choice < 0.34)
      return {
        wait,
        kind: 'prompt',
        negative: random() < 0.1,
        prompt: { kind: 'point', id, plane: 0, at: at(), positive: true },
      };
    if (choice < 0.42) {
      const [y, x] = [int(0, 50), int(0, 70)];
      const box = [y, x, y + int(3, 20), x + int(3, 20)] as const;
      return { wait, kind: 'prompt', negative: false, prompt: { kind: 'box', id, plane: 0, box } };
    }
    if (choice < 0.6) return { wait, kind: 'command', id: 'commit' };
    if (choice < 0.63) return { wait, kind: 'image', index: int(0, 2) };
    if (choice < 0.66) return { wait, kind: 'pick', id: int(1, 4) };
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

  override async segment(state: SessionState, task: TaskOptions): Promise<Segmentation> {
    await this.prepare(state.plane);
    await this.pause(1000);
    return super.segment(state, task);
  }

  /** The mask in use, grown by a disc around its first point. */
  async refine(state: SessionState, { signal }: TaskOptions): Promise<Segmentation> {
    await this.pause(1000);
    signal?.throwIfAborted();
    const objects = [...state.layers.current_object.objects.values()].map((record): ObjectRecord => {
      const [plane, { box }] = [...record.masks][0];
      return { ...record, masks: new Map(record.masks).set(plane, rasterizeStroke([[box[0], box[1]]], 9, SIZE)) };
    });
    return { layer: 'current_object', objects };
  }

  async segmentAll(state: SessionState, { signal }: TaskOptions): Promise<Segmentation> {
    for (let plane = 0; plane < PLANES; plane++) await this.pause(700);
    signal?.throwIfAborted();
    const objects = [...state.layers.current_object.objects.values()].flatMap((record) => {
      const [first] = record.masks.values();
      return withMasks(record, new Map(Array.from({ length: PLANES }, (_, plane) => [plane, first]))) ?? [];
    });
    return { layer: 'current_object', objects };
  }
}

/** The work on each image after the sequence was played. */
export async function play(
  steps: readonly HandStep[],
  options: { readonly fast: boolean; readonly random: () => number },
): Promise<string[]> {
  const { fast, random } = options;
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
    session.open(image(index), new SlowAnnotator(pause), before ? importSession(before, image(index)) : undefined);
    session.apply({ title: 'as planes', change: (s) => ({ ...s, settings: { ...s.settings, annotator: '2d' } }) });
    void session.run('compute_embeddings').catch(() => undefined);
  };
  const act = (step: HandStep): Promise<unknown> => {
    if (step.kind === 'image') return open(step.index);
    if (step.kind === 'command') return session.run(step.id);
    if (step.kind === 'pick') return session.run('pick_object', { id: step.id });
    return session.run('put_prompts', { prompts: [step.prompt], byHand: step.negative ? 'negative' : 'tool' });
  };
  await open(0);
  for (const step of steps) {
    const done = act(step).catch((error) => {
      if (asSamError(error).code === 'internal') throw error;
    });
    // The hand sees which image is there before it goes on.
    if (!fast || step.kind === 'image') await clock.until(done);
    else await clock.until(clock.sleep(step.wait));
  }
  await clock.until(session.settled());
  kept[shown] = documentOf(session.state);
  return kept.map((work) => work ?? '');
}
