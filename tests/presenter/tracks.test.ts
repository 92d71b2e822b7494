import assert from 'node:assert/strict';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import { lineageTree } from '../../src/presenter/panel/lineage-tree.js';
import { panelTracks } from '../../src/presenter/panel/panel-tracks.js';
import { visibleTails } from '../../src/presenter/track-tails.js';
import { loadTracks } from '../../src/session/edits/tracking.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { Lineage, ObjectRecord } from '../../src/session/state.js';

/** A square of 3 x 3 pixels whose centre moves two pixels to the right in each frame. */
function track(id: number, first: number, last: number, y: number): ObjectRecord {
  const masks = new Map<number, Mask>();
  for (let t = first; t <= last; t++) masks.set(t, maskFromBitmap(new Uint8Array(9).fill(1), [3, 3], [y, 2 * t]));
  return { id, masks, prompts: [], origin: 'loaded' };
}

function sessionWith(tracks: readonly ObjectRecord[], lineages: readonly Lineage[]): AnnotationSession {
  const session = new AnnotationSession();
  session.open({ name: 'series', axes: 'tyx', size: [64, 64], planes: 20, signature: 'x' });
  session.apply(loadTracks(tracks, lineages));
  return session;
}

const FAMILY = [track(1, 0, 5, 10), track(2, 6, 12, 4), track(3, 6, 9, 20), track(4, 0, 19, 40)];

describe('lineage tree', () => {
  it('puts a mother in the middle of her daughters, each track in rows of its own', () => {
    const tree = lineageTree(sessionWith(FAMILY, [{ 1: [2, 3] }, { 4: [] }]).state);
    const row = new Map(tree?.tracks.map((bar) => [bar.id, bar.row]));
    assert.equal(tree?.rows, 3);
    assert.equal(row.get(1), ((row.get(2) ?? 0) + (row.get(3) ?? 0)) / 2);
    const leaves = [2, 3, 4].map((id) => row.get(id) ?? 0).sort((a, b) => a - b);
    assert.deepEqual(leaves, [0.5, 1.5, 2.5]);
    assert.deepEqual(
      tree?.tracks.find(({ id }) => id === 3),
      { id: 3, layer: 'committed_objects', begin: 6, end: 9, empty: false, row: row.get(3), gaps: [], mother: 1 },
    );
  });

  it('tells of frames that a track lacks', () => {
    const [one] = FAMILY;
    const masks = new Map([...one.masks].filter(([t]) => t !== 2 && t !== 3));
    const tree = lineageTree(sessionWith([{ ...one, masks }], []).state);
    assert.deepEqual(tree?.tracks[0].gaps, [2, 3]);
  });

  it('is there for time series only', () => {
    const session = new AnnotationSession();
    session.open({ name: 'volume', axes: 'zyx', size: [64, 64], planes: 20, signature: 'x' });
    assert.equal(lineageTree(session.state), undefined);
    assert.equal(panelTracks(session.state), undefined);
    session.run('set_settings', { annotator: 'tracking' });
    assert.notEqual(lineageTree(session.state), undefined);
  });

  it('keeps a line without divisions in one row', () => {
    const tracks = Array.from({ length: 20 }, (_, t) => track(t + 1, t, t, 10));
    const families = [Object.fromEntries(tracks.slice(1).map(({ id }) => [id - 1, [id]]))];
    const tree = lineageTree(sessionWith(tracks, families).state);
    assert.equal(tree?.rows, 1);
    assert.deepEqual(
      tree?.tracks.map(({ id }) => id).sort((a, b) => a - b),
      tracks.map(({ id }) => id),
    );
  });
});

describe('tails of tracks', () => {
  const session = sessionWith(FAMILY, [{ 1: [2, 3] }]);

  it('lead to where the object is now, from where its mother was', async () => {
    await session.run('set_plane', { plane: 7 });
    const tails = new Map(visibleTails(session.state).map((tail) => [tail.id, tail.path]));
    assert.deepEqual([...tails.keys()], ['committed-2', 'committed-3', 'committed-4']);
    const path = tails.get('committed-2') ?? [];
    assert.equal(path.length, 8, 'six frames of the mother, two of its own');
    assert.deepEqual(path[0], [11.5, 1.5]);
    assert.deepEqual(path[7], [5.5, 15.5]);
  });

  it('end with the track', async () => {
    await session.run('set_plane', { plane: 12 });
    assert.deepEqual(
      visibleTails(session.state).map(({ id }) => id),
      ['committed-2', 'committed-4'],
    );
  });
});
