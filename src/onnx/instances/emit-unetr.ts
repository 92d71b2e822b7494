import { SamError } from '../../errors.js';
import { GraphBuilder } from '../builder.js';
import type { Constant } from '../graph.js';
import type { OnnxModel } from '../model.js';

/**
 * micro-sam's instance decoder as an ONNX graph: torch-em's UNETR (0.10) as `get_unetr` of
 * micro_sam/instance_segmentation.py (1.8) sets it up, which sees nothing but the embedding. Four upsampling blocks make
 * pictures of 2, 4, 8 and 16 times its size; a second path goes the same way and takes from each of them the middle half
 * of its channels, as torch-em's cropping does, which trims the axis of channels like the others.
 *
 * What the file of weights calls things is kept as it is. Batch norms are folded into the convolutions before them, and
 * 1 x 1 convolutions are done before upsampling, with which they commute.
 */
export type UnetrWeights = ReadonlyMap<string, Constant>;

/**
 * @param weights of a decoder by their PyTorch names, without prefix
 * @param side of the embedding, in cells
 * @returns `emb` [1, C, side, side] → `maps` [1, 3, 16 side, 16 side], after the sigmoid
 * @throws SamError `model_unavailable` if a weight is missing
 */
export function emitUnetr(weights: UnetrWeights, side = 64): OnnxModel {
  const unetr = new Unetr(weights);
  const { g } = unetr;
  const embedding = g.input('emb', [1, unetr.inputChannels, side, side]);
  const pictures: string[] = [];
  for (let level = 1; level <= 4; level++) pictures.push(unetr.deconv(`deconv${level}`, pictures.at(-1) ?? embedding));
  let x = unetr.block('base', embedding);
  for (let level = 0; level < 3; level++) {
    x = unetr.up(`decoder.samplers.${level}`, x);
    const channels = unetr.outputChannels(`decoder.samplers.${level}`);
    const skip = unetr.middleChannels(
      pictures[level],
      unetr.outputChannels(`deconv${level + 1}.block.1.block`),
      channels,
    );
    x = unetr.block(`decoder.blocks.${level}`, g.node('Concat', [x, skip], { axis: 1 }));
  }
  x = g.node('Concat', [unetr.up('deconv_out', x), pictures[3]], { axis: 1 });
  x = unetr.convolution('out_conv', unetr.block('decoder_head', x));
  g.output('maps', g.node('Sigmoid', [x]), [1, 3, 16 * side, 16 * side]);
  return g.finish('unetr');
}

/** Of PyTorch's instance and batch norms. */
const EPSILON = 1e-5;

class Unetr {
  readonly g = new GraphBuilder();

  constructor(private readonly weights: UnetrWeights) {}

  get inputChannels(): number {
    return this.weight('base.block.1.weight').dims[1];
  }

  /** Of an upsampling or convolution, whichever way it is stored. */
  outputChannels(name: string): number {
    const transposed = this.weights.get(`${name}.block.weight`);
    if (transposed) return transposed.dims[1];
    return (this.weights.get(`${name}.conv.weight`) ?? this.weight(`${name}.weight`)).dims[0];
  }

  /** Upsampling, 3 x 3 convolution with batch norm, ReLU. */
  deconv(name: string, x: string): string {
    const upsampled = this.up(`${name}.block.0`, x);
    const folded = this.foldedNorm(`${name}.block.1.block`, `${name}.block.2`);
    return this.g.node('Relu', [this.conv(`${name}.folded`, upsampled, folded.weight, folded.bias)]);
  }

  /** Twice: instance norm, 3 x 3 convolution, ReLU. */
  block(name: string, x: string): string {
    for (const index of [1, 4]) {
      const weight = this.weight(`${name}.block.${index}.weight`);
      const normed = this.instanceNorm(x, weight.dims[1]);
      x = this.g.node('Relu', [
        this.conv(`${name}.${index}`, normed, weight, this.weight(`${name}.block.${index}.bias`)),
      ]);
    }
    return x;
  }

  /** Twice as large: 1 x 1 convolution and bilinear, or, in older files, a transposed convolution. */
  up(name: string, x: string): string {
    const { g } = this;
    const transposed = this.weights.get(`${name}.block.weight`);
    if (transposed) {
      const inputs = [
        x,
        g.weight(`${name}.weight`, transposed),
        g.weight(`${name}.bias`, this.weight(`${name}.block.bias`)),
      ];
      return g.node('ConvTranspose', inputs, { kernel_shape: [2, 2], strides: [2, 2] });
    }
    const mixed = this.conv(name, x, this.weight(`${name}.conv.weight`), this.weight(`${name}.conv.bias`));
    const scales = g.constant('twice', [4], Float32Array.of(1, 1, 2, 2));
    return g.node('Resize', [mixed, '', scales], {
      mode: { text: 'linear' },
      coordinate_transformation_mode: { text: 'half_pixel' },
    });
  }

  convolution(name: string, x: string): string {
    return this.conv(name, x, this.weight(`${name}.weight`), this.weight(`${name}.bias`));
  }

  middleChannels(x: string, all: number, wanted: number): string {
    const first = Math.floor((all - wanted) / 2);
    return this.g.slice(x, first, first + wanted);
  }

  private instanceNorm(x: string, channels: number): string {
    const ones = this.g.constant(`ones ${channels}`, [channels], new Float32Array(channels).fill(1));
    const zeros = this.g.constant(`zeros ${channels}`, [channels], new Float32Array(channels));
    return this.g.node('InstanceNormalization', [x, ones, zeros], { epsilon: { float: EPSILON } });
  }

  private conv(name: string, x: string, weight: Constant, bias: Constant): string {
    const pad = (weight.dims[2] - 1) / 2;
    const inputs = [x, this.g.weight(`${name}.weight`, weight), this.g.weight(`${name}.bias`, bias)];
    return this.g.node('Conv', inputs, { kernel_shape: weight.dims.slice(2), pads: [pad, pad, pad, pad] });
  }

  /** w · γ / √(σ² + ε), (b - μ) · γ / √(σ² + ε) + β. */
  private foldedNorm(convolution: string, norm: string): { weight: Constant; bias: Constant } {
    const weight = this.weight(`${convolution}.weight`);
    const bias = this.weight(`${convolution}.bias`);
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
      (part) => this.weight(`${norm}.${part}`).data,
    );
    const scale = gamma.map((value, c) => value / Math.sqrt(variance[c] + EPSILON));
    const each = weight.data.length / weight.dims[0];
    return {
      weight: { dims: weight.dims, data: weight.data.map((value, i) => value * scale[Math.floor(i / each)]) },
      bias: { dims: bias.dims, data: bias.data.map((value, c) => (value - mean[c]) * scale[c] + beta[c]) },
    };
  }

  private weight(name: string): Constant {
    const found = this.weights.get(name);
    if (found) return found;
    throw new SamError(
      'model_unavailable',
      `The weights of a micro-sam instance decoder lack '${name}': the file is damaged, or of another decoder.`,
      { details: { name } },
    );
  }
}
