import { CHANNELS_FIRST, CHANNELS_LAST } from './channels-last.js';
import { attribute, numberAttribute, removeDeadCode } from './graph.js';
import { GraphReader } from './graph-reader.js';
import { int64Tensor, operation, transposition } from './make.js';
import type { OnnxModel, OnnxNode } from './model.js';

/**
 * Layer norms as exporters write them out (less the mean, over the root of the mean of squares, weight, bias) as one
 * operator. ONNX Runtime does so too, but not where they go over the channels of [N, C, H, W], nor where it has moved a
 * transposition into their midst before. Weights keep their names.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many norms were rewritten
 */
export function fuseNorms(model: OnnxModel): { model: OnnxModel; count: number } {
  const reader = new GraphReader(model.graph);
  const initializers = [...model.graph.initializers];
  let count = 0;
  const nodes = model.graph.nodes.flatMap((node) => {
    const norm = node.op === 'Add' ? normEndingIn(node, reader) : undefined;
    if (!norm) return node;
    count++;
    const [output] = node.outputs;
    const { weight, bias } = norm;
    const normed = (from: string, to: string, weight: string, bias: string) =>
      operation('LayerNormalization', [from, weight, bias], to, [
        { name: 'axis', type: 'int', value: -1 },
        { name: 'epsilon', type: 'float', value: norm.epsilon },
      ]);
    if (!norm.overChannels) return normed(norm.input, output, weight, bias);
    const [from, to, length] = [`${output}/channels last`, `${output}/norm`, `${output}/channels`];
    initializers.push(int64Tensor(length, [-1]));
    const [rowOfWeights, rowOfBiases] = [`${output}/weight`, `${output}/bias`];
    return [
      transposition(norm.input, from, CHANNELS_LAST),
      operation('Reshape', [weight, length], rowOfWeights),
      operation('Reshape', [bias, length], rowOfBiases),
      normed(from, to, rowOfWeights, rowOfBiases),
      transposition(to, output, CHANNELS_FIRST),
    ];
  });
  if (count === 0) return { model, count };
  const graph = { ...model.graph, nodes, initializers };
  removeDeadCode(graph);
  return { model: { ...model, graph }, count };
}

interface FoundNorm {
  readonly input: string;
  /** Names of constants. */
  readonly weight: string;
  readonly bias: string;
  readonly epsilon: number;
  /** Over the second of four axes, not over the last one. */
  readonly overChannels: boolean;
}

function normEndingIn(add: OnnxNode, reader: GraphReader): FoundNorm | undefined {
  const bias = reader.withConstant(add);
  const weight = reader.withConstant(reader.node(bias?.input, 'Mul'));
  const normal = reader.node(weight?.input, 'Div');
  const centred = reader.node(normal?.inputs[0], 'Sub');
  const mean = reader.node(centred?.inputs[1], 'ReduceMean');
  const epsilon = reader.withConstant(reader.node(reader.node(normal?.inputs[1], 'Sqrt')?.inputs[0], 'Add'));
  const variance = reader.node(epsilon?.input, 'ReduceMean');
  const power = reader.node(variance?.inputs[0], 'Pow');
  const exponent = reader.constant(power?.inputs[1]);
  if (!bias || !weight || !centred || !mean || !epsilon || !variance || !exponent) return undefined;
  const axes = String(attribute(mean, 'axes'));
  const channels = weight.constant.data.length;
  // Of 1 x 1 constants, only those for the second of four axes are known to belong to it.
  const shape = axes === '1' ? [channels, 1, 1] : [channels];
  const fits =
    ['-1', '1'].includes(axes) &&
    String(attribute(variance, 'axes')) === axes &&
    [mean, variance].every((node) => numberAttribute(node, 'keepdims', 1) === 1) &&
    mean.inputs[0] === centred.inputs[0] &&
    power?.inputs[0] === centred.outputs[0] &&
    exponent.data.length === 1 &&
    exponent.data[0] === 2 &&
    epsilon.constant.data.length === 1 &&
    [weight, bias].every(({ constant }) => String(constant.dims) === String(shape));
  if (!fits) return undefined;
  return {
    input: centred.inputs[0],
    weight: weight.name,
    bias: bias.name,
    epsilon: epsilon.constant.data[0],
    overChannels: axes === '1',
  };
}
