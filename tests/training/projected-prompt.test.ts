import assert from 'node:assert/strict';
import type { OrtRuntime } from '../../src/model/runtime.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { intersectionArea, maskIou } from '../../src/ndimage/mask-sets.js';
import { maskFromBitmap, masksFromLabels } from '../../src/ndimage/rle.js';
import type { TrainableDecoder } from '../../src/training/prompts/mask-decoder.js';
import { leftBehind, neighbourOf, projectedPrompt } from '../../src/training/prompts/projected-prompt.js';
import { IterativePrompting } from '../../src/training/prompts/prompt-objective.js';
import { Random } from '../../src/training/random.js';

const SIDE = 256;

/** Ellipses, one of them at the border of the picture. */
function ellipses(): LabelImage {
  const data = new Uint32Array(SIDE * SIDE);
  const shapes = [
    [40, 50, 12, 20],
    [120, 200, 30, 9],
    [250, 30, 14, 25],
    [180, 120, 2, 2],
  ];
  for (const [i, [cy, cx, ry, rx]] of shapes.entries())
    for (let p = 0; p < data.length; p++)
      if (Math.hypot((Math.floor(p / SIDE) - cy) / ry, ((p % SIDE) - cx) / rx) <= 1) data[p] = i + 1;
  return { data, shape: [SIDE, SIDE] };
}

describe('prompts as projection makes them', () => {
  const labels = ellipses();
  const objects = [...masksFromLabels(labels).values()];

  it('take the object for one that was nearly where it is, larger or smaller, and never for nothing', () => {
    const random = new Random(1);
    for (const object of objects) {
      const masks = Array.from({ length: 80 }, () => neighbourOf(object, random));
      const ious = masks.map((mask) => maskIou(object, mask));
      assert.ok(
        masks.every(({ area, box: [top, left, bottom, right] }) => {
          return area > 0 && top >= 0 && left >= 0 && bottom <= SIDE && right <= SIDE;
        }),
      );
      const mean = ious.reduce((sum, iou) => sum + iou) / ious.length;
      assert.ok(mean > 0.55 && mean < 0.85, `mean IoU with the object is ${mean}`);
      const larger = masks.filter(({ area }) => area > object.area).length;
      assert.ok(larger > 12 && larger < 68, `${larger} of 80 are larger`);
    }
  });

  it('leave the mask of an object that has ended where no object is', () => {
    const random = new Random(2);
    for (const object of objects) {
      const left = leftBehind(object, labels, random);
      assert.ok(left, 'there is room enough');
      assert.equal(left.area, object.area);
      for (const other of objects) assert.equal(intersectionArea(left, other), 0);
    }
    const full: LabelImage = { data: new Uint32Array(SIDE * SIDE).fill(1), shape: [SIDE, SIDE] };
    assert.equal(leftBehind(objects[0], full, random), undefined);
  });

  it('are the mask and a box around it', () => {
    for (const object of objects) {
      const { box = [0, 0, 0, 0], maskLogits } = projectedPrompt(object);
      assert.equal(new Set(maskLogits).size, 2);
      assert.ok(box[0] <= object.box[0] && box[3] >= object.box[3]);
    }
  });

  it('begin as many pictures as they are asked to, now and then where the object has ended', () => {
    const random = new Random(3);
    const draw = (projected: number) => {
      const prompting = new IterativePrompting({} as OrtRuntime, { parameters: [] } as unknown as TrainableDecoder, {
        objects: 8,
        projected,
      });
      return Array.from({ length: 60 }, () => prompting.choose(labels, random) ?? []);
    };
    const started = draw(0.3).filter((starts) => starts.some(({ prompt }) => prompt.maskLogits));
    assert.ok(started.length > 9 && started.length < 27, `${started.length} of 60 pictures`);
    for (const starts of started) assert.ok(starts.every(({ prompt }) => prompt.maskLogits && prompt.box));
    const ended = started.flat().filter(({ afterEnd }) => afterEnd);
    assert.ok(ended.length > 0.05 * started.flat().length && ended.length < 0.3 * started.flat().length);
    for (const { object, prompt, afterEnd } of ended) {
      assert.equal(intersectionArea(object, maskOf(prompt.maskLogits)), 0);
      assert.ok(intersectionArea(object, maskOf(afterEnd?.maskLogits)) > 0);
    }
    assert.ok(draw(0).every((starts) => starts.length === 8 && starts.every(({ prompt }) => !prompt.maskLogits)));
  });
});

function maskOf(logits: Float32Array = new Float32Array()): Mask {
  const bitmap = new Uint8Array(SIDE * SIDE);
  for (let p = 0; p < bitmap.length; p++) bitmap[p] = Number(logits[p] > 0);
  return maskFromBitmap(bitmap, [SIDE, SIDE]);
}
