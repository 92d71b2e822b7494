import assert from 'node:assert/strict';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { EMPTY_MASK } from '../../src/ndimage/rle.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import { reachOf } from '../../src/session/annotators/object-reach.js';
import type { ObjectRecord } from '../../src/session/state.js';

describe('how far an object goes after a correction', () => {
  const disk = (radius: number) => rasterizeStroke([[30, 30]], radius, [60, 60]);
  const point = (id: string, plane: number, positive = true): Prompt => ({
    kind: 'point',
    id,
    plane,
    at: [30, 30],
    positive,
  });
  const prompts = [point('a', 5), point('b', 8, false)];
  /** In planes 2 to 8, marked in plane 5; the click of plane 8 found a disk of radius 10 there. */
  const object: ObjectRecord = {
    id: 1,
    origin: 'interactive',
    prompts,
    masks: new Map([2, 3, 4, 5, 6, 7, 8].map((plane) => [plane, disk(10)])),
    projected: new Set([2, 3, 4, 6, 7]),
    corrected: new Map([[8, { mask: disk(10), projected: true }]]),
  };
  const marked = (radius: number, others: readonly number[] = [5]) =>
    new Map([...others.map((plane) => [plane, disk(10)] as const), [8, disk(radius)] as const]);

  it('no farther where the outermost marked slice lost something, on that side alone', () => {
    assert.deepEqual(reachOf(object, marked(6), prompts), { highest: 8 });
    assert.deepEqual(reachOf(object, new Map([...marked(6), [9, EMPTY_MASK]]), prompts), { highest: 8 });
  });

  it('as far as it can be followed where the slice grew, was painted or is not the outermost', () => {
    assert.deepEqual(reachOf(object, marked(12), prompts), {});
    assert.deepEqual(reachOf({ ...object, corrected: new Map() }, marked(6), prompts), {});
    assert.deepEqual(reachOf(object, marked(6, [5, 12]), prompts), {});
    const painted = new Map([[8, { mask: disk(10), projected: false }]]);
    assert.deepEqual(reachOf({ ...object, corrected: painted }, marked(6), prompts), {});
  });

  it('as far as it can be followed once a prompt was taken back', () => {
    const before = { ...object, prompts: [...prompts, point('stop', 9, false)] };
    assert.deepEqual(reachOf(before, marked(6), prompts), {});
  });
});
