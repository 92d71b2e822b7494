import type { Constant } from '../../src/onnx/graph.js';
import { seededRandom } from './random.js';

/** A UNETR with random weights; its width is that of micro-sam's at 32. */
export function randomUnetrWeights(transposed: boolean, width = 1): Map<string, Constant> {
  const random = seededRandom(transposed ? 3 : 2);
  const weights = new Map<string, Constant>();
  const add = (name: string, dims: number[], low = -0.6, high = 0.6) => {
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => low + (high - low) * random());
    weights.set(name, { dims, data });
  };
  const conv = (name: string, from: number, to: number, kernel: number) => {
    add(`${name}.weight`, [to, from, kernel, kernel]);
    add(`${name}.bias`, [to]);
  };
  const up = (name: string, from: number, to: number) => {
    if (!transposed) return conv(`${name}.conv`, from, to, 1);
    add(`${name}.block.weight`, [from, to, 2, 2]);
    add(`${name}.block.bias`, [to]);
  };
  const block = (name: string, from: number, to: number) => {
    conv(`${name}.block.1`, from, to, 3);
    conv(`${name}.block.4`, to, to, 3);
  };
  const of = (channels: number) => channels * width;
  const deconvs = [8, 16, 8, 4, 2].map(of);
  for (let level = 1; level <= 4; level++) {
    up(`deconv${level}.block.0`, deconvs[level - 1], deconvs[level]);
    conv(`deconv${level}.block.1.block`, deconvs[level], deconvs[level], 3);
    for (const part of ['weight', 'bias', 'running_mean']) add(`deconv${level}.block.2.${part}`, [deconvs[level]]);
    add(`deconv${level}.block.2.running_var`, [deconvs[level]], 0.2, 2);
  }
  block('base', of(8), of(16));
  for (const [level, channels] of [16, 8, 4].map(of).entries()) {
    up(`decoder.samplers.${level}`, channels, channels / 2);
    block(`decoder.blocks.${level}`, channels, channels / 2);
  }
  up('deconv_out', of(2), of(2));
  block('decoder_head', of(4), of(2));
  conv('out_conv', of(2), 3, 1);
  return weights;
}
