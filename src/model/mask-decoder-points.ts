import type { OnnxModel } from '../onnx/model.js';
import {
  type DecodedChunk,
  type DecoderGraphs,
  EMBEDDING_SHAPE,
  LOW_RES,
  openSession,
  type RunOptions,
} from './mask-decoder-graphs.js';
import { type Names, namesOf, type Roles, runByRoles } from './mask-decoder-names.js';
import { chunkOf, levelFeeds, NO_MASKS, withoutMask, withoutPadding } from './mask-decoder-prompts.js';
import type { DecoderLayout } from './model-spec.js';
import type { OrtRuntime, OrtSession } from './runtime.js';
import type { Embedding, SamPrompts } from './sam-tensors.js';

type Role = 'embedding' | 'points' | 'labels' | 'mask' | 'hasMask' | 'size' | 'masks' | 'scores';

const ROLES: Roles<Role> = {
  inputs: {
    embedding: ['image_embeddings', 'image_embedding', 'image_embed'],
    points: ['point_coords'],
    labels: ['point_labels'],
    mask: ['mask_input'],
    hasMask: ['has_mask_input'],
    size: ['orig_im_size'],
  },
  outputs: { masks: ['low_res_masks', 'masks'], scores: ['iou_predictions', 'scores'] },
  optional: ['mask', 'hasMask', 'size'],
};

/**
 * Decoders with SAM's prompts, [1, N, 2] points with labels that say corners of boxes, too, which differ from the official
 * export in names, in what they take (EfficientViT-SAM: no mask; SAM 2: finer levels of features) or in how many masks
 * they give. They are used as they are, one prompt at a time.
 */
export class PointsDecoder implements DecoderGraphs {
  readonly batch = 1;
  readonly note: string | undefined;

  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    private readonly names: Names<Role>,
    private readonly layout: DecoderLayout,
  ) {
    this.note = names.mask === undefined ? NO_MASKS : undefined;
  }

  /** @throws SamError `model_unavailable` */
  static async open(
    runtime: OrtRuntime,
    bytes: Uint8Array,
    model: OnnxModel,
    layout: DecoderLayout,
  ): Promise<PointsDecoder> {
    const names = namesOf(model, ROLES, layout);
    return new PointsDecoder(runtime, await openSession(runtime, bytes), names, layout);
  }

  async run(embedding: Embedding, prompts: SamPrompts, { iouFloor }: RunOptions): Promise<DecodedChunk> {
    const { runtime, names, layout } = this;
    const whole = names.mask === undefined ? withoutMask(prompts) : prompts;
    const { coords, labels, points, maskInput } = layout.padding === 'graph' ? withoutPadding(whole) : whole;
    const float = (data: Float32Array, ...shape: number[]) => runtime.tensor('float32', data, shape);
    const values = {
      embedding: () => float(embedding.features.data, ...EMBEDDING_SHAPE),
      points: () => float(coords, 1, points, 2),
      labels: () => float(labels, 1, points),
      mask: () => float(maskInput ?? new Float32Array(LOW_RES), 1, 1, 256, 256),
      hasMask: () => float(Float32Array.of(maskInput ? 1 : 0), 1),
      // The smallest image there is: the enlarged masks are not used.
      size: () => float(Float32Array.of(64, 64), 2),
    };
    const levels = levelFeeds(runtime, embedding, layout.levels);
    return chunkOf(await runByRoles(this.session, names, values, levels), whole, iouFloor);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
