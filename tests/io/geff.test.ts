import assert from 'node:assert/strict';
import * as zarr from 'zarrita';
import type { Lineages } from '../../src/io/results/ctc.js';
import { exportLabels } from '../../src/io/results/export.js';
import { napariTracks } from '../../src/io/results/napari-tracks.js';
import { dividingPhantom } from '../support/phantom-stack.js';

/** Read with zarrita here; tests/integration reads it with the library of the format's authors. */
describe('GEFF', () => {
  const { labels } = dividingPhantom({ planes: 4, size: [60, 80] });
  const lineages: Lineages = [{ 1: [4, 5], 4: [], 5: [] }, { 2: [] }, { 3: [] }];

  it('is a zarr group of nodes and edges', async () => {
    const files = await exportLabels('geff', { labels, name: 'cells.tif', stack: 't', lineages });
    const store = new Map(
      files.map(
        ({ name, bytes }) => [name.replace(/^cells_tracks\.geff/, ''), bytes] as [zarr.AbsolutePath, Uint8Array],
      ),
    );
    const root = await zarr.open.v3(store, { kind: 'group' });
    const { geff } = root.attrs as { geff: { directed: boolean; node_props_metadata: object } };
    assert.equal(geff.directed, true);
    const read = async (path: string) =>
      Array.from((await zarr.get(await zarr.open.v3(root.resolve(path), { kind: 'array' }))).data as Uint32Array);
    const tracks = await read('nodes/props/track_id/values');
    const times = await read('nodes/props/t/values');
    assert.deepEqual(Object.keys(geff.node_props_metadata).sort(), ['t', 'track_id', 'x', 'y']);
    const { rows } = napariTracks(labels, lineages);
    assert.deepEqual(
      tracks.map((track, i) => `${track}@${times[i]}`).sort(),
      rows.map(([track, t]) => `${track}@${t}`).sort(),
    );
    const edges = await read('edges/ids');
    const divisions = new Set<string>();
    for (let i = 0; i < edges.length; i += 2) {
      const [from, to] = [edges[i], edges[i + 1]];
      assert.equal(times[to], times[from] + 1);
      if (tracks[from] !== tracks[to]) divisions.add(`${tracks[from]} ${tracks[to]}`);
    }
    assert.deepEqual([...divisions].sort(), ['1 4', '1 5']);
    assert.equal(edges.length / 2, rows.length - 3, 'every node but the first of a family has one before it');
  });

  it('tells the class of every node, and what tracks are called', async () => {
    const objects = [
      { id: 2, objectClass: 4, className: 'stem', name: 'left', comment: 'leaves', flagged: true },
      { id: 3, objectClass: 5 },
    ];
    const files = await exportLabels('geff', { labels, name: 'cells.tif', stack: 't', lineages, objects });
    const store = new Map(
      files.map(({ name, bytes }) => [name.replace('cells_tracks.geff', ''), bytes] as [zarr.AbsolutePath, Uint8Array]),
    );
    const root = await zarr.open.v3(store, { kind: 'group' });
    const { geff } = root.attrs as { geff: { extra: unknown; node_props_metadata: Record<string, unknown> } };
    assert.deepEqual(geff.extra, {
      tracks: { 2: { name: 'left', comment: 'leaves', flagged: true } },
      classes: { 4: 'stem' },
    });
    assert.deepEqual(geff.node_props_metadata.class, { identifier: 'class', dtype: 'uint8', varlength: false });
    const read = async (path: string) =>
      Array.from((await zarr.get(await zarr.open.v3(root.resolve(path), { kind: 'array' }))).data as Uint32Array);
    const tracks = await read('nodes/props/track_id/values');
    const expected = tracks.map((track) => ({ 2: 4, 3: 5 })[track] ?? 0);
    assert.deepEqual(await read('nodes/props/class/values'), expected);
  });

  it('is for time series only', async () => {
    await assert.rejects(exportLabels('geff', { labels, name: 'stack.tif', stack: 'z' }), { code: 'unsupported' });
  });
});
