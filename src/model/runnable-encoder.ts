import { SamError } from '../errors.js';
import { fuseAttention } from '../onnx/fuse-attention.js';
import { quantizeMatMuls } from '../onnx/quantize.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import type { EncoderPrecision } from './model-spec.js';
import type { OrtRuntime } from './runtime.js';

/**
 * The encoder's file as a runtime is to run it, made when a model is opened: attention as one operator where the runtime
 * gains by it, matrix products in 8-bit integers where that is asked for. A file in which there is nothing to change stays as
 * it is.
 *
 * @throws SamError `unsupported` if int8 is asked for and the encoder has no such products
 */
export function runnableEncoder(
  bytes: Uint8Array,
  { fusesAttention }: Pick<OrtRuntime, 'fusesAttention'>,
  precision: EncoderPrecision = 'float32',
): Uint8Array {
  if (!fusesAttention && precision === 'float32') return bytes;
  const given = readModel(bytes);
  const model = fusesAttention ? fuseAttention(given).model : given;
  if (precision === 'float32') return model === given ? bytes : writeModel(model);
  const { model: int8, count } = quantizeMatMuls(model);
  if (count > 0) return writeModel(int8);
  throw new SamError(
    'unsupported',
    'This encoder has no matrix products with float32 weights that could be computed in int8. Use the precision float32.',
  );
}
