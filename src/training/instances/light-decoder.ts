import { entryOf, tableOf } from '../../items.js';
import { toHalf } from '../../ndimage/half.js';
import { constantOf, removeDeadCode } from '../../onnx/graph.js';
import type { OnnxModel } from '../../onnx/model.js';
import { halfName, ShapedBuilder } from '../../onnx/shaped-builder.js';
import type { Parameter, Weights } from '../parameters.js';
import { CACHED } from './feature-cache.js';

/**
 * A decoder that gives the maps of objects (`DistanceTargets`) from the encoder's features: 388,331 parameters and 9.5
 * billion multiplications, a fortieth of micro-sam's UNETR. The embedding is enlarged three times, from 64² to 512²,
 * and mixed with finer features at each step: the encoder's second and first stage, and the image. Normalised over
 * channels, pixel by pixel: what it gives for a place does not depend on tiling, padding or batch.
 */
const DECODER_INPUTS = ['emb', 's1', 's0', 'img'] as const;
export type DecoderInput = (typeof DECODER_INPUTS)[number];

/** A convolution, a norm over channels, ReLU. */
interface Block {
  readonly from: number;
  readonly to: number;
  readonly kernel: 1 | 3;
}

const BLOCKS = {
  embedding: { from: CACHED.emb.channels, to: 128, kernel: 1 },
  coarse: { from: 128, to: 128, kernel: 3 },
  second_stage: { from: CACHED.s1.channels, to: 32, kernel: 1 },
  middle: { from: 128 + 32, to: 64, kernel: 3 },
  middle2: { from: 64, to: 64, kernel: 3 },
  first_stage: { from: CACHED.s0.channels, to: 32, kernel: 1 },
  fine: { from: 64 + 32, to: 48, kernel: 3 },
  fine2: { from: 48, to: 48, kernel: 3 },
  image: { from: CACHED.img.channels, to: 12, kernel: 3 },
  finest: { from: 48 + 12, to: 16, kernel: 3 },
} as const satisfies Record<string, Block>;

type BlockName = keyof typeof BLOCKS;

/** Weights, and how they start: as PyTorch's convolutions do. */
export const DECODER_PARAMETERS: readonly Parameter[] = [
  ...Object.entries(BLOCKS).flatMap(([name, { from, to, kernel }]): Parameter[] => [
    {
      name: `${name}.conv.weight`,
      shape: [to, from, kernel, kernel],
      start: { uniform: 1 / kernel / Math.sqrt(from) },
    },
    { name: `${name}.conv.bias`, shape: [to], start: { uniform: 1 / kernel / Math.sqrt(from) } },
    { name: `${name}.norm.weight`, shape: [to], start: { constant: 1 } },
    { name: `${name}.norm.bias`, shape: [to], start: { constant: 0 } },
  ]),
  { name: 'maps.weight', shape: [3, BLOCKS.finest.to, 1, 1], start: { uniform: 1 / Math.sqrt(BLOCKS.finest.to) } },
  { name: 'maps.bias', shape: [3], start: { uniform: 1 / Math.sqrt(BLOCKS.finest.to) } },
];

const EPSILON = 1e-6;

/**
 * Emits the decoder.
 *
 * @param inputs tensors of shape [N, C, k n, k n], n cells of the embedding per side, k as in `CACHED`
 * @param weight the tensor that holds a parameter
 * @returns the maps before the sigmoid, [N, 3, 8 n, 8 n]
 */
export function emitLightDecoder(
  g: ShapedBuilder,
  inputs: Readonly<Record<DecoderInput, string>>,
  weight: (parameter: string) => string,
): string {
  const block = (name: BlockName, ...parts: string[]) =>
    emitBlock(g, BLOCKS[name], parts, (parameter) => weight(`${name}.${parameter}`));
  let x = g.enlarge(block('coarse', block('embedding', inputs.emb)), 2);
  x = g.enlarge(block('middle2', block('middle', x, block('second_stage', inputs.s1))), 2);
  x = g.enlarge(block('fine2', block('fine', x, block('first_stage', inputs.s0))), 2);
  x = block('finest', x, block('image', inputs.img));
  return g.node('Conv', [x, weight('maps.weight'), weight('maps.bias')]);
}

/** @param parts what the block takes, channels of one after those of the other */
function emitBlock(g: ShapedBuilder, { to, kernel }: Block, parts: string[], weight: (part: string) => string): string {
  // With weights whose mean over the outputs is taken off, the outputs of a pixel have no mean: a pass less over them.
  const centred = (part: string) => g.sub(weight(part), g.meanOver(weight(part), [0]));
  const [weights, bias] = [centred('conv.weight'), centred('conv.bias')];
  const pad = (kernel - 1) / 2;
  let channel = 0;
  const convolved = parts.map((x, i) => {
    const first = channel;
    channel += g.shape(x)[1];
    const own = parts.length === 1 ? weights : g.slice(weights, first, channel, 1);
    return g.node('Conv', i === 0 ? [x, own, bias] : [x, own], { pads: [pad, pad, pad, pad] });
  });
  const y = convolved.reduce((sum, x) => g.add(sum, x));
  const deviation = g.sqrt(g.add(g.meanOver(g.mul(y, y), [1]), g.scalar(EPSILON)));
  const perChannel = (part: string) => g.shaped(weight(part), [to, 1, 1]);
  const normal = g.mul(y, g.node('Reciprocal', [deviation]));
  return g.relu(g.add(g.mul(normal, perChannel('norm.weight')), perChannel('norm.bias')));
}

/** The trained decoder as a model of its own, as `InstanceDecoder` takes it: weights in half precision, maps after the sigmoid. */
export function lightDecoderModel(weights: Weights): OnnxModel {
  const g = new ShapedBuilder();
  const inputs = tableOf(DECODER_INPUTS, (name) => {
    const { channels, side } = CACHED[name];
    return g.input(name, [1, channels, side, side]);
  });
  const shapes = new Map(DECODER_PARAMETERS.map(({ name, shape }) => [name, shape]));
  const weight = (name: string) => g.half(name, entryOf(shapes, name), toHalf(entryOf(weights, name)));
  g.output('maps', g.sigmoid(emitLightDecoder(g, inputs, weight)));
  const model = g.finish('light instance decoder');
  removeDeadCode(model.graph);
  return model;
}

/** The weights in such a model, to go on from; `undefined` if it is another kind of decoder. */
export function weightsOfLightDecoder({ graph }: OnnxModel): Weights | undefined {
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const found = new Map<string, Float32Array>();
  for (const { name, shape } of DECODER_PARAMETERS) {
    const tensor = constants.get(halfName(name));
    const constant = tensor && constantOf(tensor);
    if (!constant || String(constant.dims) !== String(shape)) return undefined;
    found.set(name, constant.data);
  }
  return found;
}
