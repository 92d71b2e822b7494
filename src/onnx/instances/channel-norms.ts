import { attribute, producers, removeDeadCode } from '../graph.js';
import { FLOAT, INT64, type OnnxModel, type OnnxNode, type OnnxTensor } from '../model.js';

/**
 * Norms over channels, pixel by pixel, as operators that ONNX Runtime's CPU provider runs without changing the order of
 * channels in memory (its NCHWc layout): the mean of squares as a 1 x 1 convolution, the weight as another one on the
 * reciprocal of the deviation, the bias as a batch norm. As a mean and products with broadcasting, every norm between two
 * convolutions has its input and output copied into another order, and so has an enlargement after it. The light decoder
 * takes a quarter less processor time; its maps differ by rounding (2e-7).
 *
 * @param model changed in place where y · y, mean over channels, + eps, square root, reciprocal, y ·, · weight, + bias is
 *   found as the light decoder has it
 * @returns how many norms were rewritten
 */
export function rewriteChannelNorms({ graph }: OnnxModel): number {
  const look = lookAround(graph);
  const norms = graph.nodes.flatMap((node) => normOf(node, look) ?? []);
  if (norms.length === 0) return 0;
  const constants = new Map<string, OnnxTensor>();
  for (const { square, mean, reciprocal, weighted, biased, y, weight, bias } of norms) {
    const { channels } = weight;
    const filled = (name: string, dims: readonly number[], value: number) => {
      const tensor = filledTensor(`${name} of ${channels}`, dims, value);
      constants.set(tensor.name, tensor);
      return tensor.name;
    };
    const shape = shapeTensor(`columns of ${channels}`, [channels, 1, 1, 1]);
    constants.set(shape.name, shape);
    replace(mean, 'Conv', [square.outputs[0], filled('mean', [1, channels, 1, 1], 1 / channels)]);
    const columns = operation('Reshape', [weight.name, shape.name], `${weight.name} as columns`);
    const scale = operation('Conv', [reciprocal.outputs[0], columns.outputs[0]], `${weighted.outputs[0]} scale`);
    graph.nodes.splice(graph.nodes.indexOf(weighted), 0, columns, scale);
    replace(weighted, 'Mul', [y, scale.outputs[0]]);
    const [ones, zeros] = [filled('ones', [channels], 1), filled('zeros', [channels], 0)];
    replace(biased, 'BatchNormalization', [weighted.outputs[0], ones, bias.name, zeros, ones]);
    biased.attributes = [{ name: 'epsilon', type: 'float', value: 0 }];
  }
  graph.initializers.push(...constants.values());
  removeDeadCode(graph);
  return norms.length;
}

interface ChannelNorm {
  /** y · y, its mean, and what follows until the bias is added. */
  readonly square: OnnxNode;
  readonly mean: OnnxNode;
  readonly reciprocal: OnnxNode;
  readonly weighted: OnnxNode;
  readonly biased: OnnxNode;
  readonly y: string;
  readonly weight: PerChannel;
  readonly bias: PerChannel;
}

/** A vector [C] among the constants. */
interface PerChannel {
  readonly name: string;
  readonly channels: number;
}

interface Look {
  made(tensor: string | undefined): OnnxNode | undefined;
  /** The only user of what a node makes, if it is of that kind. */
  next(node: OnnxNode | undefined, op: string): OnnxNode | undefined;
  dims(tensor: string | undefined): readonly number[] | undefined;
}

function lookAround(graph: OnnxModel['graph']): Look {
  const made = producers(graph);
  const dims = new Map(graph.initializers.map((tensor) => [tensor.name, tensor.dims]));
  const users = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes)
    for (const input of new Set(node.inputs)) users.set(input, [...(users.get(input) ?? []), node]);
  return {
    made: (tensor) => made.get(tensor ?? ''),
    dims: (tensor) => dims.get(tensor ?? ''),
    next(node, op) {
      const [user, ...others] = users.get(node?.outputs[0] ?? '') ?? [];
      return user?.op === op && others.length === 0 ? user : undefined;
    },
  };
}

function normOf(mean: OnnxNode, look: Look): ChannelNorm | undefined {
  if (mean.op !== 'ReduceMean' || String(attribute(mean, 'axes')) !== '1') return undefined;
  const square = look.made(mean.inputs[0]);
  const [y] = square?.inputs ?? [];
  if (square?.op !== 'Mul' || square.inputs[1] !== y) return undefined;
  const reciprocal = look.next(look.next(look.next(mean, 'Add'), 'Sqrt'), 'Reciprocal');
  const normal = look.next(reciprocal, 'Mul');
  const weighted = look.next(normal, 'Mul');
  const biased = look.next(weighted, 'Add');
  if (!reciprocal || !normal?.inputs.includes(y) || !weighted || !biased) return undefined;
  const weight = perChannel(weighted, normal.outputs[0], look);
  const bias = perChannel(biased, weighted.outputs[0], look);
  if (!weight || weight.channels !== bias?.channels) return undefined;
  return { square, mean, reciprocal, weighted, biased, y, weight, bias };
}

/** The vector that the other input of a node, [C, 1, 1], is made of: a half, cast, and given another shape. */
function perChannel(node: OnnxNode, x: string, look: Look): PerChannel | undefined {
  const reshape = look.made(node.inputs.find((input) => input !== x));
  const cast = reshape?.op === 'Reshape' ? look.made(reshape.inputs[0]) : undefined;
  const dims = cast?.op === 'Cast' ? look.dims(cast.inputs[0]) : undefined;
  return cast && dims?.length === 1 ? { name: cast.outputs[0], channels: dims[0] } : undefined;
}

function replace(node: OnnxNode, op: string, inputs: string[]): void {
  node.op = op;
  node.inputs = inputs;
  node.attributes = [];
}

function operation(op: string, inputs: string[], output: string): OnnxNode {
  return { name: output, op, domain: '', inputs, outputs: [output], attributes: [] };
}

function filledTensor(name: string, dims: readonly number[], value: number): OnnxTensor {
  const length = dims.reduce((product, n) => product * n, 1);
  return { name, dims: [...dims], type: FLOAT, raw: new Uint8Array(new Float32Array(length).fill(value).buffer) };
}

function shapeTensor(name: string, dims: readonly number[]): OnnxTensor {
  return { name, dims: [dims.length], type: INT64, raw: new Uint8Array(BigInt64Array.from(dims, BigInt).buffer) };
}
