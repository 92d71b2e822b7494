import assert from 'node:assert/strict';
import { SamError } from '../../../src/errors.js';
import type { Mask } from '../../../src/ndimage/mask.js';
import { fullMask, translateMask } from '../../../src/ndimage/rle.js';
import {
  daughtersOf,
  deleteTrack,
  freshIds,
  lineagesOf,
  linkDaughter,
  mergeTracks,
  parentsOfLineages,
  setTrack,
  splitTrack,
  swapTracks,
  type TrackGraph,
} from '../../../src/segmentation/tracking/lineage.js';

const EMPTY_GRAPH: TrackGraph = { tracks: new Map(), parents: new Map() };

const mask = (y: number, x: number): Mask => translateMask(fullMask([2, 2]), y, x);
const masks = (first: number, last: number, y = 0): Map<number, Mask> =>
  new Map(Array.from({ length: last - first + 1 }, (_, i) => [first + i, mask(y, first + i)]));

/** Mother 1 (frames 0-4) with daughters 2 and 3 (5-9); 4 stands alone (0-9). */
function family(): TrackGraph {
  let graph = setTrack(EMPTY_GRAPH, 1, masks(0, 4));
  graph = setTrack(setTrack(graph, 2, masks(5, 9, 10)), 3, masks(5, 9, 20));
  graph = setTrack(graph, 4, masks(0, 9, 30));
  return linkDaughter(linkDaughter(graph, 1, 2), 1, 3);
}

const code = (expected: string) => (error: unknown) => error instanceof SamError && error.code === expected;

describe('track graph', () => {
  it('gives fresh ids beyond every id in use', () => {
    assert.deepEqual(freshIds(family(), 2), [5, 6]);
    assert.deepEqual(freshIds(EMPTY_GRAPH, 2), [1, 2]);
  });

  it('becomes lineage dictionaries, and is read from them', () => {
    const graph = family();
    assert.deepEqual(lineagesOf(graph), [{ 1: [2, 3], 2: [], 3: [] }, { 4: [] }]);
    assert.deepEqual(parentsOfLineages(lineagesOf(graph)), graph.parents);
  });

  it('splits a track; its daughters follow the later part', () => {
    const { graph, later } = splitTrack(family(), 1, 3);
    assert.equal(later, 5);
    assert.deepEqual([...(graph.tracks.get(1)?.keys() ?? [])], [0, 1, 2]);
    assert.deepEqual(daughtersOf(graph, 5), [2, 3]);
    assert.throws(() => splitTrack(family(), 1, 0), code('invalid_argument'));
    assert.throws(() => splitTrack(family(), 99, 3), code('not_found'));
  });

  it('joining undoes splitting', () => {
    const before = family();
    const { graph, later } = splitTrack(before, 1, 3);
    assert.deepEqual(mergeTracks(graph, later, 1).graph, before);
    assert.throws(() => mergeTracks(before, 2, 3), code('invalid_argument'));
  });

  it('swapping twice changes nothing, and daughters go with the masks', () => {
    const before = family();
    const swapped = swapTracks(before, 1, 4, 2);
    assert.deepEqual([...(swapped.tracks.get(1)?.keys() ?? [])], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(daughtersOf(swapped, 4), [2, 3]);
    assert.deepEqual(swapTracks(swapped, 1, 4, 2), before);
  });

  it('refuses cycles and daughters that begin before the mother ends', () => {
    assert.throws(() => linkDaughter(family(), 2, 1), code('invalid_argument'));
    assert.throws(() => linkDaughter(family(), 1, 1), code('invalid_argument'));
    assert.throws(() => linkDaughter(family(), 4, 2), code('invalid_argument'));
  });

  it('frees the daughters of a deleted track and never changes the graph it was given', () => {
    const before = family();
    const copy = { tracks: new Map(before.tracks), parents: new Map(before.parents) };
    const after = deleteTrack(before, 1);
    assert.deepEqual([...after.parents], []);
    assert.deepEqual([...after.tracks.keys()], [2, 3, 4]);
    assert.deepEqual(before, copy);
    assert.equal(setTrack(before, 4, new Map()).tracks.has(4), false);
  });
});
