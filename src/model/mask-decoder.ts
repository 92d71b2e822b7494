import { SamError } from '../errors.js';
import { present } from '../items.js';
import { lengthOf, writeParts } from '../ndimage/array.js';
import type { OnnxModel } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import { batchDecoder } from '../onnx/sam/batch.js';
import { PatternError } from '../onnx/sam/pattern.js';
import { readWeights } from '../onnx/sam/read-weights.js';
import { writeModel } from '../onnx/write.js';
import { BatchedDecoder, UntouchedDecoder } from './mask-decoder-export.js';
import { FastDecoder } from './mask-decoder-fast.js';
import { type DecodedChunk, type DecoderGraphs, EMBEDDING_SHAPE, LOW_RES, openSession } from './mask-decoder-graphs.js';
import { PointsDecoder } from './mask-decoder-points.js';
import { TransformersDecoder } from './mask-decoder-transformers.js';
import type { DecoderLayout } from './model-spec.js';
import type { OrtRuntime } from './runtime.js';
import type { DecodedMasks, DecodeOptions, Embedding, SamPrompts } from './sam-tensors.js';

/**
 * SAM's prompt encoder and mask decoder: prompts → logits of all masks, with their scores. A decoder export is rewritten
 * when it is opened, as far as its graph is recognised:
 *
 * - 'fast': written anew from its weights (see onnx/sam/emit.ts), equal to rounding (1e-3 on logits);
 * - 'batched': its own arithmetic, tapped where all four masks and scores are there, for many prompts at once;
 * - 'none': as it is, one prompt at a time, with the one mask it selects (see mask-decoder-export.ts); all of other
 *   signatures, too.
 */
export interface MaskDecoder {
  readonly rewrite: Rewrite;
  /** Why not 'fast', if so. */
  readonly note?: string;
  /**
   * Requests are served in order, a chunk of prompts at a time; those of a concurrent call come in between.
   *
   * @throws SamError `invalid_prompt` for arrays that do not fit or coordinates that are not finite, `unsupported` for a
   *   kind of prompt the export does not take
   */
  decode(
    embedding: Embedding,
    prompts: SamPrompts,
    options?: DecodeOptions & { readonly signal?: AbortSignal },
  ): Promise<DecodedMasks>;
  /** Frees the sessions once the run in progress has ended. Safe to call twice. */
  dispose(): Promise<void>;
}

export type Rewrite = 'fast' | 'batched' | 'none';

export interface MaskDecoderOptions extends Partial<DecoderLayout> {
  /** Go no further than this; for comparisons. Default: 'fast'. */
  readonly rewrite?: Rewrite;
  /** Prompts per run; more costs memory and brings no speed. Default: 2. */
  readonly batch?: number;
}

/** @throws SamError `model_unavailable` if `bytes` are not a decoder of the declared family, saying what they are */
export async function createMaskDecoder(
  runtime: OrtRuntime,
  bytes: Uint8Array,
  options: MaskDecoderOptions = {},
): Promise<MaskDecoder> {
  const { family = 'official', rewrite: limit = 'fast', batch = 2, ...layout } = options;
  const model = readModel(bytes);
  if (family !== 'official') {
    const declared = { family, ...layout };
    const graphs =
      family === 'points'
        ? await PointsDecoder.open(runtime, bytes, model, declared)
        : await TransformersDecoder.open(runtime, bytes, model, declared, batch);
    return new QueuedDecoder(graphs, 'none', graphs.note);
  }
  expectOfficial(model);
  const reasons: string[] = [];
  const attempt = async (rewrite: Rewrite, open: () => Promise<DecoderGraphs>): Promise<MaskDecoder | undefined> => {
    if (limit === 'batched' && rewrite === 'fast') return undefined;
    if (limit === 'none' && rewrite !== 'none') return undefined;
    try {
      return new QueuedDecoder(await open(), rewrite, reasons.join(' ') || undefined);
    } catch (error) {
      if (!(error instanceof PatternError) && !(error instanceof SamError)) throw error;
      if (rewrite === 'none') throw error;
      reasons.push(`The decoder is not used in its '${rewrite}' form: ${error.message}.`);
      return undefined;
    }
  };
  const decoder =
    (await attempt('fast', async () => {
      const fast = new FastDecoder(runtime, readWeights(model.graph), batch);
      await fast.open();
      return fast;
    })) ??
    (await attempt('batched', async () => {
      const batched = readModel(bytes);
      batchDecoder(batched);
      return new BatchedDecoder(runtime, await openSession(runtime, writeModel(batched)), batch);
    })) ??
    (await attempt('none', async () => new UntouchedDecoder(runtime, await openSession(runtime, bytes))));
  return present(decoder, 'a decoder');
}

const OFFICIAL_INPUTS = ['image_embeddings', 'point_coords', 'point_labels', 'mask_input', 'has_mask_input'];
const OFFICIAL_OUTPUTS = ['iou_predictions', 'low_res_masks'];

function expectOfficial({ graph }: OnnxModel): void {
  const inputs = graph.inputs.map((input) => input.name);
  const outputs = graph.outputs.map((output) => output.name);
  const missing = [
    ...OFFICIAL_INPUTS.filter((name) => !inputs.includes(name)),
    ...OFFICIAL_OUTPUTS.filter((name) => !outputs.includes(name)),
  ];
  if (missing.length === 0) return;
  throw new SamError(
    'model_unavailable',
    `This ONNX model is not a SAM mask decoder: it takes ${inputs.join(', ')} and gives ${outputs.join(', ')}; ` +
      `missing ${missing.join(', ')}. Declare the decoder file (not the encoder), exported as segment-anything does.`,
    { details: { inputs, outputs, missing } },
  );
}

/** Checks requests, cuts them into chunks and runs one chunk at a time. */
class QueuedDecoder implements MaskDecoder {
  private queue: Promise<unknown> = Promise.resolve();
  private disposed?: Promise<void>;

  constructor(
    private readonly graphs: DecoderGraphs,
    readonly rewrite: Rewrite,
    readonly note?: string,
  ) {}

  async decode(
    embedding: Embedding,
    prompts: SamPrompts,
    { iouFloor = -Infinity, edges, signal }: DecodeOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<DecodedMasks> {
    checkRequest(embedding, prompts, iouFloor);
    const chunks: DecodedChunk[] = [];
    const starts: number[] = [];
    for (let start = 0; start < prompts.batch; start += this.graphs.batch) {
      const part = slicePrompts(prompts, start, Math.min(start + this.graphs.batch, prompts.batch));
      chunks.push(await this.enqueue(() => this.graphs.run(embedding, part, { iouFloor, edges }), signal));
      starts.push(start);
    }
    return {
      logits: concatenate(chunks.map((chunk) => chunk.logits)),
      iou: concatenate(chunks.map((chunk) => chunk.iou)),
      tokens: chunks[0]?.tokens ?? [0, 1, 2, 3],
      rows: Int32Array.from(chunks.flatMap((chunk, i) => chunk.rows.map((row) => row + starts[i]))),
    };
  }

  dispose(): Promise<void> {
    this.disposed ??= this.queue.then(() => this.graphs.release());
    return this.disposed;
  }

  private enqueue<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.queue.then(() => {
      signal?.throwIfAborted();
      if (this.disposed) throw new SamError('model_unavailable', 'The mask decoder was closed; load the model again.');
      return run();
    });
    this.queue = turn.catch(() => undefined);
    return turn;
  }
}

function checkRequest({ features }: Embedding, prompts: SamPrompts, iouFloor: number): void {
  if (String(features.shape) !== String(EMBEDDING_SHAPE) || features.data.length !== 256 * 4096)
    throw new SamError('invalid_argument', `Expected an embedding [${EMBEDDING_SHAPE}], got [${features.shape}].`);
  if (Number.isNaN(iouFloor)) throw new SamError('invalid_argument', 'iouFloor is not a number.');
  const { batch, points, coords, labels, maskInput } = prompts;
  const invalid = (message: string) => {
    throw new SamError('invalid_prompt', message, { details: { batch, points } });
  };
  if (!Number.isInteger(batch) || batch < 0) invalid(`Expected a number of prompts, got ${batch}.`);
  if (!Number.isInteger(points) || points < 1)
    invalid(`Expected at least one point per prompt, got ${points}; pad with a point of label -1.`);
  if (coords.length !== batch * points * 2 || labels.length !== batch * points)
    invalid(`Expected ${batch} x ${points} points, got ${coords.length} coordinates and ${labels.length} labels.`);
  if (maskInput && maskInput.length !== batch * LOW_RES)
    invalid(`Expected ${batch} mask prompts of 256 x 256, got ${maskInput.length} values.`);
  if (!coords.every(Number.isFinite)) invalid('A point has a coordinate that is not a finite number.');
  const label = labels.find((value) => ![-1, 0, 1, 2, 3].includes(value));
  if (label !== undefined) invalid(`Expected point labels -1, 0, 1, 2 or 3, got ${label}.`);
}

export function slicePrompts(
  { coords, labels, points, maskInput }: SamPrompts,
  start: number,
  end: number,
): SamPrompts {
  return {
    coords: coords.slice(start * points * 2, end * points * 2),
    labels: labels.slice(start * points, end * points),
    batch: end - start,
    points,
    maskInput: maskInput?.slice(start * LOW_RES, end * LOW_RES),
  };
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0];
  return writeParts(new Float32Array(lengthOf(parts)), parts);
}
