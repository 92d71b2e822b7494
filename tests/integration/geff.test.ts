import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeGeff } from '../../src/io/results/geff.js';
import { napariTracks } from '../../src/io/results/napari-tracks.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { dividingPhantom } from '../support/phantom-stack.js';
import { pythonVenv, runPython, withPython } from '../support/python.js';

interface ReadGraph {
  readonly nodes: Readonly<Record<string, { t: number; y: number; x: number; track_id: number }>>;
  readonly edges: readonly (readonly [number, number])[];
  readonly axes: readonly string[];
  readonly tracklet: string;
}

describe('GEFF in the library that defines it', function () {
  this.timeout(600_000);

  withPython('is read with every object, step and division', async () => {
    const python = await pythonVenv(['geff==1.3.1.1.3']);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'geff-'));
    try {
      const { labels, parents } = dividingPhantom({ planes: 5, size: [96, 128] });
      const lineages = [...new Set(parents.values())].map((mother) => ({
        [mother]: [...parents].filter(([, of]) => of === mother).map(([daughter]) => daughter),
      }));
      const file = path.join(folder, 'tracks.geff');
      await writeGeff(folderStore(file), labels, { lineages, pixelSize: { y: 0.5, x: 0.5, unit: 'µm' } });
      const read: ReadGraph = JSON.parse(runPython(python, 'read_geff.py', file));
      assert.deepEqual(read.axes, ['t', 'y', 'x']);
      assert.equal(read.tracklet, 'track_id');

      const { rows, graph } = napariTracks(labels, lineages);
      const found = Object.values(read.nodes).map(({ track_id, t, y, x }) => [track_id, t, y, x]);
      const byTrack = (a: readonly number[], b: readonly number[]) => a[0] - b[0] || a[1] - b[1];
      assert.deepEqual(found.sort(byTrack), rows);

      const name = (id: number) => `${read.nodes[id].track_id}@${read.nodes[id].t}`;
      const steps = rows.flatMap(([track, t], i) => {
        const [next, later] = rows[i + 1] ?? [];
        return next === track ? [`${track}@${t} ${track}@${later}`] : [];
      });
      for (const [daughter, [mother]] of Object.entries(graph)) {
        const last = rows.filter(([track]) => track === mother).at(-1)![1];
        const first = rows.find(([track]) => track === Number(daughter))![1];
        steps.push(`${mother}@${last} ${daughter}@${first}`);
      }
      assert.ok(Object.keys(graph).length > 0, 'there is a division');
      assert.deepEqual(read.edges.map(([a, b]) => `${name(a)} ${name(b)}`).sort(), steps.sort());
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
