import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { halvesOf } from '../../src/model/runtime.js';
import { fromHalf, toHalf } from '../../src/ndimage/half.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { takeHalf, withHalfOutputs } from '../../src/onnx/half-casts.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

/** y = x + x, z = y + y; ties, subnormal numbers, what half precision cannot hold, and what is no number. */
const graph = () => {
  const g = new GraphBuilder();
  const x = g.input('x', [2000]);
  const y = g.add(x, x);
  g.output('z', g.add(y, y), [2000]);
  return { model: g.finish('doubled'), y };
};
const random = seededRandom(11);
const special = [0, -0, 1, 2 ** -25, 2 ** -26, 3 * 2 ** -27, 32752, 32760, 1e9, -1e9, Infinity, NaN, 0.5 + 2 ** -12];
const numbers = Float32Array.from({ length: 2000 }, (_, i) => special[i] ?? (random() * 2 - 1) * 10 ** (i % 10) * 1e-6);

for (const wasm of [false, true])
  describe(`half precision converted in a graph, ${wasm ? 'wasm' : 'native'}`, function () {
    this.timeout(60_000);

    it('comes out with the bits that JavaScript makes', async () => {
      const runtime = await createNodeRuntime({ threads: 1, wasm });
      const { model, y } = graph();
      const { model: extended, outputs } = withHalfOutputs(model, [y]);
      const session = await runtime.createSession(writeModel(extended));
      const found = await session.run({ x: runtime.tensor('float32', numbers, [2000]) }, [...outputs, 'z']);
      await session.release();
      assert.deepEqual(halvesOf(found[outputs[0]]), toHalf(numbers.map((value) => 2 * value)));
      assert.deepEqual(
        found.z.data,
        numbers.map((value) => 4 * value),
      );
    });

    it('goes in as the numbers that it stands for', async () => {
      const runtime = await createNodeRuntime({ threads: 1, wasm });
      const { model } = graph();
      takeHalf(model, ['x', 'unknown']);
      const session = await runtime.createSession(writeModel(model));
      const halves = toHalf(numbers);
      const found = await session.run({ x: runtime.tensor('float16', halves, [2000]) });
      await session.release();
      assert.deepEqual(
        found.z.data,
        fromHalf(halves).map((value) => 4 * value),
      );
    });
  });
