import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import type { OrtRuntime } from '../../model/runtime.js';
import { fromHalf } from '../../ndimage/half.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { elementCount } from '../../onnx/tensor-info.js';
import { GradientSession } from '../gradient-session.js';
import { inTurn, Random } from '../random.js';
import type { Objective } from '../trainer.js';
import { cropShapes, cutCrop, drawCorner } from './crops.js';
import { cachedCanvas, mapParts } from './feature-cache.js';
import { instanceLoss } from './instance-loss.js';
import { DECODER_PARAMETERS, emitLightDecoder } from './light-decoder.js';

export interface InstanceObjectiveOptions {
  /** Crops a step. */
  readonly batch?: number;
  readonly seed: number;
}

/** The light instance decoder on cached features: `instances`, with the encoder frozen. */
export class InstanceObjective implements Objective {
  readonly parameters = DECODER_PARAMETERS;

  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: GradientSession,
    private readonly store: Store,
    private readonly keys: readonly string[],
    private readonly crops: number,
    private readonly seed: number,
  ) {}

  /** @param keys the cached canvases in `store` */
  static async create(
    runtime: OrtRuntime,
    store: Store,
    keys: readonly string[],
    { batch = 2, seed }: InstanceObjectiveOptions,
  ): Promise<InstanceObjective> {
    const session = await GradientSession.create(runtime, DECODER_PARAMETERS, (g) => ({
      loss: emitCropLoss(g, batch),
    }));
    return new InstanceObjective(runtime, session, store, keys, batch, seed);
  }

  async batch(step: number, weights: ReadonlyMap<string, Float32Array>) {
    const shapes = cropShapes(this.crops);
    const data = mapParts((part) => new Uint16Array(elementCount(shapes[part])));
    for (let i = 0; i < this.crops; i++) {
      const position = step * this.crops + i;
      const key = this.keys[inTurn(position, this.keys.length, this.seed)];
      const random = Random.ofStep(this.seed, position);
      const features = await cachedCanvas(this.store, key);
      if (!features)
        throw new SamError('not_found', `The cached canvas ${key} is missing or damaged in ${this.store.name}.`);
      const [top, left] = drawCorner(features, random);
      cutCrop(features, { top, left, index: i }, data);
    }
    const feeds = mapParts((part) => this.runtime.tensor('float32', fromHalf(data[part]), shapes[part]));
    return this.session.run(weights, feeds);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** The loss of so many crops, which are inputs by the names of their parts. */
export function emitCropLoss(g: ShapedBuilder, batch: number): string {
  for (const [part, shape] of Object.entries(cropShapes(batch))) if (!g.has(part)) g.input(part, [...shape]);
  const logits = emitLightDecoder(g, { emb: 'emb', s1: 's1', s0: 's0', img: 'img' }, (parameter) => parameter);
  return instanceLoss(g, logits, 'target');
}
