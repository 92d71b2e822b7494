import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import type { OrtRuntime } from '../../model/runtime.js';
import { fromHalf } from '../../ndimage/half.js';
import { elementCount } from '../../onnx/tensor-info.js';
import { clipGradients } from '../adamw.js';
import { GradientSession } from '../gradient-session.js';
import { CROP_CELLS, cropShapes, cutCrop, drawCorner } from '../instances/crops.js';
import { type CanvasFeatures, cachedCanvas, mapParts } from '../instances/feature-cache.js';
import { emitCropLoss } from '../instances/instance-objective.js';
import { DECODER_PARAMETERS } from '../instances/light-decoder.js';
import type { Parameter, Weights } from '../parameters.js';
import type { TrainableDecoder } from '../prompts/mask-decoder.js';
import { EMBEDDING_INPUT, IterativePrompting } from '../prompts/prompt-objective.js';
import { Random } from '../random.js';
import type { Objective } from '../trainer.js';
import { LateSession } from './late-session.js';
import { EMBEDDING, type LateStage } from './late-stage.js';
import { cachedStage } from './stage-cache.js';

/**
 * The late part of the encoder together with both decoders, whose losses meet in the embedding: a picture a step, of which
 * some objects are prompted and two parts are segmented.
 */
export interface JointOptions {
  readonly seed: number;
  /** Objects that are prompted in a step. */
  readonly objects?: number;
  /** Times that an object is segmented. */
  readonly rounds?: number;
  /** Parts of the picture for the instance decoder. */
  readonly crops?: number;
  /**
   * Weight of the squared difference of the embedding from the one before the training, relative to its square: what is not
   * among the pictures keeps the embedding that it had.
   */
  readonly anchor?: number;
}

/** Where the pictures are kept: each by `cacheStage` and by `cacheCanvas`, at the same position of both lists. */
export interface JointPictures {
  readonly store: Store;
  readonly stages: readonly string[];
  readonly canvases: readonly string[];
}

/** The parts that learn; names of parameters begin with that of their part, as both networks have an `onnx::MatMul_…`. */
export const JOINT_PARTS = ['late', 'decoder', 'instances'] as const;
export type JointPart = (typeof JOINT_PARTS)[number];

/** Largest norm of the gradients of a part. */
const CLIP: Readonly<Record<JointPart, number>> = { late: 1, decoder: 1, instances: 5 };
const ANCHOR = 0.5;
const CELLS = EMBEDDING[2];
const CHANNELS = EMBEDDING[1];

export class JointObjective implements Objective {
  readonly parameters: readonly Parameter[];

  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly late: LateSession,
    private readonly prompting: IterativePrompting,
    private readonly instances: GradientSession,
    private readonly pictures: JointPictures,
    private readonly options: Required<JointOptions>,
    parameters: Readonly<Record<JointPart, readonly Parameter[]>>,
  ) {
    this.parameters = JOINT_PARTS.flatMap((part) =>
      parameters[part].map((parameter) => ({ ...parameter, name: `${part}/${parameter.name}` })),
    );
  }

  static async create(
    runtime: OrtRuntime,
    late: LateStage,
    decoder: TrainableDecoder,
    pictures: JointPictures,
    { seed, objects = 4, rounds = 2, crops = 2, anchor = ANCHOR }: JointOptions,
  ): Promise<JointObjective> {
    // Three networks in one process: each takes little memory, and gives it back.
    const lean = { together: objects % 2 === 0 ? 2 : 1, frequent: false };
    const cropped: Parameter = { name: 'emb', shape: cropShapes(crops).emb, start: { constant: 0 } };
    return new JointObjective(
      runtime,
      await LateSession.create(runtime, late),
      new IterativePrompting(runtime, decoder, { objects, rounds, byEmbedding: true, ...lean }),
      await GradientSession.create(
        runtime,
        [...DECODER_PARAMETERS, cropped],
        (g) => ({ loss: emitCropLoss(g, crops) }),
        { frequent: false },
      ),
      pictures,
      { seed, objects, rounds, crops, anchor },
      { late: late.parameters, decoder: decoder.parameters, instances: DECODER_PARAMETERS },
    );
  }

  async batch(step: number, weights: Weights) {
    const random = Random.ofStep(this.options.seed, step);
    const { canvas, stage, objects } = await this.draw(random);
    const embedding = await this.late.embed(stage, partOf(weights, 'late'));
    const prompted = await this.prompting.run(embedding, objects, partOf(weights, 'decoder'), random);
    const segmented = await this.segment(canvas, embedding, partOf(weights, 'instances'), random);
    const anchored = this.anchor(canvas, embedding);
    const toEmbedding = anchored.gradient;
    const ofPrompts = prompted.gradients.get(EMBEDDING_INPUT) as Float32Array;
    for (let i = 0; i < toEmbedding.length; i++) toEmbedding[i] += ofPrompts[i] + segmented.toEmbedding[i];
    prompted.gradients.delete(EMBEDDING_INPUT);
    const ofLate = await this.late.gradients(stage, toEmbedding, partOf(weights, 'late'));
    const parts = { late: ofLate, decoder: prompted.gradients, instances: segmented.gradients };
    const gradients = new Map<string, Float32Array>();
    for (const part of JOINT_PARTS) {
      clipGradients(parts[part], CLIP[part]);
      for (const [name, gradient] of parts[part]) gradients.set(`${part}/${name}`, gradient);
    }
    return { loss: prompted.loss + segmented.loss + anchored.loss, gradients };
  }

  async release(): Promise<void> {
    await this.late.release();
    await this.prompting.release();
    await this.instances.release();
  }

  /** A picture with objects to prompt. */
  private async draw(random: Random) {
    const { store, stages, canvases } = this.pictures;
    for (const index of random.shuffled([...stages.keys()])) {
      const sample = await cachedStage(store, stages[index]);
      if (!sample) throw missing(stages[index], store);
      const objects = this.prompting.choose(sample.labels, random);
      if (!objects) continue;
      const canvas = await cachedCanvas(store, canvases[index]);
      if (!canvas) throw missing(canvases[index], store);
      return { canvas, stage: sample.features, objects };
    }
    throw new SamError('invalid_argument', 'None of the pictures has an object that is large enough to be trained on.');
  }

  /** The instance loss of some parts of a picture, by the embedding as it is now. */
  private async segment(canvas: CanvasFeatures, embedding: Float32Array, weights: Weights, random: Random) {
    const shapes = cropShapes(this.options.crops);
    const data = mapParts((part) => new Uint16Array(elementCount(shapes[part])));
    const corners = Array.from({ length: this.options.crops }, () => drawCorner(canvas, random));
    for (const [i, [top, left]] of corners.entries()) cutCrop(canvas, top, left, data, i);
    const feeds = mapParts((part) => this.runtime.tensor('float32', fromHalf(data[part]), shapes[part]));
    const cut = new Float32Array(elementCount(shapes.emb));
    overRows(corners, (inCrop, inWhole) => cut.set(embedding.subarray(inWhole, inWhole + CROP_CELLS), inCrop));
    const emb = this.runtime.tensor('float32', cut, shapes.emb);
    const { loss, gradients } = await this.instances.run(weights, { ...feeds, emb });
    const own = new Map(gradients);
    const ofCut = own.get('emb') as Float32Array;
    own.delete('emb');
    const toEmbedding = new Float32Array(embedding.length);
    overRows(corners, (inCrop, inWhole) => {
      for (let x = 0; x < CROP_CELLS; x++) toEmbedding[inWhole + x] += ofCut[inCrop + x];
    });
    return { loss, gradients: own, toEmbedding };
  }

  private anchor({ emb }: CanvasFeatures, embedding: Float32Array): { loss: number; gradient: Float32Array } {
    const before = fromHalf(emb);
    const square = before.reduce((sum, value) => sum + value * value, 0);
    const gradient = new Float32Array(embedding.length);
    let loss = 0;
    for (let i = 0; i < gradient.length; i++) {
      const off = embedding[i] - before[i];
      gradient[i] = (2 * this.options.anchor * off) / square;
      loss += (this.options.anchor * off * off) / square;
    }
    return { loss, gradient };
  }
}

/** Each row of each channel of each crop: where it begins in the crops and in the whole embedding. */
function overRows(
  corners: readonly (readonly [top: number, left: number])[],
  row: (inCrop: number, inWhole: number) => void,
): void {
  let inCrop = 0;
  for (const [top, left] of corners)
    for (let c = 0; c < CHANNELS; c++)
      for (let y = 0; y < CROP_CELLS; y++, inCrop += CROP_CELLS) row(inCrop, (c * CELLS + top + y) * CELLS + left);
}

/** The weights of one part, by their own names. */
export function partOf(weights: Weights, part: JointPart): Map<string, Float32Array> {
  const start = `${part}/`;
  return new Map(
    [...weights].flatMap(([name, values]) => (name.startsWith(start) ? [[name.slice(start.length), values]] : [])),
  );
}

/** Weights of all parts under the names that they have together. */
export function joined(parts: Readonly<Partial<Record<JointPart, Weights>>>): Map<string, Float32Array> {
  return new Map(
    JOINT_PARTS.flatMap((part) =>
      [...(parts[part] ?? [])].map(([name, values]) => [`${part}/${name}`, values] as const),
    ),
  );
}

function missing(key: string, store: Store): SamError {
  return new SamError('not_found', `The cached canvas ${key} is missing or damaged in ${store.name}.`);
}
