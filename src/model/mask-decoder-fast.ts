import { LruEntries } from '../io/cache.js';
import type { Size } from '../ndimage/array.js';
import { type DecoderVariant, emitDecoder, emitPrepare } from '../onnx/sam/emit.js';
import type { SamDecoderWeights } from '../onnx/sam/weights.js';
import { writeModel } from '../onnx/write.js';
import {
  type DecodedChunk,
  type DecoderGraphs,
  EMBEDDING_SHAPE,
  LazySession,
  type RunOptions,
} from './mask-decoder-graphs.js';
import { float32Of, type OrtRuntime, type OrtTensor } from './runtime.js';
import type { EdgeOptions, Embedding, SamPrompts } from './sam-tensors.js';
import { reachable } from './upsample.js';

/** With more points the graph that makes all pixels does less work than the factored one (measured). */
const FEW_POINTS = 12;
/** Images whose prepared features are kept, 26 MB each. */
const PREPARED_IMAGES = 2;
/** Stands for "no floor"; infinities are left out of the arithmetic. */
const NO_FLOOR = -1e30;

/**
 * Logits that count as clear. With 3, the masks of cells that were compared had a wrong sign in at most a few of 65,536
 * places (docs/automatic-segmentation.md); the band in which stability is measured ends at 1.
 */
const EDGE_MARGIN = 3;

const TOKENS = [0, 1, 2, 3];

/** The decoder written anew (src/onnx/sam/emit.ts): per-image work once per image, masks only where asked for. */
export class FastDecoder implements DecoderGraphs {
  readonly batch: number;
  private readonly prepare: Readonly<Record<'few' | 'many', LazySession>>;
  private readonly variants: Readonly<Record<DecoderVariant, LazySession>>;
  /** Prepared features by variant and embedding id. */
  private readonly prepared = new LruEntries<string, Readonly<Record<string, OrtTensor>>>(PREPARED_IMAGES);

  constructor(
    private readonly runtime: OrtRuntime,
    weights: SamDecoderWeights,
    batch: number,
  ) {
    this.batch = batch;
    const variant = (name: DecoderVariant) => new LazySession(runtime, () => writeModel(emitDecoder(weights, name)));
    const prepare = (name: 'few' | 'many') => new LazySession(runtime, () => writeModel(emitPrepare(weights, name)));
    this.prepare = { few: prepare('few'), many: prepare('many') };
    this.variants = { few: variant('few'), many: variant('many'), masked: variant('masked') };
  }

  /** Opens what the first click needs, so that a graph the runtime refuses is found out now. */
  async open(): Promise<void> {
    await this.prepare.few.get();
    await this.variants.few.get();
  }

  async run(embedding: Embedding, prompts: SamPrompts, { iouFloor, edges }: RunOptions): Promise<DecodedChunk> {
    const { batch, points, coords, labels, maskInput } = prompts;
    const { runtime } = this;
    const variant = maskInput ? 'masked' : points > FEW_POINTS ? 'many' : 'few';
    const session = await this.variants[variant].get();
    const image =
      variant === 'masked'
        ? {
            image_embeddings: runtime.tensor('float32', embedding.features.data, EMBEDDING_SHAPE),
            mask_input: runtime.tensor('float32', maskInput as Float32Array, [batch, 1, 256, 256]),
          }
        : await this.prepareImage(variant, embedding);
    const { logits, iou, rows } = await session.run({
      ...image,
      point_coords: runtime.tensor('float32', coords, [batch, points, 2]),
      point_labels: runtime.tensor('float32', labels, [batch, points]),
      iou_floor: runtime.tensor('float32', Float32Array.of(Math.max(iouFloor, NO_FLOOR)), [1]),
      ...this.edgeFeeds(embedding.inputSize, edges),
    });
    return {
      logits: float32Of(logits),
      iou: float32Of(iou),
      tokens: TOKENS,
      rows: Array.from(rows.data as BigInt64Array, Number),
    };
  }

  private edgeFeeds(inputSize: Size, edges?: EdgeOptions): Readonly<Record<string, OrtTensor>> {
    const f = (...values: number[]) => this.runtime.tensor('float32', Float32Array.from(values), [values.length]);
    const extent = inputSize.map((length) => Math.ceil(reachable(length, 1024) / 4));
    const last = extent.map((length) => BigInt(length === 64 ? 32 : (length - 1) >> 1));
    return {
      edge_margin: f(edges ? EDGE_MARGIN : 0),
      edge_masks: f(...TOKENS.map((token) => Number(edges?.tokens.includes(token) ?? true))),
      edge_background: f(Number(edges?.background ?? true)),
      edge_extent: f(...extent),
      edge_last: this.runtime.tensor('int64', BigInt64Array.from(last), [2]),
    };
  }

  async release(): Promise<void> {
    this.prepared.clear();
    for (const session of [...Object.values(this.prepare), ...Object.values(this.variants)]) await session.release();
  }

  private async prepareImage(
    variant: 'few' | 'many',
    { id, features }: Embedding,
  ): Promise<Readonly<Record<string, OrtTensor>>> {
    const key = `${variant} ${id}`;
    const known = this.prepared.get(key);
    if (known) return known;
    const image = await this.runPrepare(variant, features.data);
    this.prepared.set(key, image);
    return image;
  }

  private async runPrepare(
    variant: 'few' | 'many',
    features: Float32Array,
  ): Promise<Readonly<Record<string, OrtTensor>>> {
    const session = await this.prepare[variant].get();
    const outputs = await session.run({
      image_embeddings: this.runtime.tensor('float32', features, EMBEDDING_SHAPE),
    });
    const image = Object.entries(outputs).map(([name, tensor]) => [
      name,
      this.runtime.tensor('float32', float32Of(tensor), tensor.dims),
    ]);
    return Object.fromEntries(image);
  }
}
