import { SamError } from '../errors.js';
import { entryOf } from '../items.js';
import type { TaskOptions } from '../task.js';
import { AdamW, clipGradients } from './adamw.js';
import type { Gradients } from './gradient-session.js';
import { type Parameter, startingWeights, type Weights } from './parameters.js';
import { Random } from './random.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import { warmUpAndCosine } from './schedule.js';

/** What is trained, and on what. */
export interface Objective {
  readonly parameters: readonly Parameter[];
  /** Loss and gradients of the batch of a step; always the same for the same step and weights. */
  batch(step: number, weights: ReadonlyMap<string, Float32Array>): Promise<Pick<Gradients, 'loss' | 'gradients'>>;
}

export interface TrainerOptions {
  /** Steps in all; the schedule is stretched over them. */
  readonly steps: number;
  readonly learningRate: number;
  /** Factor on the learning rate of a parameter. */
  readonly rateOf?: (parameter: string) => number;
  /** Largest norm of all gradients together. */
  readonly clip: number;
  readonly seed: number;
  /** Decay of the running average of the weights, such as 0.999; without it none is kept. */
  readonly average?: number;
}

/** A training under way: weights, their average, optimiser and the number of steps taken, all that a checkpoint holds. */
export class Trainer {
  readonly weights: Map<string, Float32Array>;
  /** The average that `TrainerOptions.average` asks for: steadier than the weights of one step. */
  readonly averaged?: Map<string, Float32Array>;
  private readonly optimizer: AdamW;

  constructor(
    private readonly objective: Objective,
    private readonly options: TrainerOptions,
    start?: ReadonlyMap<string, Float32Array>,
  ) {
    this.weights = startingWeights(objective.parameters, new Random(options.seed));
    for (const [name, values] of start ?? []) if (this.weights.has(name)) this.weights.set(name, values.slice());
    this.optimizer = new AdamW(this.weights);
    if (options.average !== undefined) this.averaged = copyOf(this.weights);
  }

  /** What has been learned so far: the averaged weights, if an average is kept. */
  get learned(): Weights {
    return this.averaged ?? this.weights;
  }

  get step(): number {
    return this.optimizer.steps;
  }

  get done(): boolean {
    return this.step >= this.options.steps;
  }

  /** @returns the loss before the step */
  async advance({ signal }: TaskOptions = {}): Promise<number> {
    signal?.throwIfAborted();
    const { loss, gradients } = await this.objective.batch(this.step, this.weights);
    if (!Number.isFinite(loss))
      throw new SamError('internal', `The loss of step ${this.step} is ${loss}: the learning rate is too high.`);
    clipGradients(gradients, this.options.clip);
    const { learningRate, steps, rateOf = () => 1 } = this.options;
    const rate = learningRate * warmUpAndCosine(this.step, steps);
    this.optimizer.step(gradients, (parameter) => rate * rateOf(parameter));
    this.average();
    return loss;
  }

  /** An average over few steps at first, so that it does not hold on to the beginning (as TensorFlow's `num_updates`). */
  private average(): void {
    const { averaged, weights, step } = this;
    const decay = Math.min(this.options.average ?? 0, (1 + step) / (10 + step));
    for (const [name, mean] of averaged ?? []) {
      const now = entryOf(weights, name);
      for (let i = 0; i < mean.length; i++) mean[i] += (1 - decay) * (now[i] - mean[i]);
    }
  }

  /** Where what it consists of is in a checkpoint. */
  private get state(): readonly (readonly [prefix: string, values: ReadonlyMap<string, Float32Array>])[] {
    const { first, second } = this.optimizer;
    const averaged = this.averaged ? [[AVERAGED, this.averaged] as const] : [];
    return [['', this.weights], [FIRST, first], [SECOND, second], ...averaged];
  }

  /** All that is needed to go on, as a safetensors file. */
  checkpoint(): Uint8Array {
    const shapes = new Map(this.objective.parameters.map(({ name, shape }) => [name, shape]));
    const tensors = this.state.flatMap(([prefix, values]) =>
      [...values].map(([name, data]) => [prefix + name, { shape: shapes.get(name) ?? [], data }] as const),
    );
    return writeSafetensors({
      tensors: new Map(tensors),
      metadata: { step: String(this.step), seed: String(this.options.seed) },
    });
  }

  /** @throws SamError `signature_mismatch` if the checkpoint is of another training */
  resume(checkpoint: Uint8Array): void {
    const { tensors, metadata } = readSafetensors(checkpoint);
    for (const [prefix, values] of this.state)
      for (const [name, into] of values) {
        const data = tensors.get(prefix + name)?.data;
        if (data?.length !== into.length || metadata.seed !== String(this.options.seed))
          throw new SamError('signature_mismatch', 'The checkpoint is of another training: start anew, or elsewhere.');
        into.set(data);
      }
    this.optimizer.steps = Number(metadata.step);
  }
}

const FIRST = 'adamw.first.';
const SECOND = 'adamw.second.';
const AVERAGED = 'averaged.';

function copyOf(weights: Weights): Map<string, Float32Array> {
  return new Map([...weights].map(([name, values]) => [name, values.slice()]));
}

/** The weights of a checkpoint, without their average and what the optimiser keeps. */
export function weightsOf(checkpoint: Uint8Array): Map<string, Float32Array> {
  const { tensors } = readSafetensors(checkpoint);
  const others = [FIRST, SECOND, AVERAGED];
  const own = [...tensors].filter(([name]) => !others.some((prefix) => name.startsWith(prefix)));
  return new Map(own.map(([name, { data }]) => [name, data]));
}

/** Weights alone as a safetensors file. */
export function weightsFile(
  parameters: readonly Parameter[],
  weights: Weights,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const tensors = parameters.map(({ name, shape }) => [name, { shape, data: entryOf(weights, name) }] as const);
  return writeSafetensors({ tensors: new Map(tensors), metadata });
}
