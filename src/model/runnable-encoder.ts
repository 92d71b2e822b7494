import { SamError } from '../errors.js';
import { fuseAttention } from '../onnx/fuse-attention.js';
import type { OnnxModel } from '../onnx/model.js';
import { quantizeMatMuls } from '../onnx/quantize.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import { withEarlyFeatures } from './early-features.js';
import type { ModelSpec } from './model-spec.js';
import type { OrtRuntime } from './runtime.js';

/**
 * The encoder's file as a runtime is to run it, made when a model is opened: attention as one operator where the runtime
 * gains by it, matrix products in 8-bit integers where that is asked for, early features as further outputs, in half
 * precision where the runtime converts them. A file in which there is nothing to change stays as it is.
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
  const fused = onProcessor ? fuseAttention(given).model : given;
  const ready = encoderPrecision === 'int8' ? inInt8(fused) : fused;
  if (early.length === 0) return { bytes: ready === given ? bytes : writeModel(ready), outputs: {} };
  const { model, outputs } = withEarlyFeatures(ready, early, earlyFeatures, { half: onProcessor });
  return { bytes: writeModel(model), outputs };
}

function inInt8(model: OnnxModel): OnnxModel {
  const { model: int8, count } = quantizeMatMuls(model);
  if (count > 0) return int8;
  throw new SamError(
    'unsupported',
    'This encoder has no matrix products with float32 weights that could be computed in int8. Use the precision float32.',
  );
}
