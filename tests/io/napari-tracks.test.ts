import assert from 'node:assert/strict';
import type { Lineages } from '../../src/io/results/ctc.js';
import { exportLabels } from '../../src/io/results/export.js';
import { napariTracks, parseNapariTracks, tracksCsv } from '../../src/io/results/napari-tracks.js';
import { dividingPhantom } from '../support/phantom-stack.js';

describe('napari tracks', () => {
  const { labels, parents } = dividingPhantom({ planes: 6, size: [60, 80] });
  const lineages: Lineages = [{ 1: [4, 5], 4: [], 5: [] }, { 2: [] }, { 3: [] }];

  it('rows are the mean pixel indices of every object in every frame, by track and time', () => {
    const { rows } = napariTracks(labels, lineages);
    const sums = new Map<string, [number, number, number]>();
    labels.data.forEach((id, i) => {
      if (id === 0) return;
      const sum = sums.get(`${id} ${Math.floor(i / 4800)}`) ?? [0, 0, 0];
      sums.set(`${id} ${Math.floor(i / 4800)}`, [sum[0] + 1, sum[1] + (Math.floor(i / 80) % 60), sum[2] + (i % 80)]);
    });
    assert.equal(rows.length, sums.size);
    for (const [id, frame, y, x] of rows) {
      const [count, sumY, sumX] = sums.get(`${id} ${frame}`)!;
      assert.ok(Math.hypot(y - sumY / count, x - sumX / count) < 1e-9);
    }
    const order = rows.map(([id, frame]) => id * 100 + frame);
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });

  it('goes out and comes back', async () => {
    const files = await exportLabels('napari-tracks', { labels, name: 'cells.tif', stack: 't', lineages });
    assert.deepEqual(
      files.map(({ name }) => name),
      ['cells_tracks.csv', 'cells_graph.json'],
    );
    const [csv, graph] = files.map(({ bytes }) => new TextDecoder().decode(bytes));
    const read = parseNapariTracks(csv, graph);
    assert.deepEqual(read, napariTracks(labels, lineages));
    assert.deepEqual(new Map(Object.entries(read.graph).map(([d, [m]]) => [Number(d), m])), parents);
    assert.equal(tracksCsv(read), csv);
  });

  it('says which row or track is wrong', () => {
    assert.throws(() => parseNapariTracks('track_id,t,y,x\r\n1,0,3\r\n'), /Row 1/);
    assert.throws(() => parseNapariTracks('1,0,3,4\n', '{"2": [1]}'), /track 2/);
  });
});
