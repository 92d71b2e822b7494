import type { Store } from '../io/store.js';
import type { Progress, TaskOptions } from '../task.js';
import type { Parameter, Weights } from './parameters.js';
import { readSafetensors } from './safetensors.js';
import { type Objective, Trainer, type TrainerOptions, weightsFile, weightsOf } from './trainer.js';

/** A training to its end, scored on the way; all of its state is in a store, so that a run that was stopped goes on. */
export interface Learning {
  /** Of the part that learns, for people and for the keys of its state. */
  readonly name: string;
  readonly objective: Objective;
  readonly options: TrainerOptions;
  /** Weights to begin with; without them, random ones. */
  readonly start?: Weights;
  readonly store: Store;
  /** Times that weights are scored on the way. */
  readonly scores: number;
  /** Stops when so many scores in a row were behind the best. */
  readonly patience: number;
  /** How good weights are on images that are not trained on; higher is better. Without it the last weights are the best. */
  readonly score?: Score;
  /**
   * Scores that are behind the highest by so much at most count as equal to it (default 0), and of equal ones the later is the
   * best: a score of few objects tells no more.
   */
  readonly tolerance?: number;
  /** Called now and then, and with `accuracy` where the weights were scored. */
  readonly onStep?: (row: TrainingRow) => void;
  readonly hand?: TrainingHand;
}

/** Whoever watches a training can let it rest, and end it early. */
export interface TrainingHand {
  /** Aborted once it is enough: the best weights so far are the result. */
  readonly enough?: AbortSignal;
  /** Waited for before each step. */
  readonly rest?: () => Promise<void> | undefined;
}

export type Score = (weights: Weights, task: TaskOptions) => Promise<number>;

export interface TrainingRow {
  /** Of the part that learns. */
  readonly name: string;
  readonly step: number;
  /** Mean since the last row. */
  readonly loss: number;
  readonly accuracy?: number;
}

export interface Learned {
  readonly weights: Weights;
  /** The step of these weights, which scored best. */
  readonly step: number;
  readonly accuracy?: number;
  /** What the weights that were begun with score. */
  readonly before?: number;
}

/** Steps between two checkpoints. */
const CHECKPOINT = 25;

export async function learn(learning: Learning, task: TaskOptions = {}): Promise<Learned> {
  const { name, objective, options, start, store, scores, score, hand = {} } = learning;
  const trainer = new Trainer(objective, options, start);
  const stateKey = `${name}-state.safetensors`;
  const state = await store.get(stateKey);
  if (state) trainer.resume(state);
  const best = await Best.load(learning);
  if (start && score && best.lastStep < 0) await best.offer(trainer.learned, 0, await score(trainer.learned, task));
  const every = Math.ceil(options.steps / scores);
  let [sum, count] = [0, 0];
  while (!trainer.done && !best.stale) {
    await hand.rest?.();
    if (hand.enough?.aborted) break;
    const loss = await trainer.advance(task);
    sum += loss;
    count++;
    const { step } = trainer;
    const isScored = score !== undefined && (step % every === 0 || trainer.done);
    const accuracy = isScored ? await score(trainer.learned, task) : undefined;
    if (accuracy !== undefined) await best.offer(trainer.learned, step, accuracy);
    if (isScored || step % CHECKPOINT === 0 || trainer.done) {
      await store.set(stateKey, trainer.checkpoint());
      learning.onStep?.({ name, step, loss: sum / count, accuracy });
      [sum, count] = [0, 0];
    }
    task.onProgress?.(progressOf(learning, step, loss, best));
  }
  // What was learned since the last score may be better still.
  if (hand.enough?.aborted && score && trainer.step > Math.max(best.lastStep, 0))
    await best.offer(trainer.learned, trainer.step, await score(trainer.learned, task));
  return best.found ?? { weights: trainer.learned, step: trainer.step };
}

function progressOf({ name, options }: Learning, step: number, loss: number, { found }: Best): Progress {
  const score = found?.accuracy === undefined ? '' : `, best accuracy ${found.accuracy.toFixed(3)}`;
  const message = `${name}: step ${step} of ${options.steps}, loss ${loss.toFixed(3)}${score}`;
  return { done: step, total: options.steps, message };
}

/** The weights that scored best so far, and how long ago that was. */
class Best {
  found: Learned | undefined;
  private highest = Number.NEGATIVE_INFINITY;
  /** Of the last score; -1 before the first. */
  lastStep = -1;
  private since = 0;

  private constructor(
    private readonly key: string,
    private readonly store: Store,
    private readonly parameters: readonly Parameter[],
    private readonly patience: number,
    private readonly tolerance: number,
  ) {}

  static async load({ name, store, objective, patience, tolerance = 0 }: Learning): Promise<Best> {
    const best = new Best(`${name}-best.safetensors`, store, objective.parameters, patience, tolerance);
    const file = await store.get(best.key);
    if (!file) return best;
    const { metadata } = readSafetensors(file);
    const { since, step, accuracy, last, before, highest } = metadata;
    best.since = Number(since);
    best.highest = Number(highest ?? accuracy);
    best.lastStep = Number(last);
    best.found = {
      weights: weightsOf(file),
      step: Number(step),
      accuracy: Number(accuracy),
      ...(before !== undefined && { before: Number(before) }),
    };
    return best;
  }

  /** Scoring on would be of no use. */
  get stale(): boolean {
    return this.since >= this.patience;
  }

  /** Scores that are known from before an interruption do not count twice. */
  async offer(weights: Weights, step: number, accuracy: number): Promise<void> {
    if (step <= this.lastStep) return;
    this.lastStep = step;
    const before = step === 0 ? accuracy : this.found?.before;
    this.highest = Math.max(this.highest, accuracy);
    if (this.isBehind(accuracy)) this.since++;
    else {
      this.since = 0;
      const copy = new Map([...weights].map(([name, values]) => [name, values.slice()]));
      this.found = { weights: copy, step, accuracy, ...(before !== undefined && { before }) };
    }
    await this.save();
  }

  /** Of equal scores the later counts, for which the rate has fallen further; what it began with has to be beaten. */
  private isBehind(accuracy: number): boolean {
    if (!this.found) return false;
    const { before = Number.NEGATIVE_INFINITY } = this.found;
    return accuracy <= before || accuracy < this.highest - this.tolerance;
  }

  private async save(): Promise<void> {
    if (!this.found) return;
    const { weights, step, accuracy, before } = this.found;
    const numbers = { step, accuracy, before, since: this.since, last: this.lastStep, highest: this.highest };
    const known = Object.entries(numbers).filter(([, value]) => value !== undefined);
    const metadata = Object.fromEntries(known.map(([name, value]) => [name, String(value)]));
    await this.store.set(this.key, weightsFile(this.parameters, weights, metadata));
  }
}
