import assert from 'node:assert/strict';
import type { Mask } from '../../../src/ndimage/mask.js';
import { maskIou } from '../../../src/ndimage/mask-sets.js';
import { maskFromBitmap } from '../../../src/ndimage/rle.js';
import { TRACK_OPTIONS } from '../../../src/segmentation/tracking/options.js';
import { type AnnotatedFrames, trackAcrossFrames } from '../../../src/segmentation/tracking/track.js';
import type { SegmentedSlice, SliceSegmenter } from '../../../src/segmentation/volume/projection.js';

const SIZE = [80, 160] as const;
const FRAMES = 12;

function disk(y: number, x: number, r = 8): Mask {
  const bitmap = new Uint8Array(SIZE[0] * SIZE[1]);
  for (let i = 0; i < SIZE[0]; i++)
    for (let j = 0; j < SIZE[1]; j++) if (Math.hypot(i + 0.5 - y, j + 0.5 - x) < r) bitmap[i * SIZE[1] + j] = 1;
  return maskFromBitmap(bitmap, SIZE);
}

/** A cell that gets faster, up to 14 px a frame: nearly its diameter, so that only a motion model keeps up. */
const STEPS = [3, 6, 9, 12, 14, 14, 14, 14, 14, 14, 14, 14];
const CENTERS = STEPS.map((_, i) => STEPS.slice(0, i).reduce((sum, step) => sum + step, 16));
const cellAt = (frame: number) => disk(40, CENTERS[frame]);

/** Finds the cell if what it is given overlaps it enough, else nothing. */
const seeing: SliceSegmenter = async (frame, from) => {
  const cell = cellAt(frame);
  return slice(maskIou(from, cell) > 0.2 ? cell : disk(40, 5, 1));
};

const annotate = (frames: number[], more: Partial<AnnotatedFrames> = {}): AnnotatedFrames => ({
  masks: new Map(frames.map((f) => [f, cellAt(f)])),
  divisions: new Set(),
  stopLower: false,
  stopUpper: false,
  ...more,
});

const slice = (mask: Mask, predictedIou = 0.9): SegmentedSlice => ({ mask, predictedIou });

describe('trackAcrossFrames', () => {
  it('keeps up with a fast cell because it expects it to go on moving', async () => {
    const options = { ...TRACK_OPTIONS, iouThreshold: 0.1 };
    const moving = await trackAcrossFrames(annotate([0]), FRAMES, SIZE, seeing, options);
    assert.deepEqual(moving.range, [0, FRAMES - 1]);
    const inert = { ...options, motionSmoothing: 1 }; // never learns that the cell got faster
    const lost = await trackAcrossFrames(annotate([0]), FRAMES, SIZE, seeing, inert);
    assert.equal(lost.end.reason, 'lost');
  });

  it('goes backwards too', async () => {
    const options = { ...TRACK_OPTIONS, iouThreshold: 0.1, direction: 'both' as const };
    const track = await trackAcrossFrames(annotate([2]), FRAMES, SIZE, async (f) => slice(cellAt(f)), options);
    assert.deepEqual(
      [...track.masks.keys()],
      Array.from({ length: FRAMES }, (_, i) => i),
    );
  });

  it('ends before a division, whose frame belongs to the daughters', async () => {
    const frames = annotate([0], { divisions: new Set([2]) });
    const track = await trackAcrossFrames(frames, FRAMES, SIZE, async (f) => slice(cellAt(f)));
    assert.deepEqual(track.range, [0, 1]);
    assert.deepEqual(track.end, { reason: 'division', frame: 2 });
  });

  it('takes annotated frames as they are and applies no threshold before the last of them', async () => {
    const blind: SliceSegmenter = async () => slice(disk(10, 10, 3));
    const track = await trackAcrossFrames(annotate([0, 4], { stopUpper: true }), FRAMES, SIZE, blind);
    assert.deepEqual([...track.masks.keys()], [0, 1, 2, 3, 4]);
    assert.equal(track.masks.get(4)?.area, cellAt(4).area);
  });

  it('says where the object was lost and does not keep that frame', async () => {
    const vanishing: SliceSegmenter = async (f) => slice(f < 3 ? cellAt(f) : disk(70, 150, 4));
    const track = await trackAcrossFrames(annotate([0]), FRAMES, SIZE, vanishing);
    assert.deepEqual(track.end, { reason: 'lost', frame: 3 });
    assert.deepEqual(track.range, [0, 2]);
  });

  it('is lost where it comes to lie on the object of another track, but not on an older version of itself', async () => {
    const others = [new Map([[6, cellAt(6)]])];
    const straight: SliceSegmenter = async (frame) => slice(cellAt(frame));
    const options = { ...TRACK_OPTIONS, iouThreshold: 0.1 };
    const stopped = await trackAcrossFrames(annotate([0], { others }), FRAMES, SIZE, straight, options);
    assert.deepEqual(stopped.end, { reason: 'lost', frame: 6 });
    const older = [new Map(CENTERS.map((_, frame) => [frame, cellAt(frame)]))];
    const again = await trackAcrossFrames(annotate([0], { others: older }), FRAMES, SIZE, straight, options);
    assert.equal(again.end.reason, 'end');
    const marked = await trackAcrossFrames(annotate([0, 7], { others }), FRAMES, SIZE, straight, options);
    assert.deepEqual(marked.range, [0, FRAMES - 1], 'what a person has marked further on is followed all the same');
  });

  it('followed by masks, an object that the model no longer believes in is lost, however well it overlaps', async () => {
    const staying: SliceSegmenter = async (f, from) => slice(from, f < 5 ? 0.9 : 0.75);
    const follow = (projection: 'soft_mask' | 'mask' | 'box', scoreDrop?: number) =>
      trackAcrossFrames(annotate([0]), FRAMES, SIZE, staying, { ...TRACK_OPTIONS, projection, scoreDrop });
    assert.deepEqual((await follow('soft_mask')).end, { reason: 'lost', frame: 5 });
    assert.deepEqual((await follow('mask')).end, { reason: 'lost', frame: 5 });
    assert.equal((await follow('mask', 0.2)).end.reason, 'end', 'the model says by how much its score falls');
    assert.equal((await follow('box')).end.reason, 'end', 'the rule of micro-sam, overlap alone');
  });
});
