import assert from 'node:assert/strict';
import type { Constant } from '../../../src/onnx/graph.js';
import { emitUnetr } from '../../../src/onnx/instances/emit-unetr.js';
import { writeModel } from '../../../src/onnx/write.js';
import { seededRandom } from '../../support/random.js';
import { sharedRuntime } from '../../support/real-worker.js';
import { randomUnetrWeights } from '../../support/unetr-weights.js';

/** [C, n, n]. */
interface Picture {
  readonly data: Float64Array;
  readonly channels: number;
  readonly side: number;
}

const picture = (channels: number, side: number): Picture => ({
  data: new Float64Array(channels * side * side),
  channels,
  side,
});

const SIDE = 3;

/** The same network by its definition, one number after the other; nothing is folded or done in another order. */
function reference(weights: ReadonlyMap<string, Constant>, embedding: Picture): Picture {
  const w = (name: string) => weights.get(name) as Constant;
  const conv = (x: Picture, name: string): Picture => {
    const { dims, data } = w(`${name}.weight`);
    const [to, from, kernel] = dims;
    const bias = w(`${name}.bias`).data;
    const pad = (kernel - 1) / 2;
    const out = picture(to, x.side);
    for (let o = 0; o < to; o++)
      for (let y = 0; y < x.side; y++)
        for (let column = 0; column < x.side; column++) {
          let sum = bias[o];
          for (let i = 0; i < from; i++)
            for (let ky = 0; ky < kernel; ky++)
              for (let kx = 0; kx < kernel; kx++) {
                const [yy, xx] = [y + ky - pad, column + kx - pad];
                if (yy < 0 || xx < 0 || yy >= x.side || xx >= x.side) continue;
                sum += data[((o * from + i) * kernel + ky) * kernel + kx] * x.data[(i * x.side + yy) * x.side + xx];
              }
          out.data[(o * x.side + y) * x.side + column] = sum;
        }
    return out;
  };
  const twice = (x: Picture): Picture => {
    const out = picture(x.channels, 2 * x.side);
    const at = (c: number, y: number, column: number) =>
      x.data[(c * x.side + Math.min(Math.max(y, 0), x.side - 1)) * x.side + Math.min(Math.max(column, 0), x.side - 1)];
    for (let c = 0; c < x.channels; c++)
      for (let y = 0; y < out.side; y++)
        for (let column = 0; column < out.side; column++) {
          const [sy, sx] = [(y + 0.5) / 2 - 0.5, (column + 0.5) / 2 - 0.5];
          const [y0, x0] = [Math.floor(sy), Math.floor(sx)];
          const [fy, fx] = [sy - y0, sx - x0];
          out.data[(c * out.side + y) * out.side + column] =
            at(c, y0, x0) * (1 - fy) * (1 - fx) +
            at(c, y0, x0 + 1) * (1 - fy) * fx +
            at(c, y0 + 1, x0) * fy * (1 - fx) +
            at(c, y0 + 1, x0 + 1) * fy * fx;
        }
    return out;
  };
  const up = (x: Picture, name: string): Picture => {
    const transposed = weights.get(`${name}.block.weight`);
    if (!transposed) return conv(twice(x), `${name}.conv`);
    const [from, to] = transposed.dims;
    const bias = w(`${name}.block.bias`).data;
    const out = picture(to, 2 * x.side);
    for (let o = 0; o < to; o++)
      for (let y = 0; y < out.side; y++)
        for (let column = 0; column < out.side; column++) {
          let sum = bias[o];
          for (let i = 0; i < from; i++)
            sum +=
              transposed.data[((i * to + o) * 2 + (y % 2)) * 2 + (column % 2)] *
              x.data[(i * x.side + (y >> 1)) * x.side + (column >> 1)];
          out.data[(o * out.side + y) * out.side + column] = sum;
        }
    return out;
  };
  const each = (x: Picture, change: (value: number, channel: number) => number): Picture => ({
    ...x,
    data: x.data.map((value, i) => change(value, Math.floor(i / x.side ** 2))),
  });
  const relu = (x: Picture) => each(x, (value) => Math.max(0, value));
  const instanceNorm = (x: Picture): Picture => {
    const area = x.side ** 2;
    const moments = Array.from({ length: x.channels }, (_, c) => {
      const values = x.data.subarray(c * area, (c + 1) * area);
      const mean = values.reduce((a, b) => a + b, 0) / area;
      return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / area };
    });
    return each(x, (value, c) => (value - moments[c].mean) / Math.sqrt(moments[c].variance + 1e-5));
  };
  const batchNorm = (x: Picture, name: string): Picture => {
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
      (part) => w(`${name}.${part}`).data,
    );
    return each(x, (value, c) => ((value - mean[c]) / Math.sqrt(variance[c] + 1e-5)) * gamma[c] + beta[c]);
  };
  const block = (x: Picture, name: string): Picture => {
    const first = relu(conv(instanceNorm(x), `${name}.block.1`));
    return relu(conv(instanceNorm(first), `${name}.block.4`));
  };
  const concat = (a: Picture, b: Picture): Picture => ({
    data: Float64Array.from([...a.data, ...b.data]),
    channels: a.channels + b.channels,
    side: a.side,
  });
  const crop = (x: Picture, channels: number): Picture => {
    const first = (x.channels - channels) >> 1;
    const area = x.side ** 2;
    return { data: x.data.slice(first * area, (first + channels) * area), channels, side: x.side };
  };
  const pictures: Picture[] = [];
  for (let level = 1; level <= 4; level++) {
    const upsampled = up(pictures.at(-1) ?? embedding, `deconv${level}.block.0`);
    pictures.push(relu(batchNorm(conv(upsampled, `deconv${level}.block.1.block`), `deconv${level}.block.2`)));
  }
  let x = block(embedding, 'base');
  for (let level = 0; level < 3; level++) {
    x = up(x, `decoder.samplers.${level}`);
    x = block(concat(x, crop(pictures[level], x.channels)), `decoder.blocks.${level}`);
  }
  x = conv(block(concat(up(x, 'deconv_out'), pictures[3]), 'decoder_head'), 'out_conv');
  return each(x, (value) => 1 / (1 + Math.exp(-value)));
}

describe("micro-sam's instance decoder as a graph", function () {
  this.timeout(60_000);
  const random = seededRandom(5);
  const embedding = picture(8, SIDE);
  for (let i = 0; i < embedding.data.length; i++) embedding.data[i] = Math.fround(random() * 2 - 1);

  for (const transposed of [false, true])
    it(`computes what its definition says, ${transposed ? 'with transposed convolutions' : 'upsampled bilinearly'}`, async () => {
      const weights = randomUnetrWeights(transposed);
      const runtime = await sharedRuntime();
      const session = await runtime.createSession(writeModel(emitUnetr(weights, SIDE)));
      const emb = runtime.tensor('float32', Float32Array.from(embedding.data), [1, 8, SIDE, SIDE]);
      const { maps } = await session.run({ emb });
      assert.deepEqual(maps.dims, [1, 3, 16 * SIDE, 16 * SIDE]);
      const wanted = reference(weights, embedding).data;
      const got = maps.data as Float32Array;
      let worst = 0;
      for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(got[i] - wanted[i]));
      assert.ok(worst < 1e-4, `maps differ by ${worst}`);
      assert.ok(Math.max(...wanted) - Math.min(...wanted) > 0.1, 'not all the same');
      await session.release();
    });

  it('names a weight that is missing', () => {
    const weights = randomUnetrWeights(false);
    weights.delete('deconv2.block.2.running_var');
    assert.throws(() => emitUnetr(weights), { code: 'model_unavailable', message: /deconv2\.block\.2\.running_var/ });
  });
});
