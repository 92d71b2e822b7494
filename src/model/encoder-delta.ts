import { SamError } from '../errors.js';
import { toHalf } from '../ndimage/half.js';
import { constantOf } from '../onnx/graph.js';
import { FLOAT, FLOAT16, type OnnxModel, type OnnxNode, type OnnxTensor } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';

/**
 * An encoder of which some weights were trained is kept as what these differ by from the ones they began as: an ONNX file
 * that takes nothing and gives the differences, its initializers, in half precision, by the names of the encoder's. They are
 * small, so half of the bits tell them to seven digits of the weight, and what was not trained is not kept twice.
 */
export function encoderDelta(encoder: OnnxModel, weights: ReadonlyMap<string, Float32Array>): OnnxModel {
  const initializers = encoder.graph.initializers.flatMap((tensor): OnnxTensor[] => {
    const changed = weights.get(tensor.name);
    if (!changed) return [];
    const before = valuesOf(tensor);
    const difference = toHalf(changed.map((value, i) => value - before[i]));
    const raw = new Uint8Array(difference.buffer, difference.byteOffset, difference.byteLength);
    return [{ name: tensor.name, dims: tensor.dims, type: FLOAT16, raw }];
  });
  const nodes = initializers.map(({ name }): OnnxNode => {
    const attributes = [{ name: 'to', type: 'int', value: FLOAT }] as const;
    return { name, op: 'Cast', domain: '', inputs: [name], outputs: [outputOf(name)], attributes: [...attributes] };
  });
  const outputs = initializers.map(({ name, dims }) => ({
    name: outputOf(name),
    tensor: { type: FLOAT, shape: dims },
  }));
  const graph = { name: 'difference of weights', nodes, initializers, inputs: [], outputs, values: [] };
  return { irVersion: 8, producer: 'micro-sam-imjoy', opsets: [{ domain: '', version: 17 }], graph };
}

function outputOf(name: string): string {
  return `difference of ${name}`;
}

/**
 * The encoder with the differences added to its weights.
 *
 * @throws SamError `model_unavailable` if they are of another encoder
 */
export function encoderWithDelta(encoder: Uint8Array, delta: Uint8Array): Uint8Array {
  const model = readModel(encoder);
  const differences = new Map(readModel(delta).graph.initializers.map((tensor) => [tensor.name, tensor]));
  const initializers = model.graph.initializers.map((tensor): OnnxTensor => {
    const difference = differences.get(tensor.name);
    if (!difference) return tensor;
    differences.delete(tensor.name);
    if (String(difference.dims) !== String(tensor.dims)) throw misfit(tensor.name);
    const added = valuesOf(difference);
    const sum = valuesOf(tensor).map((value, i) => value + added[i]);
    return { name: tensor.name, dims: tensor.dims, type: FLOAT, raw: new Uint8Array(sum.buffer) };
  });
  const [stranger] = differences.keys();
  if (stranger !== undefined) throw misfit(stranger);
  return writeModel({ ...model, graph: { ...model.graph, initializers } });
}

/**
 * What the weights of an encoder are that were trained: a further training that changes others has to keep them.
 *
 * @param encoder with the differences added
 */
export function changedWeights(encoder: Uint8Array, delta: Uint8Array): Map<string, Float32Array> {
  const names = new Set(readModel(delta).graph.initializers.map(({ name }) => name));
  const tensors = readModel(encoder).graph.initializers.filter(({ name }) => names.has(name));
  return new Map(tensors.map((tensor) => [tensor.name, valuesOf(tensor)]));
}

function valuesOf(tensor: OnnxTensor): Float32Array {
  const constant = constantOf(tensor);
  if (constant) return constant.data;
  throw new SamError('unsupported', `The weights ${tensor.name} are not kept in the file as numbers.`);
}

function misfit(name: string): SamError {
  return new SamError(
    'model_unavailable',
    `The trained weights are those of another encoder: it has no ${name} of this shape. Give the encoder that the training began with.`,
    { details: { name } },
  );
}
