import assert from 'node:assert/strict';
import { type CtcSequence, type CtcTrack, ctcScores } from '../../src/evaluation/ctc.js';
import type { LabelImage } from '../../src/ndimage/array.js';

const SIDE = 20;

/** Frames from a drawing: for each frame a list of [label, y0, x0, y1, x1]. */
function sequence(frames: readonly (readonly (readonly number[])[])[], tracks: readonly CtcTrack[]): CtcSequence {
  return {
    tracks,
    frames: frames.map((boxes): LabelImage => {
      const data = new Uint32Array(SIDE * SIDE);
      for (const [label, y0, x0, y1, x1] of boxes)
        for (let y = y0; y < y1; y++) data.fill(label, y * SIDE + x0, y * SIDE + x1);
      return { data, shape: [SIDE, SIDE] };
    }),
  };
}

const track = (label: number, begin: number, end: number, parent = 0): CtcTrack => ({ label, begin, end, parent });

/** A mother in frames 0 and 1 divides into 2 and 3, which live in frames 2 and 3. */
const reference = sequence(
  [
    [[1, 2, 2, 6, 6]],
    [[1, 2, 2, 6, 6]],
    [
      [2, 2, 2, 4, 6],
      [3, 8, 8, 12, 12],
    ],
    [
      [2, 2, 2, 4, 6],
      [3, 8, 8, 12, 12],
    ],
  ],
  [track(1, 0, 1), track(2, 2, 3, 1), track(3, 2, 3, 1)],
);
const NODES = 6;
const EDGES = 5;
const PERFECT = { ns: 0, fn: 0, fp: 0, ed: 0, ea: 0, ec: 0 };

describe('ctcScores', () => {
  it('is 1 for the reference itself', () => {
    assert.deepEqual(ctcScores(reference, reference), { seg: 1, det: 1, tra: 1, errors: PERFECT });
  });

  it('is 0 for an empty result', () => {
    const empty = sequence([[], [], [], []], []);
    const { seg, det, tra, errors } = ctcScores(reference, empty);
    assert.deepEqual([seg, det, tra], [0, 0, 0]);
    assert.deepEqual(errors, { ...PERFECT, fn: NODES, ea: EDGES });
  });

  it('charges a division that is missed with two edges', () => {
    const apart = { ...reference, tracks: reference.tracks.map((t) => ({ ...t, parent: 0 })) };
    const { det, tra, errors } = ctcScores(reference, apart);
    assert.deepEqual(errors, { ...PERFECT, ea: 2 });
    assert.equal(det, 1);
    assert.ok(Math.abs(tra - (1 - 3 / (10 * NODES + 1.5 * EDGES))) < 1e-12);
  });

  it('charges a mother that goes on as one daughter with one edge of the wrong kind', () => {
    const frames = reference.frames.map(({ data, shape }) => ({ data: data.map((v) => (v === 2 ? 1 : v)), shape }));
    const going = { frames, tracks: [track(1, 0, 3), track(3, 2, 3, 1)] };
    // The edge 1 → 3 now starts in the mother's last frame, 3, and goes back in time: it is redundant, and missing at 1.
    const { errors } = ctcScores(reference, { ...going, tracks: [track(1, 0, 3), track(3, 2, 3)] });
    assert.deepEqual(errors, { ...PERFECT, ec: 1, ea: 1 });
  });

  it('counts two objects found as one as a split and loses their edges', () => {
    const merged = sequence(
      [[[1, 2, 2, 6, 6]], [[1, 2, 2, 6, 6]], [[2, 0, 0, 14, 14]], [[2, 0, 0, 14, 14]]],
      [track(1, 0, 1), track(2, 2, 3, 1)],
    );
    const { errors, seg } = ctcScores(reference, merged);
    assert.deepEqual(errors, { ...PERFECT, ns: 2, ea: 4 });
    assert.ok(Math.abs(seg - (2 + 2 * (8 / 196) + 2 * (16 / 196)) / 6) < 1e-12);
  });

  it('needs more than half of a reference object for a match, and counts what matches nothing', () => {
    const half = sequence(
      [[[1, 2, 2, 4, 6]], [[1, 2, 2, 6, 6]], [[2, 2, 2, 4, 6]], [[2, 2, 2, 4, 6]]],
      [track(1, 0, 1), track(2, 2, 3, 1)],
    );
    const { errors } = ctcScores(reference, half);
    assert.equal(errors.fn, 3);
    assert.equal(errors.fp, 1);
  });

  it('refuses sequences of different length', () => {
    assert.throws(() => ctcScores(reference, sequence([[]], [])), {
      code: 'invalid_argument',
      message: /frames, the result 1;/,
    });
  });
});
