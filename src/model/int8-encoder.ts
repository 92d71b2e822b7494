import { SamError } from '../errors.js';
import { quantizeMatMuls } from '../onnx/quantize.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';

/**
 * The encoder with its matrix products in 8-bit integers, made from the float32 file when that is loaded.
 *
 * @throws SamError `unsupported` if the encoder has no such products
 */
export function int8Encoder(bytes: Uint8Array): Uint8Array {
  const { model, count } = quantizeMatMuls(readModel(bytes));
  if (count > 0) return writeModel(model);
  throw new SamError(
    'unsupported',
    'This encoder has no matrix products with float32 weights that could be computed in int8. Use the precision float32.',
  );
}
