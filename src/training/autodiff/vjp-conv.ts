import { SamError } from '../../errors.js';
import { type ConvAttributes, convAttributes } from '../../onnx/conv-attributes.js';
import type { OnnxNode } from '../../onnx/model.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';

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
  const plain = strides.every((stride) => stride === 1) && dilations.every((step) => step === 1);
  if (plain && (group === 1 || inputs === 1)) {
    // A convolution with the turned kernel; for depthwise ones inputs and outputs are the same.
    const turned = height * width === 1 ? w : halfTurned(g, w);
    const kernel = group === 1 ? g.transpose(turned, 1, 0, 2, 3) : turned;
    if (group === 1 || outputs === group) {
      const around = [height - 1 - pads[0], width - 1 - pads[1], height - 1 - pads[2], width - 1 - pads[3]];
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
  { strides, dilations, pads, group }: ConvAttributes,
): string {
  const [batch, channels] = g.shape(x);
  const [, outputs, rows, columns] = g.shape(d);
  const [, inputs, height, width] = g.shape(w);
  const depthwise = group === channels && inputs === 1 && outputs === channels;
  if (group !== 1 && !depthwise)
    throw new SamError('unsupported', `The grouped convolution ${node.name} cannot be differentiated.`);
  const cells = batch * rows * columns;
  const first = (t: string) => (batch === 1 ? t : g.transpose(t, 1, 0, 2, 3)); // channels first, then all images
  const padded = g.pad(first(x), [0, 0, pads[0], pads[1]], [0, 0, pads[2], pads[3]]);
  const gradient = g.shaped(first(d), [outputs, cells]);
  const taps: string[] = [];
  for (let i = 0; i < height; i++) {
    const line = along(g, padded, 2, i * dilations[0], rows, strides[0]);
    for (let j = 0; j < width; j++) {
      const under = g.shaped(along(g, line, 3, j * dilations[1], columns, strides[1]), [channels, cells]);
      taps.push(
        depthwise
          ? g.shaped(g.sumOver(g.mul(under, gradient), [1]), [outputs, 1, 1])
          : g.shaped(g.node('Gemm', [gradient, under], { transA: 0, transB: 1 }), [outputs, channels, 1]),
      );
    }
  }
  return g.shaped(g.concat(taps, 2), g.shape(w));
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
