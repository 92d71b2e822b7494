import { SamError } from '../errors.js';
import { withHalfOutputs } from '../onnx/half-casts.js';
import type { OnnxModel } from '../onnx/model.js';
import { makesTensor, withOutputs } from '../onnx/outputs.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import type { ModelSpec } from './model-spec.js';

/**
 * Features from early in the encoder, at a finer grid than the embedding, which an instance decoder may take beside it.
 * They are inner tensors of the encoder's graph; what they are called there depends on the exporter, so a model may
 * declare it (`ModelSpec.earlyFeatures`), and the usual export of MobileSAM is known.
 */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  /** TinyViT's first stage, after its two MBConv blocks: [1, 64, 256, 256]. */
  s0: ['/layers.0/blocks.1/act3/Mul_1_output_0'],
  /** TinyViT's second stage, before its patches are merged: [1, 128, 128, 128]. */
  s1: ['/layers.1/downsample/Transpose_output_0'],
  /** TinyViT's third stage, before its patches are merged: [1, 160, 64, 64]; what its last stage builds on. */
  s2: ['/layers.2/downsample/Transpose_output_0'],
};

/**
 * The encoder with these features as further outputs.
 *
 * @param names as the instance decoder's inputs are called
 * @returns the file, and for each name the output that holds it
 * @throws SamError `model_unavailable` if the encoder has no such tensor
 */
export function encoderWithEarlyFeatures(
  bytes: Uint8Array,
  names: readonly string[],
  declared: ModelSpec['earlyFeatures'] = {},
): { bytes: Uint8Array; outputs: Readonly<Record<string, string>> } {
  if (names.length === 0) return { bytes, outputs: {} };
  const { model, outputs } = withEarlyFeatures(readModel(bytes), names, declared);
  return { bytes: writeModel(model), outputs };
}

/**
 * The same of a file that is read already.
 *
 * @param options.half in half precision, as embeddings keep them
 */
export function withEarlyFeatures(
  model: OnnxModel,
  names: readonly string[],
  declared: ModelSpec['earlyFeatures'] = {},
  { half = false } = {},
): { model: OnnxModel; outputs: Readonly<Record<string, string>> } {
  const tensors = names.map((name) => earlyFeature(model, name, declared[name]));
  const made = half ? withHalfOutputs(model, tensors) : { model: withOutputs(model, tensors), outputs: tensors };
  return { model: made.model, outputs: Object.fromEntries(names.map((name, i) => [name, made.outputs[i]])) };
}

/**
 * The tensor of the encoder's graph that holds an early feature.
 *
 * @throws SamError `model_unavailable` if the encoder has no such tensor
 */
export function earlyFeature(model: OnnxModel, name: string, declared?: string): string {
  const candidates = declared === undefined ? (KNOWN[name] ?? []) : [declared];
  const found = candidates.find((tensor) => makesTensor(model, tensor));
  if (found !== undefined) return found;
  throw new SamError(
    'model_unavailable',
    `The early features '${name}' of the encoder are needed, but this encoder has none under a known name: a decoder that takes them belongs to the encoder it was trained with. Declare in earlyFeatures which tensor of the encoder it is.`,
    { details: { name, looked: candidates } },
  );
}
