import { entryOf } from '../../items.js';
import type { OrtRuntime } from '../../model/runtime.js';
import { fromHalf } from '../../ndimage/half.js';
import { elementCount } from '../../onnx/tensor-info.js';
import { clipGradients } from '../adamw.js';
import { EncoderSession } from '../encoder/encoder-session.js';
import type { TrainableEncoder } from '../encoder/trainable-encoder.js';
import { GradientSession } from '../gradient-session.js';
import { addPart, cropShapes, cutPart, drawCorner } from '../instances/crops.js';
import { type CachedPart, mapParts, PARTS } from '../instances/feature-cache.js';
import { emitCropLoss } from '../instances/instance-objective.js';
import { DECODER_PARAMETERS } from '../instances/light-decoder.js';
import { addTo, type Parameter, type Weights } from '../parameters.js';
import type { TrainableDecoder } from '../prompts/mask-decoder.js';
import { EMBEDDING_INPUT, IterativePrompting } from '../prompts/prompt-objective.js';
import { Random } from '../random.js';
import type { Objective } from '../trainer.js';
import {
  embeddingBefore,
  type JointPicture,
  type JointPictures,
  type KeptPictures,
  keptPictures,
} from './joint-pictures.js';

/**
 * The encoder, or its late part, together with both decoders, whose losses meet in what the encoder gives: of each picture of
 * a step some objects are prompted and two parts are segmented.
 */
export interface JointOptions {
  readonly seed: number;
  /** Pictures a step, whose gradients are averaged. */
  readonly pictures?: number;
  /** Objects that are prompted in a picture. */
  readonly objects?: number;
  /** Times that an object is segmented. */
  readonly rounds?: number;
  /** How often the objects of a picture begin with a mask of the slice or frame before; never if absent. */
  readonly projected?: number;
  /** As in `PromptOptions`. */
  readonly shown?: number;
  /** Parts of the picture for the instance decoder. */
  readonly crops?: number;
  /**
   * Weight of the squared difference of the embedding from the one before the training, relative to its square: what is not
   * among the pictures keeps the embedding that it had. Where pictures are made at their step, that one takes a pass of the
   * encoder, which 0 saves.
   */
  readonly anchor?: number;
  /** Largest norm of the gradients of each part. */
  readonly clip?: Readonly<Record<JointPart, number>>;
}

/** The parts that learn; names of parameters begin with that of their part, as both networks have an `onnx::MatMul_…`. */
const JOINT_PARTS = ['late', 'encoder', 'lora', 'decoder', 'instances'] as const;
export type JointPart = (typeof JOINT_PARTS)[number];

/** Weights by their own names; of the encoder those of its file that have changed. */
export type JointWeights = Readonly<Record<'encoder' | 'decoder' | 'instances', Weights>>;

const CLIP: Readonly<Record<JointPart, number>> = { late: 1, encoder: 1, lora: 1, decoder: 1, instances: 5 };
const ANCHOR = 0.5;

interface Parts {
  readonly runtime: OrtRuntime;
  readonly encoder: TrainableEncoder;
  readonly encoding: EncoderSession;
  readonly prompting: IterativePrompting;
  readonly instances: GradientSession;
  readonly pictures: JointPictures;
  readonly options: Required<JointOptions>;
}

export class JointObjective implements Objective {
  readonly parameters: readonly Parameter[];

  private constructor(
    private readonly parts: Parts,
    parameters: Readonly<Partial<Record<JointPart, readonly Parameter[]>>>,
  ) {
    this.parameters = JOINT_PARTS.flatMap((part) =>
      (parameters[part] ?? []).map((parameter) => ({ ...parameter, name: `${part}/${parameter.name}` })),
    );
  }

  /** @param pictures made at their step for the whole encoder, kept ones for its late part */
  static async create(
    runtime: OrtRuntime,
    encoder: TrainableEncoder,
    decoder: TrainableDecoder,
    pictures: JointPictures | KeptPictures,
    options: JointOptions,
  ): Promise<JointObjective> {
    const { seed, pictures: count = 1, objects = 4, rounds = 2, projected = 0, shown = 0 } = options;
    const { crops = 2, anchor = ANCHOR, clip = CLIP } = options;
    // Three networks in one process: those that run beside the encoder give their memory back.
    const lean = { frequent: false };
    const shapes = cropShapes(crops);
    const cropped = changing(encoder).map((part): Parameter => ({ name: part, shape: shapes[part], start: ZERO }));
    const parts: Parts = {
      runtime,
      encoder,
      encoding: await EncoderSession.create(runtime, encoder),
      prompting: new IterativePrompting(runtime, decoder, {
        objects,
        rounds,
        projected,
        shown,
        byEmbedding: true,
        ...lean,
      }),
      instances: await GradientSession.create(
        runtime,
        [...DECODER_PARAMETERS, ...cropped],
        (g) => ({ loss: emitCropLoss(g, crops) }),
        lean,
      ),
      pictures: 'draw' in pictures ? pictures : keptPictures(pictures),
      options: { seed, pictures: count, objects, rounds, projected, shown, crops, anchor, clip },
    };
    return new JointObjective(parts, {
      [encoder.part]: encoder.parameters,
      decoder: decoder.parameters,
      instances: DECODER_PARAMETERS,
    });
  }

  async batch(step: number, weights: Weights) {
    const count = this.parts.options.pictures;
    const sums = new Map<JointPart, Map<string, Float32Array>>();
    let loss = 0;
    for (let i = 0; i < count; i++) {
      const found = await this.ofPicture(step * count + i, weights);
      loss += found.loss / count;
      for (const [part, gradients] of found.gradients) {
        const sum = sums.get(part) ?? new Map<string, Float32Array>();
        addTo(sum, gradients, 1 / count);
        sums.set(part, sum);
      }
    }
    const all = new Map<string, Float32Array>();
    for (const [part, gradients] of sums) {
      clipGradients(gradients, this.parts.options.clip[part]);
      for (const [name, gradient] of gradients) all.set(`${part}/${name}`, gradient);
    }
    return { loss, gradients: all };
  }

  async release(): Promise<void> {
    await this.parts.encoding.release();
    await this.parts.prompting.release();
    await this.parts.instances.release();
  }

  /** @returns the gradients by the weights of each part */
  private async ofPicture(position: number, weights: Weights) {
    const { encoding, prompting, encoder } = this.parts;
    const random = Random.ofStep(this.parts.options.seed, position);
    const picture = await this.parts.pictures.draw(position, random, (labels) => prompting.choose(labels, random));
    const encoderWeights = partOf(weights, encoder.part);
    const encoded = await encoding.forward(picture.input, encoderWeights);
    const features = encoded.values;
    const prompted = picture.objects
      ? await prompting.run(features.emb, picture.objects, partOf(weights, 'decoder'), random)
      : { loss: 0, gradients: new Map<string, Float32Array>() };
    const segmented = await this.segment(picture, features, partOf(weights, 'instances'), random);
    const anchored = await this.anchor(picture, features.emb);
    const { byFeatures } = segmented;
    const byEmbedding = prompted.gradients.get(EMBEDDING_INPUT);
    for (const more of [anchored.gradient, byEmbedding]) if (more) addTo(byFeatures, new Map([['emb', more]]), 1);
    prompted.gradients.delete(EMBEDDING_INPUT);
    const gradients = new Map<JointPart, ReadonlyMap<string, Float32Array>>([
      [encoder.part, await encoding.gradients(picture.input, encoded, Object.fromEntries(byFeatures), encoderWeights)],
      ['decoder', prompted.gradients],
      ['instances', segmented.gradients],
    ]);
    return { loss: prompted.loss + segmented.loss + anchored.loss, gradients };
  }

  /** The instance loss of some parts of a picture, by what the encoder gives as it is now. */
  private async segment(
    { features: kept }: JointPicture,
    given: Partial<Record<CachedPart, Float32Array>>,
    weights: Weights,
    random: Random,
  ) {
    const shapes = cropShapes(this.parts.options.crops);
    const corners = Array.from({ length: this.parts.options.crops }, () => drawCorner(kept, random));
    const cut = <T extends Uint16Array | Float32Array>(part: CachedPart, whole: T, into: T): T => {
      for (const [index, [top, left]] of corners.entries()) cutPart(part, whole, { top, left, index }, into);
      return into;
    };
    const batch = mapParts((part) => {
      const changes = given[part];
      const length = elementCount(shapes[part]);
      const data = changes
        ? cut(part, changes, new Float32Array(length))
        : fromHalf(cut(part, kept[part] as Uint16Array, new Uint16Array(length)));
      return this.parts.runtime.tensor('float32', data, shapes[part]);
    });
    const { loss, gradients } = await this.parts.instances.run(weights, batch);
    const own = new Map(gradients);
    const byFeatures = new Map<string, Float32Array>();
    for (const part of changing(this.parts.encoder)) {
      const whole = new Float32Array((given[part] as Float32Array).length);
      const ofCut = entryOf(own, part);
      for (const [index, [top, left]] of corners.entries()) addPart(part, whole, { top, left, index }, ofCut);
      byFeatures.set(part, whole);
      own.delete(part);
    }
    return { loss, gradients: own, byFeatures };
  }

  private async anchor(picture: JointPicture, embedding: Float32Array) {
    const { anchor } = this.parts.options;
    if (anchor === 0) return { loss: 0 };
    const { encoding, encoder } = this.parts;
    const encodedBefore = () => encoding.forward(picture.input, encoder.weights, { keep: false });
    const before = embeddingBefore(picture) ?? (await encodedBefore()).values.emb;
    const square = before.reduce((sum, value) => sum + value * value, 0);
    const gradient = new Float32Array(embedding.length);
    let loss = 0;
    for (let i = 0; i < gradient.length; i++) {
      const off = embedding[i] - before[i];
      gradient[i] = (2 * anchor * off) / square;
      loss += (anchor * off * off) / square;
    }
    return { loss, gradient };
  }
}

const ZERO = { constant: 0 };

/** What of the instance decoder's inputs changes with the encoder. */
function changing({ stages }: TrainableEncoder): CachedPart[] {
  const given = new Set<string>(stages.map(({ gives }) => gives));
  return PARTS.filter((part) => given.has(part));
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
