import { SamError } from '../errors.js';
import { present } from '../items.js';
import { constantOf, producers } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/model.js';
import { imagePositions } from '../onnx/sam/positions.js';
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
import type { OrtRuntime, OrtSession, OrtTensor } from './runtime.js';
import type { Embedding, SamPrompts } from './sam-tensors.js';

type Role = 'embedding' | 'positions' | 'points' | 'labels' | 'boxes' | 'mask' | 'hasMask' | 'masks' | 'scores';

const ROLES: Roles<Role> = {
  inputs: {
    embedding: ['image_embeddings', 'image_embeddings.2'],
    positions: ['image_positional_embeddings'],
    points: ['input_points'],
    labels: ['input_labels'],
    boxes: ['input_boxes'],
    mask: ['input_masks'],
    hasMask: ['has_input_masks'],
  },
  outputs: { masks: ['pred_masks'], scores: ['iou_scores'] },
  optional: ['positions', 'boxes', 'mask', 'hasMask'],
};

/**
 * Decoders exported from Hugging Face transformers: `input_points` [1, P, N, 2] and int64 `input_labels` [1, P, N] →
 * `pred_masks` [1, P, 3, 256, 256] and `iou_scores` [1, P, 3], masks 1 to 3. They append the padding point themselves.
 *
 * Boxes are an input of their own, `input_boxes` [1, 1, 4], x0, y0, x1, y1, where the graph has it: it is [1, 0, 4] for
 * points alone, and points are [1, 1, 0, 2] for a box alone, as transformers.js feeds them; one prompt at a time. The
 * positional encoding that SAM 1 wants with the embedding is a function of the decoder's own projection matrix, so it is
 * computed here and not asked of the encoder. SAM 2 takes two finer levels of features instead.
 */
export class TransformersDecoder implements DecoderGraphs {
  readonly batch: number;
  readonly note: string | undefined;

  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    private readonly names: Names<Role>,
    private readonly positions: OrtTensor | undefined,
    private readonly layout: DecoderLayout,
    batch: number,
  ) {
    this.batch = names.boxes === undefined ? batch : 1;
    this.note = names.mask === undefined ? NO_MASKS : undefined;
  }

  /** @throws SamError `model_unavailable` */
  static async open(
    runtime: OrtRuntime,
    bytes: Uint8Array,
    model: OnnxModel,
    layout: DecoderLayout,
    batch: number,
  ): Promise<TransformersDecoder> {
    const names = namesOf(model, ROLES, layout);
    const gaussian = names.positions === undefined ? undefined : findProjection(model);
    if (names.positions !== undefined && !gaussian)
      throw new SamError(
        'model_unavailable',
        'This is not a SAM decoder of the transformers family: its positional encoding was not found.',
      );
    const positions = gaussian && runtime.tensor('float32', channelsFirst(imagePositions(gaussian)), EMBEDDING_SHAPE);
    return new TransformersDecoder(runtime, await openSession(runtime, bytes), names, positions, layout, batch);
  }

  async run(embedding: Embedding, prompts: SamPrompts, { iouFloor }: RunOptions): Promise<DecodedChunk> {
    const { runtime, names, layout } = this;
    const whole = this.withoutMasks(prompts);
    const { batch, maskInput } = whole;
    const { points, labels, boxes } = this.split(withoutPadding(whole));
    const count = labels.length / batch;
    const float = (data: Float32Array, ...shape: number[]) => runtime.tensor('float32', data, shape);
    const values = {
      embedding: () => float(embedding.features.data, ...EMBEDDING_SHAPE),
      positions: () => present(this.positions, 'the encoding of positions'),
      points: () => float(points, 1, batch, count, 2),
      labels: () => runtime.tensor('int64', BigInt64Array.from(labels, BigInt), [1, batch, count]),
      boxes: () => float(boxes, 1, boxes.length / 4, 4),
      mask: () => float(maskInput ?? new Float32Array(batch * LOW_RES), batch, 1, 256, 256),
      hasMask: () => float(Float32Array.of(maskInput ? 1 : 0), 1),
    };
    const levels = levelFeeds(runtime, embedding, layout.levels);
    return chunkOf(await runByRoles(this.session, names, values, levels), whole, iouFloor);
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private withoutMasks(prompts: SamPrompts): SamPrompts {
    const { maskInput, ...rest } = prompts;
    if (!maskInput || this.names.mask !== undefined) return prompts;
    return prompts.batch === 1 ? withoutMask(prompts) : rest;
  }

  /** Boxes apart from the points, where the graph takes any. */
  private split({ coords, labels }: SamPrompts) {
    if (labels.every((label) => label < 2)) return { points: coords, labels, boxes: new Float32Array(0) };
    if (this.names.boxes === undefined)
      throw new SamError(
        'unsupported',
        'This decoder takes points only, no boxes. Use an official SAM export for them.',
      );
    const isPoint = (i: number) => labels[i] === 0 || labels[i] === 1;
    return {
      points: coords.filter((_, i) => isPoint(i >> 1)),
      labels: labels.filter((_, i) => isPoint(i)),
      boxes: coords.filter((_, i) => labels[i >> 1] > 1),
    };
  }
}

function channelsFirst(channelsLast: Float32Array): Float32Array {
  const data = new Float32Array(channelsLast.length);
  for (let c = 0; c < 256; c++) for (let p = 0; p < 4096; p++) data[c * 4096 + p] = channelsLast[p * 256 + c];
  return data;
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
