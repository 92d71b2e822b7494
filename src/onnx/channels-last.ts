import { convAttributes } from './conv-attributes.js';
import { attribute, type Constant, removeDeadCode } from './graph.js';
import { GraphReader } from './graph-reader.js';
import { knownShapes } from './known-shapes.js';
import { floatTensor, int64Tensor, operation, transposition } from './make.js';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './model.js';

/** [N, H, W, C] → [N, C, H, W]. */
export const CHANNELS_FIRST = [0, 3, 1, 2];
/** [N, C, H, W] → [N, H, W, C]. */
export const CHANNELS_LAST = [0, 2, 3, 1];

/**
 * Convolutions of [N, pixels, channels], as transformers have them: exporters exchange pixels and channels first and then
 * give them the shape of an image. The other way round the exchange is of an order of channels that ONNX Runtime's
 * convolutions read and write by themselves.
 *
 * @param model its shapes must be known, batch included
 * @returns the model, which shares what is unchanged with the one given, and how many exchanges were rewritten
 */
export function convolveChannelsLast(model: OnnxModel): { model: OnnxModel; count: number } {
  const { graph } = model;
  const reader = new GraphReader(graph);
  const shapes = knownShapes(graph);
  const users = usersOf(graph);
  const initializers = [...graph.initializers];
  const instead = new Map<OnnxNode, OnnxNode[]>();
  let count = 0;

  const reshape = (from: string, to: string, shape: readonly number[]) => {
    initializers.push(int64Tensor(`${to}/shape`, shape));
    return operation('Reshape', [from, `${to}/shape`], to);
  };
  /** Whether [N, pixels, channels] and [N, channels, height, width] hold the same. */
  const isImage = ([n, pixels, channels]: readonly number[], [batch, c, height, width]: readonly number[]) =>
    n === batch && channels === c && pixels === height * width;
  const shapeOf = (tensor: string | undefined) => shapes.get(tensor ?? '')?.shape ?? [];

  for (const conv of graph.nodes) {
    if (conv.op !== 'Conv' || conv.domain !== '') continue;
    const [input, ...others] = conv.inputs;
    const [output] = conv.outputs;
    const exchange = reader.node(reader.node(input, 'Reshape')?.inputs[0], 'Transpose', EXCHANGED);
    const [n, c, height, width] = shapeOf(input);
    if (exchange && isImage(shapeOf(exchange.inputs[0]), [n, c, height, width])) {
      const [image, turned] = [`${output}/image`, `${output}/channels first`];
      const convolve = { ...conv, inputs: [turned, ...others] };
      const steps = [reshape(exchange.inputs[0], image, [n, height, width, c])];
      instead.set(conv, [...steps, transposition(image, turned, CHANNELS_FIRST), convolve]);
      count++;
    }
    const back = users(users(output, 'Reshape')?.outputs[0], 'Transpose');
    const [result] = back?.outputs ?? [];
    if (back && String(attribute(back, 'perm')) === EXCHANGED && isImage(shapeOf(result), shapeOf(output))) {
      const turned = `${output}/channels last`;
      const steps = [transposition(output, turned, CHANNELS_LAST), reshape(turned, result, shapeOf(result))];
      instead.set(back, steps);
      count++;
    }
  }
  return count === 0 ? { model, count } : { model: withNodes(model, instead, initializers), count };
}

const EXCHANGED = '0,2,1';

/**
 * Convolutions of single pixels whose channels are last before or after: they are matrix products, and what changes the order
 * of channels goes to their other side.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many convolutions were rewritten
 */
export function multiplyPixels(model: OnnxModel): { model: OnnxModel; count: number } {
  const { graph } = model;
  const initializers = [...graph.initializers];
  const instead = new Map<OnnxNode, OnnxNode[]>();
  let count = 0;
  for (const { conv, input, back, weight } of constantConvs(graph)) {
    const { strides, group, pads } = convAttributes(conv);
    const [columns, rows, ...kernel] = weight.dims;
    const isPlain = group === 1 && [...kernel, ...strides].every((n) => n === 1) && pads.every((n) => n === 0);
    if (!isPlain || (input === undefined && back === undefined)) continue;
    const [output] = back?.outputs ?? [`${conv.outputs[0]}/channels last`];
    const pixels = input ?? `${output}/input`;
    initializers.push(floatTensor(`${output}/weight`, [rows, columns], kernelAsMatrix(weight)));
    const [, , bias] = conv.inputs;
    const product = bias ? `${output}/product` : output;
    const nodes = [operation('MatMul', [pixels, `${output}/weight`], product)];
    if (input === undefined) nodes.unshift(transposition(conv.inputs[0], pixels, CHANNELS_LAST));
    if (bias) nodes.push(operation('Add', [product, bias], output));
    if (back === undefined) nodes.push(transposition(output, conv.outputs[0], CHANNELS_FIRST));
    instead.set(back ?? conv, nodes);
    count++;
  }
  return count === 0 ? { model, count } : { model: withNodes(model, instead, initializers), count };
}

interface ConstantConv {
  readonly conv: OnnxNode;
  /** [N, H, W, C], of which the convolution is, where channels come from there. */
  readonly input?: string;
  /** The only user of the result, where that puts its channels last. */
  readonly back?: OnnxNode;
  /** [out, in, height, width] */
  readonly weight: Constant;
}

export type ChannelsLastConv = Required<ConstantConv>;

/** Convolutions with constant weights whose input comes from channels last, and whose result goes there. */
export function channelsLastConvs(graph: OnnxGraph): ChannelsLastConv[] {
  return constantConvs(graph).flatMap(({ input, back, ...others }) =>
    input !== undefined && back ? [{ ...others, input, back }] : [],
  );
}

function constantConvs(graph: OnnxGraph): ConstantConv[] {
  const reader = new GraphReader(graph);
  const users = usersOf(graph);
  return graph.nodes.flatMap((conv) => {
    if (conv.op !== 'Conv' || conv.domain !== '') return [];
    const turn = reader.node(conv.inputs[0], 'Transpose', String(CHANNELS_FIRST));
    const user = users(conv.outputs[0], 'Transpose');
    const back = String(user && attribute(user, 'perm')) === String(CHANNELS_LAST) ? user : undefined;
    const weight = reader.constant(conv.inputs[1]);
    return weight?.dims.length === 4 ? [{ conv, input: turn?.inputs[0], back, weight }] : [];
  });
}

/** [out, in, height, width] → [height * width * in, out]. */
export function kernelAsMatrix({ dims: [outs, ins, height, width], data }: Constant): Float32Array {
  const area = height * width;
  const matrix = new Float32Array(data.length);
  for (let out = 0, from = 0; out < outs; out++)
    for (let channel = 0; channel < ins; channel++)
      for (let p = 0; p < area; p++, from++) matrix[(p * ins + channel) * outs + out] = data[from];
  return matrix;
}

/** Of a tensor its only user, if it is of this kind; those that ask for its shape do not count, but make it stay. */
function usersOf(graph: OnnxGraph): (tensor: string | undefined, op: string) => OnnxNode | undefined {
  const all = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes)
    for (const input of new Set(node.inputs)) all.set(input, [...(all.get(input) ?? []), node]);
  const results = new Set(graph.outputs.map(({ name }) => name));
  return (tensor = '', op) => {
    const [user, ...others] = (all.get(tensor) ?? []).filter((node) => node.op !== 'Shape');
    return user?.op === op && user.domain === '' && others.length === 0 && !results.has(tensor) ? user : undefined;
  };
}

function withNodes(
  model: OnnxModel,
  instead: ReadonlyMap<OnnxNode, OnnxNode[]>,
  initializers: OnnxTensor[],
): OnnxModel {
  const nodes = model.graph.nodes.flatMap((node) => instead.get(node) ?? node);
  const graph = { ...model.graph, nodes, initializers };
  removeDeadCode(graph);
  return { ...model, graph };
}
