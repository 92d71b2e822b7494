import { SamError } from '../../errors.js';
import { type ConvAttributes, convAttributes } from '../../onnx/conv-attributes.js';
import type { OnnxNode } from '../../onnx/model.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { elementCount } from '../../onnx/tensor-info.js';

/** Gradients of two-dimensional convolutions, plain and depthwise, of any stride, padding and dilation. */

type Gradients = readonly ((() => string) | undefined)[];

export function convGradients(g: ShapedBuilder, node: OnnxNode, d: string): Gradients {
  const [x, w, bias] = node.inputs;
  const attributes = convAttributes(node);
  return [
    () => ofInput(g, x, w, d, attributes),
    () => ofWeights(g, node, x, w, d, attributes),
    bias === undefined ? undefined : () => ofBias(g, d),
  ];
}

function ofBias(g: ShapedBuilder, d: string): string {
  return g.shaped(g.sumOver(d, [0, 2, 3]), [g.shape(d)[1]]);
}

function ofInput(g: ShapedBuilder, x: string, w: string, d: string, attributes: ConvAttributes): string {
  const { strides, dilations, pads, group } = attributes;
  const [outputs, inputs, height, width] = g.shape(w);
  const around = [height - 1 - pads[0], width - 1 - pads[1], height - 1 - pads[2], width - 1 - pads[3]];
  const isPlain = strides.every((stride) => stride === 1) && dilations.every((step) => step === 1);
  if (isPlain && around.every((length) => length >= 0) && (group === 1 || inputs === 1)) {
    // A convolution with the turned kernel; for depthwise ones inputs and outputs are the same.
    const turned = height * width === 1 ? w : halfTurned(g, w);
    const kernel = group === 1 ? g.transpose(turned, 1, 0, 2, 3) : turned;
    if (group === 1 || outputs === group) {
      return g.node('Conv', [d, kernel], { pads: around, group });
    }
  }
  const [rows, columns] = [0, 1].map((i) => {
    const window = dilations[i] * (g.shape(w)[2 + i] - 1) + 1;
    return g.shape(x)[2 + i] - (strides[i] * (g.shape(d)[2 + i] - 1) + window - pads[i] - pads[2 + i]);
  });
  return g.node('ConvTranspose', [d, w], { strides, dilations, pads, group, output_padding: [rows, columns] });
}

/** The kernel upside down and back to front. */
function halfTurned(g: ShapedBuilder, w: string): string {
  const [outputs, inputs, height, width] = g.shape(w);
  const taps = height * width;
  const backwards = Array.from({ length: taps }, (_, i) => taps - 1 - i);
  const turned = g.node('Gather', [g.shaped(w, [outputs, inputs, taps]), g.ints(...backwards)], { axis: 2 });
  return g.shaped(turned, [outputs, inputs, height, width]);
}

/** For each place of the kernel the product of the gradient with what of the input lies under that place. */
function ofWeights(
  g: ShapedBuilder,
  node: OnnxNode,
  x: string,
  w: string,
  d: string,
  attributes: ConvAttributes,
): string {
  const [batch, channels] = g.shape(x);
  const outputs = g.shape(d)[1];
  const [, inputs, height, width] = g.shape(w);
  const depthwise = attributes.group === channels && inputs === 1 && outputs === channels;
  if (attributes.group !== 1 && !depthwise)
    throw new SamError('unsupported', `The grouped convolution ${node.name} cannot be differentiated.`);
  const direct = depthwise ? ofDepthwiseWeights(g, x, d, [height, width], attributes) : undefined;
  if (direct !== undefined) return g.shaped(direct, g.shape(w));
  // Channels first, then all images.
  const first = (t: string) => {
    const [, count, ...size] = g.shape(t);
    return batch === 1 ? g.shaped(t, [count, 1, ...size]) : g.transpose(t, 1, 0, 2, 3);
  };
  const flat = (t: string) => g.shaped(t, [g.shape(t)[0], elementCount(g.shape(t).slice(1))]);
  const pairs = tapPairs(g, first(x), first(d), [height, width], attributes);
  const taps = pairs.map(([under, gradient]) =>
    depthwise
      ? g.shaped(g.sumOver(g.mul(flat(under), flat(gradient)), [1]), [outputs, 1, 1])
      : g.shaped(g.node('Gemm', [flat(gradient), flat(under)], { transA: 0, transB: 1 }), [outputs, channels, 1]),
  );
  return g.shaped(g.concat(taps, 2), g.shape(w));
}

/**
 * Of one image: each channel of the input is convolved with that of the gradient, where strides and dilations change places.
 * Half the work of going from place to place.
 *
 * @returns [1, channels, height, width]; `undefined` where the last rows or columns of the input were left out
 */
function ofDepthwiseWeights(
  g: ShapedBuilder,
  x: string,
  d: string,
  kernel: readonly [number, number],
  { strides, dilations, pads }: ConvAttributes,
): string | undefined {
  const [batch, channels, ...size] = g.shape(x);
  const counts = g.shape(d).slice(2);
  const after = kernel.map(
    (taps, i) => strides[i] * (counts[i] - 1) + dilations[i] * (taps - 1) + 1 - size[i] - pads[i],
  );
  if (batch !== 1 || after.some((length) => length < 0)) return undefined;
  const windows = g.shaped(d, [channels, 1, ...counts]);
  const attributes = { pads: [pads[0], pads[1], ...after], strides: dilations, dilations: strides, group: channels };
  return g.node('Conv', [x, windows], attributes);
}

/**
 * For each place of the kernel, row by row, the parts of input and gradient that meet there, [channels, N, h, w] each.
 * Either the input is shifted or, where that is less to copy, the gradient.
 */
function tapPairs(
  g: ShapedBuilder,
  x: string,
  d: string,
  [height, width]: readonly [number, number],
  { strides, dilations, pads }: ConvAttributes,
): [under: string, gradient: string][] {
  const places = Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width] as const);
  const reach = [(height - 1) * dilations[0], (width - 1) * dilations[1]];
  const around = [reach[0] - pads[0], reach[1] - pads[1], reach[0] - pads[2], reach[1] - pads[3]];
  const isPlain = strides.every((stride) => stride === 1) && around.every((length) => length >= 0);
  if (isPlain && g.shape(d)[0] < g.shape(x)[0]) {
    const [rows, columns] = g.shape(x).slice(2);
    const padded = g.pad(d, [0, 0, around[0], around[1]], [0, 0, around[2], around[3]]);
    return places.map(([i, j]) => {
      const line = along(g, padded, 2, reach[0] - i * dilations[0], rows, 1);
      return [x, along(g, line, 3, reach[1] - j * dilations[1], columns, 1)];
    });
  }
  const [rows, columns] = g.shape(d).slice(2);
  const padded = g.pad(x, [0, 0, pads[0], pads[1]], [0, 0, pads[2], pads[3]]);
  return places.map(([i, j]) => {
    const line = along(g, padded, 2, i * dilations[0], rows, strides[0]);
    return [along(g, line, 3, j * dilations[1], columns, strides[1]), d];
  });
}

/** `count` positions of an axis, from `start`, `step` apart. */
function along(g: ShapedBuilder, x: string, axis: number, start: number, count: number, step: number): string {
  const end = start + (count - 1) * step + 1;
  if (start === 0 && step === 1 && end === g.shape(x)[axis]) return x;
  return g.node('Slice', [x, g.ints(start), g.ints(end), g.ints(axis), g.ints(step)]);
}

/** Only for windows that touch but do not overlap, as in SAM's mask decoder: kernel 2 x 2, stride 2. */
export function convTransposeGradients(g: ShapedBuilder, node: OnnxNode, d: string): Gradients {
  const [x, w, bias] = node.inputs;
  const { strides, dilations, pads, group } = convAttributes(node);
  const [batch, channels, rows, columns] = g.shape(x);
  const [, outputs, height, width] = g.shape(w);
  if (group !== 1 || height !== strides[0] || width !== strides[1] || pads.some((length) => length !== 0))
    throw new SamError('unsupported', `${node.name}: only windows that touch can be differentiated.`);
  const weights = () => {
    const cells = batch * rows * columns;
    const blocks = g.transpose(g.shaped(d, [batch, outputs, rows, height, columns, width]), 1, 3, 5, 0, 2, 4);
    const input = batch === 1 ? x : g.transpose(x, 1, 0, 2, 3);
    const flat = [g.shaped(input, [channels, cells]), g.shaped(blocks, [outputs * height * width, cells])];
    return g.shaped(g.node('Gemm', flat, { transA: 0, transB: 1 }), g.shape(w));
  };
  return [
    () => g.node('Conv', [d, w], { strides, dilations, pads, group }),
    weights,
    bias === undefined ? undefined : () => ofBias(g, d),
  ];
}
