import assert from 'node:assert/strict';
import { evaluateIteratively, evaluatePrompts } from '../../src/evaluation/iterative-prompting.js';
import { STANDARD_SETTINGS } from '../../src/evaluation/prompts-from-ground-truth.js';
import { scoreSegmentation } from '../../src/evaluation/segmentation-accuracy.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { masksToLabels } from '../../src/segmentation/masks-to-labels.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { withData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { nodeWorker } from '../support/node-engine.js';
import { seededRandom } from '../support/random.js';

const [POINT] = STANDARD_SETTINGS;
const BOX = STANDARD_SETTINGS[3];

describe('evaluation/iterative-prompting', function () {
  this.timeout(180_000);
  let worker: SamWorker;
  before(async () => {
    worker = await nodeWorker();
  });

  it('corrections improve what one click gives; boxes are found; the same seed gives the same figures', async () => {
    const { image, labels } = cellPhantom({ seed: 3, size: [256, 256], cells: 8 });
    const context = contextOf(worker, image);
    const progress: number[] = [];
    const passes = await evaluateIteratively(context, labels, {
      start: 'point',
      iterations: 4,
      random: seededRandom(1),
      onProgress: ({ done, total }) => progress.push(done / total),
    });
    assert.equal(passes.length, 4);
    assert.deepEqual(
      passes[0].ids,
      [...new Set(labels.data)].filter((id) => id > 0).sort((a, b) => a - b),
    );
    const best = Math.max(...passes.slice(1).map(({ meanIou }) => meanIou));
    assert.ok(
      best > passes[0].meanIou - 0.01 && best > 0.75,
      passes.map(({ meanIou }) => meanIou.toFixed(3)).join(' '),
    );
    assert.ok(progress.every((value, i) => i === 0 || value >= progress[i - 1]));
    assert.equal(progress.at(-1), 1);

    const boxes = await evaluatePrompts(context, labels, BOX, { random: seededRandom(1) });
    assert.ok(boxes.meanIou > 0.8, `boxes ${boxes.meanIou}`);
    const scores = scoreSegmentation(labels, masksToLabels(boxes.masks, [256, 256]));
    assert.ok(scores.sa50 > 0.8, `SA50 ${scores.sa50}`);

    const options = { start: 'box', iterations: 2, useLogits: true, maxObjects: 3 } as const;
    const once = await evaluateIteratively(context, labels, { ...options, random: seededRandom(5) });
    const again = await evaluateIteratively(context, labels, { ...options, random: seededRandom(5) });
    assert.deepEqual(
      once.map(({ ious }) => ious),
      again.map(({ ious }) => ious),
    );
    assert.ok(once[1].meanIou > 0.7);
  });

  /** Reference figures of the model itself, image by image: box and single point. */
  for (const [id, box, point] of [
    ['dsb-7f4d7b549d0f', 0.863, 0.839],
    ['dsb-2817299fd3b8', 0.861, 0.845],
  ] as const)
    withData(`${id}: boxes and points reach what the model itself gives (thorough)`, async () => {
      const { pixels, labels } = await readGroundTruth(id);
      const context = contextOf(worker, pixels);
      const options = { random: seededRandom(1), minSize: 20 };
      const fromBoxes = await evaluatePrompts(context, labels, BOX, options);
      const fromPoints = await evaluatePrompts(context, labels, POINT, options);
      assert.ok(fromBoxes.meanIou > box - 0.01, `boxes ${fromBoxes.meanIou}`);
      assert.ok(fromPoints.meanIou > point - 0.01, `points ${fromPoints.meanIou}`);
    });
});
