import assert from 'node:assert/strict';
import { maskFromLabels, masksFromLabels, paintMask } from '../../src/ndimage/rle.js';
import { planCommit } from '../../src/session/edits/commit.js';
import { layerOf, paintPlane } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ObjectRecord, SessionSettings, SessionState } from '../../src/session/state.js';
import { randomInteger, seededRandom } from '../support/random.js';

const SIZE = [24, 30] as const;
const PIXELS = SIZE[0] * SIZE[1];
const PLANES = 2;

/** Two planes of labels, painted rectangle over rectangle. */
function randomVolume(random: () => number, objects: number, firstId = 1): Uint32Array[] {
  const planes = Array.from({ length: PLANES }, () => new Uint32Array(PIXELS));
  for (let id = firstId; id < firstId + objects; id++)
    for (const plane of planes) {
      if (random() < 0.2) continue;
      const y0 = randomInteger(random, 0, SIZE[0] - 2);
      const x0 = randomInteger(random, 0, SIZE[1] - 2);
      const y1 = Math.min(SIZE[0], y0 + randomInteger(random, 1, 12));
      const x1 = Math.min(SIZE[1], x0 + randomInteger(random, 1, 12));
      for (let y = y0; y < y1; y++) plane.fill(id, y * SIZE[1] + x0, y * SIZE[1] + x1);
    }
  return planes;
}

function recordsOf(volume: readonly Uint32Array[]): ObjectRecord[] {
  const records = new Map<number, ObjectRecord>();
  volume.forEach((data, plane) => {
    for (const [id, mask] of masksFromLabels({ data, shape: SIZE })) {
      const masks = new Map(records.get(id)?.masks);
      records.set(id, { id, masks: masks.set(plane, mask), prompts: [], origin: 'loaded' });
    }
  });
  return [...records.values()];
}

function stateWith(committed: readonly Uint32Array[], current: readonly Uint32Array[]): SessionState {
  const session = new AnnotationSession();
  session.open({ name: 'test', axes: 'zyx', size: SIZE, planes: PLANES, signature: 's' });
  return {
    ...session.state,
    layers: {
      current_object: layerOf(recordsOf(current)),
      auto_segmentation: layerOf([]),
      committed_objects: layerOf(recordsOf(committed)),
    },
  };
}

/** The rules of committing, one pixel at a time over label arrays. */
function reference(
  committed: readonly Uint32Array[],
  fresh: readonly Uint32Array[],
  mode: SessionSettings['preserveMode'],
  threshold: number,
): Uint32Array[] {
  const offset = Math.max(...committed.flatMap((plane) => [...plane]));
  const discarded = new Set<number>();
  if (mode === 'objects') {
    const ids = new Set(committed.flatMap((plane) => [...plane]));
    ids.delete(0);
    for (const old of ids) {
      let area = 0;
      const hidden = new Map<number, number>();
      for (let z = 0; z < PLANES; z++)
        for (let p = 0; p < PIXELS; p++) {
          if (committed[z][p] !== old) continue;
          area++;
          const id = fresh[z][p];
          if (id) hidden.set(id, (hidden.get(id) ?? 0) + 1);
        }
      const best = [...hidden].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0];
      if (best && best[1] / area >= threshold) discarded.add(best[0]);
    }
  }
  return committed.map((plane, z) =>
    plane.map((old, p) => {
      const id = fresh[z][p];
      if (id === 0 || discarded.has(id) || (mode === 'pixels' && old !== 0)) return old;
      return id + offset;
    }),
  );
}

describe('commit', () => {
  for (const mode of ['objects', 'pixels', 'none'] as const)
    it(`preserve mode ${mode} gives the labels of a pixel by pixel reference`, () => {
      let discards = 0;
      for (let seed = 1; seed <= 60; seed++) {
        const random = seededRandom(seed);
        const committed = randomVolume(random, randomInteger(random, 0, 7));
        const fresh = randomVolume(random, randomInteger(random, 1, 4));
        const threshold = [0, 0.3, 0.75, 1][randomInteger(random, 0, 4)];
        const state = stateWith(committed, fresh);
        if (state.layers.current_object.objects.size === 0) continue;
        const plan = planCommit(state, { preserveMode: mode, preservationThreshold: threshold });
        discards += plan.dropped.length;
        const expected = reference(committed, fresh, mode, threshold);
        expected.forEach((labels, z) => {
          assert.deepEqual(paintPlane(plan.committed, z, SIZE).data, labels, `seed ${seed}, plane ${z}`);
        });
        const losses = new Map(plan.overwritten.map((o) => [o.id, o.pixels]));
        for (const { id } of recordsOf(committed)) {
          const count = (planes: readonly Uint32Array[]) =>
            planes.reduce((sum, plane) => plane.reduce((all, value) => (value === id ? all + 1 : all), sum), 0);
          assert.equal(losses.get(id) ?? 0, count(committed) - count(expected), `seed ${seed}: loss of ${id}`);
        }
        const present = new Set(expected.flatMap((plane) => [...plane]));
        for (const id of plan.added) assert.ok(present.has(id), `seed ${seed}: ${id} was announced`);
      }
      if (mode === 'objects') assert.ok(discards > 8, 'the random cases reach the rule');
    });

  it('ids continue after the highest committed id, with gaps kept', () => {
    const committed = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    committed[0][5] = 7;
    const fresh = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    fresh[0][100] = 2;
    fresh[1][200] = 5;
    assert.deepEqual(planCommit(stateWith(committed, fresh)).added, [9, 12]);
  });

  it('overlapping current objects are committed as they are painted: later ones on top', () => {
    const left = new Uint32Array(PIXELS).fill(1, 0, 10);
    const right = new Uint32Array(PIXELS).fill(1, 5, 20);
    const mask = (data: Uint32Array) => maskFromLabels({ data, shape: SIZE }, 1);
    const record = (id: number, data: Uint32Array): ObjectRecord => ({
      id,
      masks: new Map([[0, mask(data)]]),
      prompts: [],
      origin: 'interactive',
    });
    const empty = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    const state = stateWith(empty, empty);
    const layers = { ...state.layers, current_object: layerOf([record(1, left), record(2, right)]) };
    const { committed } = planCommit({ ...state, layers });
    const expected = { data: new Uint32Array(PIXELS), shape: SIZE };
    paintMask(expected, mask(left), 1);
    paintMask(expected, mask(right), 2);
    assert.deepEqual(paintPlane(committed, 0, SIZE).data, expected.data);
  });

  it('an edited object returns to its id, and its former pixels do not count as an obstacle', () => {
    const committed = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    committed[0].fill(3, 0, 20).fill(9, 60, 70);
    const fresh = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    fresh[0].fill(1, 0, 25);
    const plan = planCommit({ ...stateWith(committed, fresh), editing: 3 });
    assert.deepEqual(plan.added, [3]);
    assert.deepEqual(plan.dropped, []);
    assert.deepEqual([...plan.committed.objects.keys()], [3, 9]);
    assert.equal(plan.committed.objects.get(3)?.masks.get(0)?.area, 25);
  });

  it('an edited object that is left out keeps its committed form', () => {
    const committed = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    committed[0].fill(3, 0, 20).fill(9, 60, 70);
    const fresh = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    fresh[0].fill(1, 55, 75);
    const plan = planCommit({ ...stateWith(committed, fresh), editing: 3 });
    assert.deepEqual(plan.added, []);
    assert.deepEqual(plan.dropped, [{ id: 1, keeps: 9, fraction: 1 }]);
    assert.deepEqual(paintPlane(plan.committed, 0, SIZE).data, committed[0]);
    assert.equal(plan.left.objects.size, 1, 'and the new mask stays the current object');
  });

  it('with nothing to commit it says what to do', () => {
    const empty = [new Uint32Array(PIXELS), new Uint32Array(PIXELS)];
    assert.throws(() => planCommit(stateWith(empty, empty)), /nothing to commit/);
  });
});
