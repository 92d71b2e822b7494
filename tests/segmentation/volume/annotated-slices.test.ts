import assert from 'node:assert/strict';
import { SamError } from '../../../src/errors.js';
import { fullMask } from '../../../src/ndimage/rle.js';
import type { Prompt } from '../../../src/segmentation/prompts.js';
import { annotatedPlanes, type PlaneSegmenter } from '../../../src/segmentation/volume/annotated-slices.js';
import { PROJECT_OPTIONS } from '../../../src/segmentation/volume/options.js';
import { projectThroughVolume } from '../../../src/segmentation/volume/project.js';

let count = 0;
const point = (plane: number, positive = true): Prompt => ({
  kind: 'point',
  id: `p${count++}`,
  plane,
  at: [5, 5],
  positive,
});
const box = (plane: number): Prompt => ({ kind: 'box', id: `p${count++}`, plane, box: [1, 1, 9, 9] });
const found = fullMask([8, 8]);
const segment: PlaneSegmenter = async () => found;

describe('annotatedPlanes', () => {
  it('turns negative points beyond the object into stops and leaves those in between to projection', async () => {
    const planes = await annotatedPlanes(
      [point(2, false), point(5), point(7, false), point(9), point(12, false)],
      segment,
    );
    assert.deepEqual([planes.stopLower, planes.stopUpper], [true, true]);
    assert.deepEqual(
      [...planes.masks].map(([plane, mask]) => [plane, mask.area]),
      [
        [2, 0],
        [5, 64],
        [9, 64],
        [12, 0],
      ],
    );
  });

  it('the tightest stop on each side holds, in whatever order they were set; a second negative point changes nothing', async () => {
    const prompts = [point(6), point(12, false), point(9, false), point(1, false), point(4, false), point(4, false)];
    for (const order of [prompts, prompts.toReversed()]) {
      const { masks, stopLower, stopUpper } = await annotatedPlanes(order, segment);
      assert.deepEqual(
        [...masks.keys()].toSorted((a, b) => a - b),
        [4, 6, 9],
      );
      assert.deepEqual([masks.get(4)?.area, masks.get(9)?.area, stopLower, stopUpper], [0, 0, true, true]);
    }
  });

  it('stops projection before the marked slices', async () => {
    const planes = await annotatedPlanes([point(2, false), point(5), point(8, false)], segment);
    const { masks, range } = await projectThroughVolume(
      planes,
      20,
      async () => ({ mask: found, predictedIou: 1 }),
      PROJECT_OPTIONS,
    );
    assert.deepEqual(range, [3, 7]);
    assert.deepEqual([...masks.keys()], [3, 4, 5, 6, 7]);
  });

  it('uses what is known instead of segmenting again', async () => {
    const asked: number[] = [];
    const known = new Map([[3, fullMask([2, 2])]]);
    const planes = await annotatedPlanes(
      [point(3), point(4)],
      async (plane) => {
        asked.push(plane);
        return found;
      },
      known,
    );
    assert.deepEqual(asked, [4]);
    assert.equal(planes.masks.get(3)?.area, 4);
  });

  it('says why a slice was left out', async () => {
    const planes = await annotatedPlanes([point(1), box(2), box(2)], segment);
    assert.deepEqual([...planes.masks.keys()], [1]);
    assert.match(planes.notices[0], /Plane 3 has 2 boxes/);
  });

  it('needs one plane that says where the object is', async () => {
    const noPrompts = (error: unknown) => error instanceof SamError && error.code === 'no_prompts';
    await assert.rejects(annotatedPlanes([], segment), noPrompts);
    await assert.rejects(annotatedPlanes([point(1, false)], segment), noPrompts);
  });
});
