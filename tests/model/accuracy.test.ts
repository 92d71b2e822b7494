import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { decode } from 'fast-png';
import { groupPrompts, type ObjectPrompt, postprocessMask, toImage } from '../../src/model/transforms.js';
import { type Size, tensor } from '../../src/ndimage/array.js';
import { innermostPixel } from '../../src/ndimage/distance.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { masksFromLabels, maskToBitmap } from '../../src/ndimage/rle.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { dataItems, dataPath, withData } from '../support/data.js';
import { nodeWorker } from '../support/node-engine.js';

/**
 * Mean IoU per image with prompts from ground truth, against what the same weights gave when they were measured without
 * any of this code (untouched decoder, full-size upsampling): the whole way from pixels to mask.
 */
const BASELINE = [
  { id: 'dsb-7f4d7b549d0f', box: 0.863, point: 0.839, form: '' },
  { id: 'dsb-0532c64c2fd0', box: 0.892, point: 0.866, form: ' (thorough)' },
];

describe('masks from ground-truth prompts', () => {
  let worker: SamWorker;
  before(async () => {
    worker = await nodeWorker();
  });

  for (const { id, box, point, form } of BASELINE)
    withData(`are as good as the model on ${id}: boxes ${box}, points ${point}${form}`, async () => {
      const item = dataItems().find((candidate) => candidate.id === id);
      assert.ok(item?.labels, `${id} is not in the data folder`);
      const image = decode(readFileSync(dataPath(item.file)));
      const labels = decode(readFileSync(dataPath(item.labels)));
      const size: Size = [image.height, image.width];
      const objects = [...masksFromLabels(tensor(Uint32Array.from(labels.data), size)).values()].filter(
        ({ area }) => area >= 20,
      );
      const embedding = await worker.encode(
        'vit_t',
        toImage(tensor(Uint8Array.from(image.data), [...size, image.channels])),
      );
      const meanIou = async (promptOf: (object: Mask) => ObjectPrompt, tokens: readonly number[]) => {
        let sum = 0;
        for (const { prompts, indices } of groupPrompts(objects.map(promptOf), embedding)) {
          const { logits, iou } = await worker.decode('vit_t', embedding, prompts);
          indices.forEach((object, b) => {
            const best = tokens.reduce((a, t) => (iou[b * 4 + t] > iou[b * 4 + a] ? t : a));
            const mask = logits.subarray((b * 4 + best) * 65536, (b * 4 + best + 1) * 65536);
            sum += iouOf(postprocessMask(mask, embedding.inputSize, size), objects[object], size);
          });
        }
        return sum / objects.length;
      };
      const boxes = await meanIou((object) => ({ box: object.box }), [0]);
      const points = await meanIou(
        (object) => {
          const [y, x] = innermostPixel(object);
          return { points: [{ at: [y + 0.5, x + 0.5], positive: true }] };
        },
        [1, 2, 3],
      );
      assert.ok(Math.abs(boxes - box) <= 0.01, `boxes: ${boxes.toFixed(4)}`);
      assert.ok(Math.abs(points - point) <= 0.01, `points: ${points.toFixed(4)}`);
    });
});

function iouOf(a: Mask, b: Mask, size: Size): number {
  const [p, q] = [maskToBitmap(a, size), maskToBitmap(b, size)];
  let both = 0;
  for (let i = 0; i < p.length; i++) both += p[i] & q[i];
  return both / (a.area + b.area - both);
}
