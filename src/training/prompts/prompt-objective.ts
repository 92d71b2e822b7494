import { SamError } from '../../errors.js';
import { correctionPoints } from '../../evaluation/iterative-prompting.js';
import { randomPixels } from '../../evaluation/prompts-from-ground-truth.js';
import type { Store } from '../../io/store.js';
import { float32Of, type OrtRuntime } from '../../model/runtime.js';
import { buildPrompts, type ObjectPrompt } from '../../model/transforms.js';
import type { LabelImage, Size, YXYX } from '../../ndimage/array.js';
import { innermostPixel } from '../../ndimage/distance.js';
import type { Mask } from '../../ndimage/mask.js';
import { EMPTY_MASK, maskFromBitmap, masksFromLabels, maskToBitmap } from '../../ndimage/rle.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { type BuiltLoss, GradientSession } from '../gradient-session.js';
import { type KeptCanvas, MASK_SIDE } from '../kept-canvas.js';
import { addTo, type Parameter, type Weights } from '../parameters.js';
import { Random } from '../random.js';
import type { Objective } from '../trainer.js';
import { decoderInputs, type TrainableDecoder } from './mask-decoder.js';
import { leftBehind, neighbourOf, projectedPrompt } from './projected-prompt.js';
import { cachedPrompts } from './prompt-cache.js';
import { measuredIou, promptLoss } from './prompt-loss.js';

/**
 * Iterative prompting as in the paper and micro-sam 1.8 (`SamTrainer`): objects of a picture are segmented from one point
 * or from a box, then corrected by a positive and a negative point from the errors, several times; half of the time the
 * mask so far is given too. The encoder is frozen. Here each object of a step begins in its own way, and half of the points
 * are the innermost ones, where people click; micro-sam begins with points and boxes in turn, and points anywhere inside.
 */
export interface PromptOptions {
  readonly seed: number;
  /** Objects a step. */
  readonly objects?: number;
  /** Times that an object is segmented: the start and its corrections. */
  readonly rounds?: number;
  /** How often the objects of a picture begin with a mask of the slice or frame before (projected-prompt.ts); never if absent. */
  readonly projected?: number;
  /** Share in the loss of the mask that a person is shown, beside that of the best one (`promptLoss`); 0 if absent. */
  readonly shown?: number;
}

/** How often an object begins with a box. */
const BOXES = 0.4;
/** How often a point is the innermost one. */
const INNERMOST = 0.5;
/** How often the object of a mask of the slice or frame before is not there any more. */
const ENDED = 0.15;
/** Boxes are off by up to so much of their length on each side. */
const BOX_ERROR = 0.05;
const FRAME = { inputSize: [1024, 1024], originalSize: [MASK_SIDE, MASK_SIDE] } as const;
const GRID: Size = [MASK_SIDE, MASK_SIDE];
const PIXELS = MASK_SIDE ** 2;
/** In pixels of the 256 x 256 grid. */
const SMALLEST = 6;

/** The mask decoder on cached embeddings: `mask_decoder` and `prompt_encoder`, with the encoder frozen. */
export class PromptObjective implements Objective {
  readonly parameters: readonly Parameter[];
  private readonly prompting: IterativePrompting;

  /** @param keys the pictures in `store`, as `cachePrompts` makes them */
  constructor(
    runtime: OrtRuntime,
    decoder: TrainableDecoder,
    private readonly store: Store,
    private readonly keys: readonly string[],
    private readonly options: PromptOptions,
  ) {
    this.parameters = decoder.parameters;
    this.prompting = new IterativePrompting(runtime, decoder, options);
  }

  async batch(step: number, weights: Weights) {
    const random = Random.ofStep(this.options.seed, step);
    for (const key of random.shuffled(this.keys)) {
      const { features, labels } = await this.load(key);
      const objects = this.prompting.choose(labels, random);
      if (objects) return this.prompting.run(features, objects, weights, random);
    }
    throw new SamError('invalid_argument', 'None of the pictures has an object that is large enough to be trained on.');
  }

  release(): Promise<void> {
    return this.prompting.release();
  }

  private async load(key: string): Promise<KeptCanvas> {
    const sample = await cachedPrompts(this.store, key);
    if (sample) return sample;
    throw new SamError('not_found', `The cached picture ${key} is missing or damaged in ${this.store.name}.`);
  }
}

export interface PromptingOptions extends Omit<PromptOptions, 'seed'> {
  /** Also give the gradient by the embedding, as that of a parameter `EMBEDDING_INPUT`. */
  readonly byEmbedding?: boolean;
  /** Keep working memory from run to run; true if absent. */
  readonly frequent?: boolean;
}

/** What the exports of SAM's decoder call the embedding. */
export const EMBEDDING_INPUT = 'image_embeddings';

/**
 * Objects of a picture prompted several times over, and the gradients of all these losses. They go through the network one by
 * one: four at once take 1.6 GB, one 0.6, for nearly the same time.
 */
export class IterativePrompting {
  /** One graph per number of points. */
  private readonly sessions = new Map<number, GradientSession>();
  private readonly parameters: readonly Parameter[];
  private readonly objects: number;
  private readonly rounds: number;
  private readonly projected: number;
  private readonly shown: number;
  private readonly frequent: boolean;

  constructor(
    private readonly runtime: OrtRuntime,
    private readonly decoder: TrainableDecoder,
    options: PromptingOptions,
  ) {
    const { objects = 4, rounds = 2, projected = 0, shown = 0 } = options;
    const { byEmbedding = false, frequent = true } = options;
    const shape = decoderInputs(1, 1)[EMBEDDING_INPUT];
    const embedding: Parameter = { name: EMBEDDING_INPUT, shape, start: { constant: 0 } };
    this.parameters = byEmbedding ? [...decoder.parameters, embedding] : decoder.parameters;
    this.objects = objects;
    this.rounds = rounds;
    this.projected = projected;
    this.shown = shown;
    this.frequent = frequent;
  }

  /** Some objects of a picture and what they are first prompted with; repeated where there are too few, `undefined` without any. */
  choose(labels: LabelImage, random: Random): PromptStart[] | undefined {
    const all = [...masksFromLabels(labels).values()].filter(({ area }) => area >= SMALLEST);
    if (all.length === 0) return undefined;
    const chosen = random.shuffled(all).slice(0, this.objects);
    const projected = this.projected > 0 && random.chance(this.projected);
    return Array.from({ length: this.objects }, (_, i) => {
      const object = chosen[i % chosen.length];
      return projected ? projectedStart(object, labels, random) : { object, prompt: startPrompt(object, random) };
    });
  }

  async run(embedding: Float32Array, starts: readonly PromptStart[], weights: Weights, random: Random) {
    const sums = new Map<string, Float32Array>();
    const objects = starts.map(({ object }) => object);
    let prompts = starts.map(({ prompt }) => prompt);
    let loss = 0;
    for (let round = 0; round < this.rounds; round++) {
      const targets = starts.map(({ object, afterEnd }) => (round === 0 && afterEnd ? EMPTY_MASK : object));
      const found: Float32Array[] = [];
      for (const [b, object] of targets.entries()) {
        const several = round === 0 && prompts[b].box === undefined;
        const result = await this.pass(round, weights, { embedding, object, prompt: prompts[b], several });
        const share = 1 / objects.length / this.rounds;
        loss += result.loss * share;
        addTo(sums, result.gradients, share);
        found.push(bestMask(result.masks, result.iou, several));
      }
      const withMask = random.chance(0.5);
      prompts = prompts.map((prompt, b) => {
        // Where the object has ended there is nothing to correct: it is prompted where it is.
        const { afterEnd } = starts[b];
        if (round === 0 && afterEnd) return corrected(afterEnd, objects[b], afterEnd.maskLogits, withMask, random);
        return corrected(prompt, objects[b], found[b], withMask, random);
      });
    }
    return { loss, gradients: sums };
  }

  async release(): Promise<void> {
    for (const session of this.sessions.values()) await session.release();
    this.sessions.clear();
  }

  private async pass(round: number, weights: Weights, { embedding, object, prompt, several }: Pass) {
    const session = await this.sessionOf(round);
    const { coords, labels, points, maskInput } = buildPrompts([prompt], FRAME);
    const shapes = decoderInputs(1, points);
    const float = (data: Float32Array, dims: readonly number[]) => this.runtime.tensor('float32', data, dims);
    const candidates = several ? [0, 1, 1, 1] : [1, 0, 0, 0];
    const { loss, gradients, outputs } = await session.run(weights, {
      [EMBEDDING_INPUT]: float(embedding, shapes[EMBEDDING_INPUT]),
      point_coords: float(coords, shapes.point_coords),
      point_labels: float(labels, shapes.point_labels),
      mask_input: float(maskInput ?? new Float32Array(PIXELS), shapes.mask_input),
      has_mask_input: float(Float32Array.of(maskInput ? 1 : 0), shapes.has_mask_input),
      target: float(Float32Array.from(maskToBitmap(object, GRID)), shapes.mask_input),
      candidates: float(Float32Array.from(candidates), [1, 4]),
    });
    return { loss, gradients, masks: float32Of(outputs.masks), iou: float32Of(outputs.iou) };
  }

  private async sessionOf(round: number): Promise<GradientSession> {
    const known = this.sessions.get(round);
    if (known) return known;
    const tokens = 2 + 2 * round;
    const session = await GradientSession.create(
      this.runtime,
      this.parameters,
      (g) => emitPromptLoss(g, this.decoder, 1, tokens, this.shown),
      { frequent: this.frequent },
    );
    this.sessions.set(round, session);
    return session;
  }
}

/** An object of a step, and what it is first prompted with. */
export interface PromptStart {
  readonly object: Mask;
  readonly prompt: ObjectPrompt;
  /** The first prompt is of a mask where no object is any more; this one goes before the corrections. */
  readonly afterEnd?: ReturnType<typeof projectedPrompt>;
}

/** One pass of an object. */
interface Pass {
  readonly embedding: Float32Array;
  readonly object: Mask;
  readonly prompt: ObjectPrompt;
  /** Whether the three masks for a single point count, or the one for definite prompts. */
  readonly several: boolean;
}

/** The decoder's graph with the loss of its four masks. */
export function emitPromptLoss(
  g: ShapedBuilder,
  decoder: TrainableDecoder,
  batch: number,
  tokens: number,
  shown = 0,
): BuiltLoss {
  const { model, taps } = decoder;
  const { logits: masks, iou } = taps;
  g.take(model.graph, decoderInputs(batch, tokens), [masks, iou]);
  const target = g.input('target', [batch, 1, MASK_SIDE, MASK_SIDE]);
  const candidates = g.input('candidates', [batch, 4]);
  const measured = measuredIou(g, masks, target);
  return { loss: promptLoss(g, { masks, iou, target, candidates, measured }, shown), outputs: { masks, iou } };
}

function startPrompt(object: Mask, random: Random): ObjectPrompt {
  if (random.chance(BOXES)) return { box: inexact(object.box, random) };
  const innermost = random.chance(INNERMOST);
  const [y, x] = innermost ? innermostPixel(object) : randomPixels(object, 1, () => random.uniform())[0];
  return { points: [{ at: [y + 0.5, x + 0.5], positive: true }] };
}

function projectedStart(object: Mask, labels: LabelImage, random: Random): PromptStart {
  const prompt = projectedPrompt(neighbourOf(object, random));
  const left = random.chance(ENDED) ? leftBehind(object, labels, random) : undefined;
  return left ? { object, prompt: projectedPrompt(left), afterEnd: prompt } : { object, prompt };
}

function inexact([top, left, bottom, right]: YXYX, random: Random): YXYX {
  const near = (value: number, length: number) =>
    Math.min(MASK_SIDE, Math.max(0, value + random.uniform(-BOX_ERROR, BOX_ERROR) * length));
  const [height, width] = [bottom - top, right - left];
  return [near(top, height), near(left, width), near(bottom, height), near(right, width)];
}

function corrected(
  { box, points = [] }: ObjectPrompt,
  object: Mask,
  logits: Float32Array,
  withMask: boolean,
  random: Random,
): ObjectPrompt {
  const found = maskFromBitmap(
    Uint8Array.from(logits, (value) => Number(value > 0)),
    GRID,
  );
  const corrections = correctionPoints(object, found, GRID, () => random.uniform());
  return { box, points: [...points, ...corrections], ...(withMask && { maskLogits: logits }) };
}

/** Of the masks that count, that with the highest predicted IoU; [256 · 256] logits. */
function bestMask(masks: Float32Array, iou: Float32Array, several: boolean): Float32Array {
  const candidates = several ? [1, 2, 3] : [0];
  const best = candidates.reduce((a, b) => (iou[b] > iou[a] ? b : a));
  return masks.slice(best * PIXELS, (best + 1) * PIXELS);
}
