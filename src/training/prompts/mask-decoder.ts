import { SamError } from '../../errors.js';
import { entryOf } from '../../items.js';
import { toHalf } from '../../ndimage/half.js';
import { constantOf } from '../../onnx/graph.js';
import { FLOAT, FLOAT16, type OnnxModel, type OnnxNode, type OnnxTensor } from '../../onnx/model.js';
import { PatternError } from '../../onnx/sam/pattern.js';
import { type DecoderTaps, findTaps } from '../../onnx/sam/read-weights.js';
import { halfName } from '../../onnx/shaped-builder.js';
import { elementCount } from '../../onnx/tensor-info.js';
import type { Parameter, Weights } from '../parameters.js';

/**
 * SAM's prompt encoder and mask decoder, an official export, as a graph to train: cut where its four masks and their
 * predicted IoU come out, before it chooses among them.
 */
export interface TrainableDecoder {
  readonly model: OnnxModel;
  /** Names of the logits [B, 4, 256, 256] (the mask for definite prompts, then three for a single point) and IoU [B, 4]. */
  readonly taps: DecoderTaps;
  readonly parameters: readonly Parameter[];
  /** As they are in the file. */
  readonly weights: Weights;
}

/** Which parts of the decoder learn; names as in micro-sam (`freeze` of `train_sam`). */
export type DecoderPart = 'mask_decoder' | 'prompt_encoder';

/** Shapes of the inputs for `batch` objects with `tokens` points each. */
export function decoderInputs(batch: number, tokens: number) {
  return {
    image_embeddings: [1, 256, 64, 64],
    point_coords: [batch, tokens, 2],
    point_labels: [batch, tokens],
    mask_input: [batch, 1, 256, 256],
    has_mask_input: [1],
  } as const;
}

/** @throws SamError `unsupported` if it is no official export of SAM's decoder */
export function trainableDecoder(model: OnnxModel, parts: ReadonlySet<DecoderPart>): TrainableDecoder {
  const full = inFullPrecision(model);
  const trained = full.graph.initializers.filter((tensor) => parts.has(partOf(tensor) as DecoderPart));
  const weights = new Map(trained.map((tensor) => [tensor.name, valuesOf(tensor)]));
  const parameters = trained.map(({ name, dims }): Parameter => ({ name, shape: dims, start: { constant: 0 } }));
  return { model: full, taps: tapsOf(full), parameters, weights };
}

function tapsOf({ graph }: OnnxModel): DecoderTaps {
  try {
    return findTaps(graph);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    const message = `Only mask decoders of segment-anything's export can be trained: ${error.message}.`;
    throw new SamError('unsupported', message, { cause: error });
  }
}

/** Shapes of weights whose names an export does not keep: four mask tokens and the IoU token; norms of the upscaling. */
const NAMELESS: Readonly<Record<string, DecoderPart>> = { '1,5,256': 'mask_decoder', '64,1,1': 'mask_decoder' };
Object.assign(NAMELESS, { '4,1,1': 'prompt_encoder', '16,1,1': 'prompt_encoder', '1,256,1,1': 'prompt_encoder' });

/** The random frequencies of positions are never trained. */
function partOf({ name, type, dims }: OnnxTensor): DecoderPart | undefined {
  if (type !== FLOAT || elementCount(dims) < 2 || /gaussian/.test(name)) return undefined;
  if (/prompt_encoder/.test(name)) return 'prompt_encoder';
  if (/mask_decoder|^onnx::MatMul/.test(name)) return 'mask_decoder';
  return NAMELESS[String(dims)];
}

function valuesOf(tensor: OnnxTensor): Float32Array {
  const constant = constantOf(tensor);
  if (!constant) throw new SamError('unsupported', `The weights ${tensor.name} are kept outside of the file.`);
  return constant.data.slice();
}

/** Weights that `withWeights` stored in half precision, as they were before. */
function inFullPrecision(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const halves = new Map(
    graph.initializers.filter(({ type }) => type === FLOAT16).map((tensor) => [tensor.name, tensor]),
  );
  const isCast = ({ op, inputs: [input], outputs: [output] }: OnnxNode) =>
    op === 'Cast' && halves.has(input) && input === halfName(output);
  const full = graph.nodes.filter(isCast).map(({ inputs: [input], outputs: [name] }): OnnxTensor => {
    const half = entryOf(halves, input);
    return { name, dims: half.dims, type: FLOAT, raw: bytesOf(valuesOf(half)) };
  });
  const replaced = new Set(full.map(({ name }) => halfName(name)));
  const initializers = [...graph.initializers.filter(({ name }) => !replaced.has(name)), ...full];
  return { ...model, graph: { ...graph, initializers, nodes: graph.nodes.filter((node) => !isCast(node)) } };
}

/** Smaller ones stay in full precision. */
const LEAST_HALVED = 1024;

/** The decoder's file with trained weights in it, the large ones in half precision, which changes logits by about 0.01. */
export function withWeights({ model }: TrainableDecoder, weights: Weights): OnnxModel {
  const casts: OnnxNode[] = [];
  const initializers = model.graph.initializers.map((tensor): OnnxTensor => {
    const { name, dims } = tensor;
    const data = weights.get(name) ?? (partOf(tensor) && valuesOf(tensor));
    if (!data) return tensor;
    if (data.length < LEAST_HALVED) return { name, dims, type: FLOAT, raw: bytesOf(data) };
    const half = halfName(name);
    const attributes = [{ name: 'to', type: 'int', value: FLOAT }] as const;
    casts.push({ name: half, op: 'Cast', domain: '', inputs: [half], outputs: [name], attributes: [...attributes] });
    return { name: half, dims, type: FLOAT16, raw: bytesOf(toHalf(data)) };
  });
  return { ...model, graph: { ...model.graph, initializers, nodes: [...casts, ...model.graph.nodes] } };
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
