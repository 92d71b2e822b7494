import { SamError } from '../errors.js';
import { constantOf, producers } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/model.js';
import { imagePositions } from '../onnx/sam/positions.js';
import {
  applyFloor,
  type DecodedChunk,
  type DecoderGraphs,
  EMBEDDING_SHAPE,
  openSession,
  type RunOptions,
} from './mask-decoder-graphs.js';
import { float32Of, type OrtRuntime, type OrtSession, type OrtTensor } from './runtime.js';
import type { Embedding, SamPrompts } from './sam-tensors.js';

const INPUTS = ['input_points', 'input_labels', 'image_embeddings', 'image_positional_embeddings'];

/**
 * Decoders exported from Hugging Face transformers: `input_points` [1, P, N, 2] and int64 `input_labels` [1, P, N] →
 * `pred_masks` [1, P, 3, 256, 256] and `iou_scores` [1, P, 3], masks 1 to 3. They append the padding point themselves and
 * take neither boxes nor masks. The positional encoding that they want with the embedding is a function of the decoder's
 * own projection matrix, so it is computed here and not asked of the encoder.
 */
export class TransformersDecoder implements DecoderGraphs {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    private readonly positions: OrtTensor,
    readonly batch: number,
  ) {}

  /** @throws SamError `model_unavailable` */
  static async open(
    runtime: OrtRuntime,
    bytes: Uint8Array,
    model: OnnxModel,
    batch: number,
  ): Promise<TransformersDecoder> {
    const inputs = model.graph.inputs.map((input) => input.name);
    const missing = INPUTS.filter((name) => !inputs.includes(name));
    const gaussian = findProjection(model);
    if (missing.length > 0 || !gaussian)
      throw new SamError(
        'model_unavailable',
        `This is not a SAM decoder of the transformers family: it takes ${inputs.join(', ')}; ` +
          (missing.length > 0 ? `missing ${missing.join(', ')}.` : 'its positional encoding was not found.'),
        { details: { inputs, missing } },
      );
    const channelsLast = imagePositions(gaussian);
    const data = new Float32Array(channelsLast.length);
    for (let c = 0; c < 256; c++) for (let p = 0; p < 4096; p++) data[c * 4096 + p] = channelsLast[p * 256 + c];
    const session = await openSession(runtime, bytes);
    return new TransformersDecoder(runtime, session, runtime.tensor('float32', data, EMBEDDING_SHAPE), batch);
  }

  async run(embedding: Embedding, prompts: SamPrompts, { iouFloor }: RunOptions): Promise<DecodedChunk> {
    if (prompts.maskInput) throw unsupported('mask prompts');
    if (prompts.labels.some((label) => label > 1)) throw unsupported('boxes');
    const { coords, labels, batch, points } = withoutPadding(prompts);
    const { runtime } = this;
    const { pred_masks, iou_scores } = await this.session.run(
      {
        image_embeddings: runtime.tensor('float32', embedding.features.data, EMBEDDING_SHAPE),
        image_positional_embeddings: this.positions,
        input_points: runtime.tensor('float32', coords, [1, batch, points, 2]),
        input_labels: runtime.tensor('int64', BigInt64Array.from(labels, BigInt), [1, batch, points]),
      },
      ['pred_masks', 'iou_scores'],
    );
    const rows = Array.from({ length: batch }, (_, row) => row);
    const chunk = { logits: float32Of(pred_masks), iou: float32Of(iou_scores), tokens: [1, 2, 3], rows };
    return applyFloor(chunk, batch, iouFloor);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

function unsupported(what: string): SamError {
  return new SamError(
    'unsupported',
    `This decoder takes points only, no ${what}. Use an official SAM export for them.`,
  );
}

/** Without the last point, if it is padding in every prompt: the graph adds its own. */
function withoutPadding(prompts: SamPrompts): SamPrompts {
  const { coords, labels, batch, points } = prompts;
  const padded = Array.from({ length: batch }, (_, b) => labels[(b + 1) * points - 1]).every((label) => label === -1);
  if (!padded || points === 1) return prompts;
  const keep = points - 1;
  return {
    batch,
    points: keep,
    coords: coords.filter((_, i) => Math.floor(i / 2) % points < keep),
    labels: labels.filter((_, i) => i % points < keep),
  };
}

/** The [2, 128] matrix that coordinates are multiplied with. */
function findProjection({ graph }: OnnxModel): Float32Array | undefined {
  const made = producers(graph);
  for (const node of graph.nodes) {
    if (node.op !== 'MatMul') continue;
    const name = node.inputs[1];
    const held = graph.initializers.find((tensor) => tensor.name === name);
    const value = made.get(name)?.attributes.find((a) => a.name === 'value');
    const tensor = held ?? (value?.type === 'tensor' ? value.value : undefined);
    if (tensor && String(tensor.dims) === '2,128') return constantOf(tensor)?.data;
  }
  return undefined;
}
