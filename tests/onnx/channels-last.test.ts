import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { convolveChannelsLast, multiplyPixels } from '../../src/onnx/channels-last.js';
import { attribute } from '../../src/onnx/graph.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

const [HEIGHT, WIDTH, CHANNELS] = [6, 9, 8];
const PIXELS = HEIGHT * WIDTH;

describe('convolutions of pixels whose channels are last', () => {
  const random = seededRandom(12);
  const numbers = (length: number) => Float32Array.from({ length }, () => random() * 2 - 1);

  /** @param images [batch, channels, height, width] that the exchanged axes are given */
  function graph(images: readonly number[] = [1, CHANNELS, HEIGHT, WIDTH], used = false): OnnxModel {
    const g = new GraphBuilder();
    const x = g.input('x', [1, PIXELS, CHANNELS]);
    const image = g.reshape(g.transpose(x, 0, 2, 1), ...images);
    const channels = images[1];
    const weight = g.constant('weight', [channels, 1, 3, 3], numbers(channels * 9));
    const bias = g.constant('bias', [channels], numbers(channels));
    const convolved = g.node('Conv', [image, weight, bias], {
      group: channels,
      kernel_shape: [3, 3],
      pads: [1, 1, 1, 1],
    });
    const rows = g.reshape(convolved, 1, CHANNELS, PIXELS);
    if (used) g.output('rows', rows, [1, CHANNELS, PIXELS]);
    g.output('y', g.add(g.transpose(rows, 0, 2, 1), x), [1, PIXELS, CHANNELS]);
    return g.finish('local');
  }

  async function run(model: OnnxModel, x: Float32Array): Promise<Readonly<Record<string, Float32Array>>> {
    const runtime = await createNodeRuntime({ threads: 1 });
    const session = await runtime.createSession(writeModel(model));
    const outputs = await session.run({ x: runtime.tensor('float32', x, [1, PIXELS, CHANNELS]) });
    await session.release();
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
  }

  it('take and give images instead of rows that are exchanged, with the same result', async () => {
    const model = graph();
    const before = writeModel(model);
    const { model: changed, count } = convolveChannelsLast(model);
    assert.equal(count, 2);
    assert.deepEqual(writeModel(model), before, 'the model given is as it was');
    const perms = changed.graph.nodes.flatMap((node) =>
      node.op === 'Transpose' ? String(attribute(node, 'perm')) : [],
    );
    assert.deepEqual(perms, ['0,3,1,2', '0,2,3,1']);
    const x = numbers(PIXELS * CHANNELS);
    assert.deepEqual(await run(changed, x), await run(model, x));
  });

  it('keep what else is made of their result', async () => {
    const model = graph(undefined, true);
    const { model: changed, count } = convolveChannelsLast(model);
    assert.equal(count, 1);
    const x = numbers(PIXELS * CHANNELS);
    assert.deepEqual(await run(changed, x), await run(model, x));
  });

  it('stay where the exchange mixes pixels and channels, or where shapes are not known', () => {
    assert.equal(convolveChannelsLast(graph([1, CHANNELS / 2, HEIGHT * 2, WIDTH])).count, 0);
    const model = graph();
    model.graph.inputs = [{ name: 'x', tensor: { type: 1, shape: ['batch', PIXELS, CHANNELS] } }];
    assert.equal(convolveChannelsLast(model).count, 0);
  });

  it('of single pixels are matrix products, with channels last before, after or on both sides', async () => {
    const single = (kernel: number, before: readonly number[], after: readonly number[]) => {
      const g = new GraphBuilder();
      const x = g.input('x', [1, PIXELS, CHANNELS]);
      const isLast = before[1] === 3;
      const lengths = isLast ? [1, HEIGHT, WIDTH, CHANNELS] : [1, CHANNELS, WIDTH, HEIGHT];
      const image = g.transpose(g.reshape(x, ...lengths), ...before);
      const weight = g.constant('weight', [12, CHANNELS, kernel, kernel], numbers(12 * CHANNELS * kernel ** 2));
      const made = g.node('Conv', [image, weight, g.constant('bias', [12], numbers(12))], {
        kernel_shape: [kernel, kernel],
      });
      g.output('y', g.transpose(made, ...after));
      return g.finish('single');
    };
    const [first, last] = [
      [0, 3, 1, 2],
      [0, 2, 3, 1],
    ];
    const otherwise = [0, 1, 3, 2];
    assert.equal(multiplyPixels(single(1, otherwise, otherwise)).count, 0);
    assert.equal(multiplyPixels(single(3, first, last)).count, 0);
    for (const [before, after] of [
      [first, last],
      [first, otherwise],
      [otherwise, last],
    ]) {
      const model = single(1, before, after);
      const { model: changed, count } = multiplyPixels(model);
      assert.equal(count, 1);
      assert.ok(changed.graph.nodes.every(({ op }) => op !== 'Conv'));
      const x = numbers(PIXELS * CHANNELS);
      const [{ y: got }, { y: expected }] = [await run(changed, x), await run(model, x)];
      assert.equal(got.length, expected.length);
      assert.ok(got.every((value, i) => Math.abs(value - expected[i]) < 1e-5));
    }
  });
});
