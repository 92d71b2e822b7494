import {
  applyFloor,
  type DecodedChunk,
  type DecoderGraphs,
  EMBEDDING_SHAPE,
  LOW_RES,
  type RunOptions,
} from './mask-decoder-graphs.js';
import { float32Of, type OrtRuntime, type OrtSession } from './runtime.js';
import type { Embedding, SamPrompts } from './sam-tensors.js';

/** Official exports that are not written anew: with all masks tapped (onnx/sam/batch.ts), or untouched. */

const ALL_TOKENS = [0, 1, 2, 3];

function officialFeeds(runtime: OrtRuntime, embedding: Embedding, prompts: SamPrompts) {
  const { batch, points, coords, labels, maskInput } = prompts;
  return {
    image_embeddings: runtime.tensor('float32', embedding.features.data, EMBEDDING_SHAPE),
    point_coords: runtime.tensor('float32', coords, [batch, points, 2]),
    point_labels: runtime.tensor('float32', labels, [batch, points]),
    mask_input: runtime.tensor('float32', maskInput ?? new Float32Array(LOW_RES), [maskInput ? batch : 1, 1, 256, 256]),
    has_mask_input: runtime.tensor('float32', Float32Array.of(maskInput ? 1 : 0), [1]),
  };
}

/** All four masks of B prompts, by the export's own arithmetic. */
export class BatchedDecoder implements DecoderGraphs {
  constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    readonly batch: number,
  ) {}

  async run(embedding: Embedding, prompts: SamPrompts, { iouFloor }: RunOptions): Promise<DecodedChunk> {
    const { logits, iou } = await this.session.run(officialFeeds(this.runtime, embedding, prompts));
    const rows = Array.from({ length: prompts.batch }, (_, row) => row);
    const chunk = { logits: float32Of(logits), iou: float32Of(iou), tokens: ALL_TOKENS, rows };
    return applyFloor(chunk, prompts.batch, iouFloor);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/**
 * The export as it is, one prompt at a time. Most exports select one mask by their own rule: with three or more points
 * (padding and box corners included) mask 0, else the best scored of masks 1 to 3. That one is then said to be token 0
 * or 1 ("the multimask result"); callers that would choose themselves cannot.
 */
export class UntouchedDecoder implements DecoderGraphs {
  readonly batch = 1;

  constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
  ) {}

  async run(embedding: Embedding, prompts: SamPrompts, { iouFloor }: RunOptions): Promise<DecodedChunk> {
    const feeds = {
      ...officialFeeds(this.runtime, embedding, prompts),
      // The smallest image there is: the enlarged masks are not used.
      orig_im_size: this.runtime.tensor('float32', Float32Array.of(64, 64), [2]),
    };
    const outputs = await this.session.run(feeds, ['low_res_masks', 'iou_predictions']);
    const iou = float32Of(outputs.iou_predictions);
    const selected = prompts.points > 2 ? [0] : [1];
    const tokens = iou.length === 4 ? ALL_TOKENS : iou.length === 3 ? [1, 2, 3] : selected;
    return applyFloor({ logits: float32Of(outputs.low_res_masks), iou, tokens, rows: [0] }, 1, iouFloor);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
