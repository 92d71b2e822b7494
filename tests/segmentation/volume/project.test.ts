import assert from 'node:assert/strict';
import type { Mask } from '../../../src/ndimage/mask.js';
import { maskFromBitmap } from '../../../src/ndimage/rle.js';
import {
  type AnnotatedSlices,
  PROJECT_OPTIONS,
  ProjectionCache,
  projectThroughVolume,
  type SliceSegmenter,
} from '../../../src/segmentation/volume/project.js';

/** A disk that moves one pixel a slice and lives in slices 3..16 of 20. */
const DEPTH = 20;
function disk(plane: number): Mask {
  const bitmap = new Uint8Array(64 * 64);
  if (plane >= 3 && plane <= 16)
    for (let y = 0; y < 64; y++)
      for (let x = 0; x < 64; x++) if (Math.hypot(y - 32, x - 20 - plane) < 9) bitmap[y * 64 + x] = 1;
  return maskFromBitmap(bitmap, [64, 64]);
}

/** Finds the disk wherever the previous mask is near it; records what it was asked. */
function segmenter(): { segment: SliceSegmenter; asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    segment: async (plane) => {
      asked.push(plane);
      return disk(plane);
    },
  };
}

const annotate = (planes: number[], stops: Partial<AnnotatedSlices> = {}): AnnotatedSlices => ({
  masks: new Map(planes.map((p) => [p, disk(p)])),
  stopLower: false,
  stopUpper: false,
  ...stops,
});

describe('projectThroughVolume', () => {
  it('follows an object both ways until it is lost', async () => {
    const { segment } = segmenter();
    const { masks, range } = await projectThroughVolume(annotate([9]), DEPTH, segment);
    assert.deepEqual(range, [3, 16]);
    assert.deepEqual([...masks.keys()], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  });

  it('stops where it is told to', async () => {
    const { segment } = segmenter();
    const { range } = await projectThroughVolume(
      annotate([6, 9], { stopLower: true, stopUpper: true }),
      DEPTH,
      segment,
    );
    assert.deepEqual(range, [6, 9]);
  });

  it('fills every gap once, whatever its length, from the side that has no stop', async () => {
    for (const gap of [2, 3, 4, 5, 6]) {
      for (const stops of [{}, { stopLower: true }, { stopUpper: true }]) {
        const { segment, asked } = segmenter();
        await projectThroughVolume(annotate([4, 4 + gap], stops), DEPTH, segment);
        const inGap = asked.filter((p) => p > 4 && p < 4 + gap).sort((a, b) => a - b);
        assert.deepEqual(
          inGap,
          Array.from({ length: gap - 1 }, (_, i) => 5 + i),
          `gap ${gap} ${JSON.stringify(stops)}`,
        );
      }
    }
  });

  it('ends at a slice that overlaps too little, and does not keep that slice', async () => {
    const jumping: SliceSegmenter = async (plane) => (plane === 12 ? disk(3) : disk(plane));
    const { masks } = await projectThroughVolume(annotate([9]), DEPTH, jumping);
    assert.equal(masks.has(11), true);
    assert.equal(masks.has(12), false);
  });

  it('recomputes only the stretches that a correction touches', async () => {
    const cache = new ProjectionCache();
    const { segment, asked } = segmenter();
    const first = annotate([5, 12]);
    await projectThroughVolume(first, DEPTH, segment, PROJECT_OPTIONS, { cache });
    asked.length = 0;
    const corrected = { ...first, masks: new Map([...first.masks, [8, disk(8)]]) };
    const { masks } = await projectThroughVolume(corrected, DEPTH, segment, PROJECT_OPTIONS, { cache });
    assert.deepEqual(
      asked.sort((a, b) => a - b),
      [6, 7, 9, 10, 11],
    );
    assert.deepEqual([...masks.keys()], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  });

  it('can be cancelled between slices', async () => {
    const controller = new AbortController();
    const { segment, asked } = segmenter();
    const cancelling: SliceSegmenter = (plane, from, options, task) => {
      if (asked.length === 3) controller.abort();
      return segment(plane, from, options, task);
    };
    await assert.rejects(
      projectThroughVolume(annotate([9]), DEPTH, cancelling, PROJECT_OPTIONS, { signal: controller.signal }),
    );
    assert.equal(asked.length, 4);
  });
});
