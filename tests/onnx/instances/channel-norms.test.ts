import assert from 'node:assert/strict';
import { fetchBytesInNode } from '../../../src/model/node-runtime.js';
import { resolveModel } from '../../../src/model/registry.js';
import { rewriteChannelNorms } from '../../../src/onnx/instances/channel-norms.js';
import { readModel } from '../../../src/onnx/read.js';
import { writeModel } from '../../../src/onnx/write.js';
import { sharedRuntime } from '../../support/real-worker.js';

describe('norms over channels', function () {
  this.timeout(120_000);

  it('are rewritten in the built-in decoder, which gives the same maps', async () => {
    const runtime = await sharedRuntime();
    const bytes = await fetchBytesInNode(resolveModel().instances?.url ?? '');
    const model = readModel(bytes);
    assert.equal(rewriteChannelNorms(model), 10);
    assert.equal(rewriteChannelNorms(model), 0, 'nothing is left of them');
    const shapes = { emb: [1, 256, 64, 64], s1: [1, 128, 128, 128], s0: [1, 64, 256, 256], img: [1, 3, 512, 512] };
    let state = 17;
    const noise = (shape: readonly number[]) =>
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 31 - 1;
      });
    const feeds = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, runtime.tensor('float32', noise(shape), shape)]),
    );
    const outputs: Float32Array[] = [];
    for (const file of [bytes, writeModel(model)]) {
      const session = await runtime.createSession(file);
      outputs.push((await session.run(feeds)).maps.data as Float32Array);
      await session.release();
    }
    const [before, after] = outputs;
    const largest = before.reduce((most, value, i) => Math.max(most, Math.abs(value - after[i])), 0);
    assert.ok(largest < 1e-5, `maps differ by up to ${largest}`);
    assert.ok(before.some((value) => value > 0.1));
  });
});
