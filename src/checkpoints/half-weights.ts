import { toHalf } from '../ndimage/half.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../onnx/model.js';
import { FLOAT, FLOAT16 } from '../onnx/model.js';

/** Smaller constants are left as they are. */
const SMALLEST = 1024;

/**
 * The same model with its weights kept in half precision: half the file. They are widened when it is opened, so it is
 * computed as before, with weights rounded to 3 digits.
 */
export function withHalfWeights(model: OnnxModel): OnnxModel {
  const casts: OnnxNode[] = [];
  const initializers = model.graph.initializers.map((tensor): OnnxTensor => {
    const { name, dims, type, raw, later } = tensor;
    const bytes = later ?? (raw && { length: raw.length, load: async () => raw });
    if (type !== FLOAT || !bytes || bytes.length < 4 * SMALLEST) return tensor;
    const half = `${name} in half`;
    const attributes = [{ name: 'to', type: 'int', value: FLOAT } as const];
    casts.push({ name: half, op: 'Cast', domain: '', inputs: [half], outputs: [name], attributes });
    const load = async () => {
      const { buffer, byteOffset, byteLength } = await bytes.load();
      const halves = toHalf(new Float32Array(buffer, byteOffset, byteLength / 4));
      return new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
    };
    return { name: half, dims, type: FLOAT16, later: { length: bytes.length / 2, load } };
  });
  return { ...model, graph: { ...model.graph, initializers, nodes: [...casts, ...model.graph.nodes] } };
}
