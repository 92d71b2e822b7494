import { SamError } from '../errors.js';
import { convolveChannelsLast, multiplyPixels } from '../onnx/channels-last.js';
import { fuseAttention } from '../onnx/fuse-attention.js';
import { fuseNorms } from '../onnx/fuse-norms.js';
import { runInParts } from '../onnx/in-parts.js';
import type { OnnxModel } from '../onnx/model.js';
import { quantizeProducts } from '../onnx/quantize.js';
import { readModel } from '../onnx/read.js';
import { useStandardAttention } from '../onnx/standard-attention.js';
import { writeModel } from '../onnx/write.js';
import { withEarlyFeatures } from './early-features.js';
import type { ModelSpec } from './model-spec.js';
import type { OrtRuntime } from './runtime.js';

/**
 * The encoder's file as a runtime is to run it, made when a model is opened: attentions and norms as one operator each,
 * channels in the order that operators want and blocks in parts where the runtime gains by it, matrix products in 8-bit
 * integers where that is asked for, early features as further outputs, in half precision where the runtime converts them. A
 * file in which there is nothing to change stays as it is.
 *
 * @param early names of early features, as the instance decoder's inputs are called
 * @returns the file, and for each early feature the output that holds it
 * @throws SamError `unsupported` if int8 is asked for and the encoder has no such products, `model_unavailable` if it has no
 *   such early features
 */
export function runnableEncoder(
  bytes: Uint8Array,
  { onProcessor = false }: Pick<OrtRuntime, 'onProcessor'>,
  { encoderPrecision, earlyFeatures }: Pick<ModelSpec, 'encoderPrecision' | 'earlyFeatures'> = {},
  early: readonly string[] = [],
): { bytes: Uint8Array; outputs: Readonly<Record<string, string>> } {
  if (!onProcessor && encoderPrecision !== 'int8' && early.length === 0) return { bytes, outputs: {} };
  const given = readModel(bytes);
  const { model: whole, outputs } =
    early.length > 0
      ? withEarlyFeatures(given, early, earlyFeatures, { half: onProcessor })
      : { model: given, outputs: {} };
  const fast = onProcessor ? forProcessors(whole) : whole;
  const ready = encoderPrecision === 'int8' ? inInt8(fast) : fast;
  return { bytes: ready === given ? bytes : writeModel(ready), outputs };
}

/** Each step differs from what was there before by rounding only. */
function forProcessors(model: OnnxModel): OnnxModel {
  const steps = [convolveChannelsLast, fuseNorms, fuseAttention, runInParts];
  return steps.reduce((made, step) => step(made).model, ofOneImage(model));
}

/** With the number of images known, so are all shapes, and ONNX Runtime joins biases to the products before them. */
function ofOneImage(model: OnnxModel): OnnxModel {
  const [input, ...others] = model.graph.inputs;
  const [count, ...lengths] = input?.tensor?.shape ?? [];
  if (!input?.tensor || others.length > 0 || typeof count !== 'string' || lengths.length !== 3) return model;
  const tensor = { type: input.tensor.type, shape: [1, ...lengths] };
  return { ...model, graph: { ...model.graph, inputs: [{ name: input.name, tensor }] } };
}

/** Norms over channels are fused wherever it runs: between the neck's convolutions they are what has channels last. */
function inInt8(model: OnnxModel): OnnxModel {
  const { model: int8, count } = quantizeProducts(multiplyPixels(fuseNorms(model).model).model);
  if (count > 0) return useStandardAttention(int8).model;
  throw new SamError(
    'unsupported',
    'This encoder has no matrix products with float32 weights that could be computed in int8. Use the precision float32.',
  );
}
