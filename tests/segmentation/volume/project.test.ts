import assert from 'node:assert/strict';
import type { Mask } from '../../../src/ndimage/mask.js';
import { EMPTY_MASK, maskFromBitmap } from '../../../src/ndimage/rle.js';
import { PROJECT_OPTIONS } from '../../../src/segmentation/volume/options.js';
import { type AnnotatedSlices, projectThroughVolume } from '../../../src/segmentation/volume/project.js';
import type { SegmentedSlice, SliceSegmenter } from '../../../src/segmentation/volume/projection.js';
import { rememberingSegmenter } from '../../../src/segmentation/volume/remember.js';

/** A disk that moves one pixel a slice and lives in slices 3..16 of 20. */
const DEPTH = 20;
function disk(plane: number): Mask {
  const bitmap = new Uint8Array(64 * 64);
  if (plane >= 3 && plane <= 16)
    for (let y = 0; y < 64; y++)
      for (let x = 0; x < 64; x++) if (Math.hypot(y - 32, x - 20 - plane) < 9) bitmap[y * 64 + x] = 1;
  return maskFromBitmap(bitmap, [64, 64]);
}

const smallerDisk = maskFromBitmap(
  Uint8Array.from({ length: 64 * 64 }, (_, p) => Number(Math.hypot(Math.floor(p / 64) - 32, (p % 64) - 33) < 8)),
  [64, 64],
);

const slice = (mask: Mask, predictedIou = 0.9): SegmentedSlice => ({ mask, predictedIou });

/** Finds the disk wherever the previous mask is near it; records what it was asked. */
function segmenter(): { segment: SliceSegmenter; asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    segment: async (plane) => {
      asked.push(plane);
      return slice(disk(plane));
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

  it('goes no farther than the planes that may hold the object', async () => {
    const { segment } = segmenter();
    const { range } = await projectThroughVolume(annotate([9], { within: { lowest: 7 } }), DEPTH, segment);
    assert.deepEqual(range, [7, 16]);
    const upper = await projectThroughVolume(annotate([9], { within: { highest: 9 } }), DEPTH, segment);
    assert.deepEqual(upper.range, [3, 9]);
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

  it("fills every gap once with micro-sam's projections, from both sides with a soft mask, whatever its length", async () => {
    for (const gap of [2, 3, 4, 5, 6])
      for (const [projection, times] of [
        ['mask', 1],
        ['soft_mask', 2],
      ] as const) {
        const { segment, asked } = segmenter();
        await projectThroughVolume(annotate([4, 4 + gap]), DEPTH, segment, { ...PROJECT_OPTIONS, projection });
        const inGap = asked.filter((p) => p > 4 && p < 4 + gap).sort((a, b) => a - b);
        const expected = Array.from({ length: gap - 1 }, (_, i) => Array(times).fill(5 + i)).flat();
        assert.deepEqual(inGap, expected, `gap ${gap}, ${projection}`);
      }
  });

  it('between a large and a small slice, takes the front whose area fits', async () => {
    const square = (side: number) => maskFromBitmap(new Uint8Array(side * side).fill(1), [side, side]);
    const carrying: SliceSegmenter = async (_, from) => slice(from);
    const masks = new Map([
      [4, square(20)],
      [12, square(4)],
    ]);
    const { masks: found } = await projectThroughVolume({ masks, stopLower: true, stopUpper: true }, DEPTH, carrying);
    const sides = Array.from({ length: 9 }, (_, i) => Math.sqrt(found.get(4 + i)?.area ?? 0));
    assert.deepEqual(sides, [20, 20, 20, 20, 20, 20, 20, 20, 4], 'near the small one only it is small');
  });

  it('up to a stop marker asks whether the object is still there', async () => {
    for (const marker of [14, 19]) {
      const { segment } = segmenter();
      const { masks } = annotate([9]);
      const stopped = { masks: new Map([...masks, [marker, EMPTY_MASK]]), stopLower: false, stopUpper: true };
      const { range } = await projectThroughVolume(stopped, DEPTH, segment);
      assert.deepEqual(range, [3, Math.min(marker - 1, 16)]);
    }
  });

  it('judges the end by the best marked slice, not by the outermost', async () => {
    // The model believes less in each slice farther from the middle, which was marked; so was one near the end.
    const fading: SliceSegmenter = async (plane, from) => slice(from, 0.95 - 0.02 * Math.abs(plane - 9));
    const alone = await projectThroughVolume(annotate([9]), DEPTH, fading);
    const both = {
      ...annotate([9]),
      masks: new Map([
        [9, disk(9)],
        [13, smallerDisk],
      ]),
    };
    const corrected = await projectThroughVolume(both, DEPTH, fading);
    assert.deepEqual(corrected.range, alone.range);
  });

  it('ends at a slice that overlaps too little, and does not keep that slice', async () => {
    const jumping: SliceSegmenter = async (plane) => slice(disk(plane === 12 ? 3 : plane));
    const { masks } = await projectThroughVolume(annotate([9]), DEPTH, jumping);
    assert.equal(masks.has(11), true);
    assert.equal(masks.has(12), false);
  });

  it('asks only for slices whose prompts a correction changes, if the segmenter remembers', async () => {
    const { segment, asked } = segmenter();
    const remembering = rememberingSegmenter(segment);
    const first = annotate([5, 12]);
    const before = await projectThroughVolume(first, DEPTH, remembering);
    asked.length = 0;
    assert.deepEqual(await projectThroughVolume(first, DEPTH, remembering), before);
    assert.deepEqual(asked, [], 'nothing has changed');
    const corrected = { ...first, masks: new Map([...first.masks, [8, disk(7)]]) };
    const { masks } = await projectThroughVolume(corrected, DEPTH, remembering);
    // From 5 up and from 12 down as before; what comes from the corrected slice is new.
    assert.deepEqual(
      asked.toSorted((a, b) => a - b),
      [7, 9],
    );
    assert.deepEqual([...masks.keys()], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    asked.length = 0;
    await projectThroughVolume(corrected, DEPTH, remembering, { ...PROJECT_OPTIONS, projection: 'box' });
    assert.ok(asked.length > 10, 'another projection is another question');
  });

  it('follows both directions at once, and waits for both when one fails', async () => {
    const running = new Set<number>();
    let most = 0;
    const slow: SliceSegmenter = async (plane) => {
      running.add(plane);
      most = Math.max(most, running.size);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      running.delete(plane);
      if (plane === 12) throw new Error('no memory');
      return slice(disk(plane));
    };
    await assert.rejects(projectThroughVolume(annotate([9]), DEPTH, slow), /no memory/);
    assert.equal(most, 2);
    assert.equal(running.size, 0, 'nothing runs on');
  });

  it('with a soft mask, ends where the model no longer believes in the object, however well it overlaps', async () => {
    const staying: SliceSegmenter = async (plane, from) => slice(from, plane < 6 || plane > 12 ? 0.78 : 0.9);
    const rangeWith = async (projection: 'soft_mask' | 'mask' | 'box', scoreDrop?: number) =>
      (await projectThroughVolume(annotate([9]), DEPTH, staying, { ...PROJECT_OPTIONS, projection, scoreDrop })).range;
    assert.deepEqual(await rangeWith('soft_mask'), [6, 12]);
    assert.deepEqual(await rangeWith('mask'), [0, DEPTH - 1], 'the rule of micro-sam, overlap alone');
    assert.deepEqual(await rangeWith('mask', 0.1), [6, 12], 'the model says by how much its score falls');
    assert.deepEqual(await rangeWith('mask', 0.2), [0, DEPTH - 1]);
    assert.deepEqual(await rangeWith('soft_mask', 0.2), [0, DEPTH - 1]);
    assert.deepEqual(await rangeWith('box', 0.1), [0, DEPTH - 1], 'without a mask the score says little');
  });

  it('with a soft mask, ends where the object no longer stands out, but not where it is faint for a slice or two', async () => {
    /** Present in 4..14, faint in 7 and 8 and beyond; of two channels the second shows it, as a dark object. */
    const fading: SliceSegmenter = async (plane, from) => {
      const faint = plane < 4 || plane > 14 || plane === 7 || plane === 8;
      return { ...slice(from), contrast: [0.3, faint ? -0.1 : -1.5] };
    };
    const rangeOf = async (segment: SliceSegmenter, projection: 'soft_mask' | 'mask') =>
      (await projectThroughVolume(annotate([9]), DEPTH, segment, { ...PROJECT_OPTIONS, projection })).range;
    assert.deepEqual(await rangeOf(fading, 'soft_mask'), [4, 14]);
    assert.deepEqual(await rangeOf(fading, 'mask'), [0, DEPTH - 1]);
    const neverPlain: SliceSegmenter = async (plane, from) => ({
      ...slice(from),
      contrast: [plane === 9 ? 0.5 : -0.2],
    });
    assert.deepEqual(
      await rangeOf(neverPlain, 'soft_mask'),
      [0, DEPTH - 1],
      'what hardly stands out is not told by it',
    );
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
