import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import { elementCount } from '../../src/onnx/tensor-info.js';
import { GradientSession } from '../../src/training/gradient-session.js';
import { cropShapes } from '../../src/training/instances/crops.js';
import { emitCropLoss } from '../../src/training/instances/instance-objective.js';
import { DECODER_PARAMETERS } from '../../src/training/instances/light-decoder.js';
import { startingWeights } from '../../src/training/parameters.js';
import { Random } from '../../src/training/random.js';

/** Loss and gradients of the instance decoder for one crop of noise. */
async function gradients(runtime: OrtRuntime) {
  const session = await GradientSession.create(runtime, DECODER_PARAMETERS, (g) => ({ loss: emitCropLoss(g, 1) }));
  const random = new Random(5);
  const feeds = Object.fromEntries(
    Object.entries(cropShapes(1)).map(([part, shape]) => {
      const draw = part === 'target' ? () => random.uniform() : () => random.normal();
      return [part, runtime.tensor('float32', Float32Array.from({ length: elementCount(shape) }, draw), shape)];
    }),
  );
  try {
    return await session.run(startingWeights(DECODER_PARAMETERS, new Random(6)), feeds);
  } finally {
    await session.release();
  }
}

const length = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

describe('gradients (real graphs)', function () {
  this.timeout(240_000);

  it('are the same with wasm, as in a browser, as natively (thorough)', async () => {
    const native = await gradients(await createNodeRuntime());
    const wasm = await gradients(await createNodeRuntime({ wasm: true }));
    assert.ok(Math.abs(wasm.loss - native.loss) < 1e-3 * native.loss, `${wasm.loss} and ${native.loss}`);
    for (const [name, expected] of native.gradients) {
      const found = wasm.gradients.get(name) as Float32Array;
      const norm = length(expected);
      const off = length(expected.map((value, i) => value - found[i]));
      if (norm > 1e-5) assert.ok(off < 1e-3 * norm, `${name}: ${off} of ${norm}`);
    }
  });
});
