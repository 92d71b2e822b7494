import assert from 'node:assert/strict';
import * as zarr from 'zarrita';
import { SamError } from '../../src/errors.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { addLabelsToImage, writeOmeZarrLabels } from '../../src/io/zarr/ome-zarr-writer.js';
import { writeGroup } from '../../src/io/zarr/writer.js';
import { zarritaStore } from '../../src/io/zarr/zarrita-store.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

interface Multiscale {
  readonly axes: { name: string; type: string; unit?: string }[];
  readonly datasets: { path: string; coordinateTransformations: { type: string; scale: number[] }[] }[];
}

function groupAt(store: Store, path: string) {
  return zarr.open(zarr.root(zarritaStore(store)).resolve(path), { kind: 'group' });
}

async function levelsOf(store: Store, path: string, version: '0.4' | '0.5') {
  const { attrs } = await groupAt(store, path);
  const body = (version === '0.5' ? attrs.ome : attrs) as { multiscales: Multiscale[] };
  const [multiscale] = body.multiscales;
  const levels = await Promise.all(
    multiscale.datasets.map(async (dataset) => {
      const location = zarr.root(zarritaStore(store)).resolve(`${path}/${dataset.path}`);
      const array = await (version === '0.5' ? zarr.open.v3 : zarr.open.v2)(location, { kind: 'array' });
      return zarr.get(array as zarr.Array<'uint32', zarr.Readable>);
    }),
  );
  return { attrs, multiscale, levels };
}

describe('OME-Zarr labels', () => {
  for (const version of ['0.4', '0.5'] as const) {
    it(`${version}: full resolution is exact, coarser levels are every second pixel`, async () => {
      const random = seededRandom(61);
      for (const [shape, highest] of [
        [[1, 1], 1],
        [[40, 30], 65_535],
        [[1050, 300], 80_000],
        [[3, 300, 260], 2 ** 32 - 1],
      ] as const) {
        const labels = randomLabels(random, shape, 4, highest);
        labels.data[0] = highest;
        const store = memoryStore();
        await writeOmeZarrLabels(store, '', labels, { version });
        const { levels } = await levelsOf(store, '', version);
        assert.deepEqual(levels[0].shape, shape);
        assert.equal(levels[0].data.constructor, highest > 65_535 ? Uint32Array : Uint16Array);
        assert.deepEqual(Uint32Array.from(levels[0].data), labels.data);
        const [height, width] = shape.slice(-2);
        levels.forEach((level, i) => {
          const [h, w] = level.shape.slice(-2);
          assert.deepEqual([h, w], [Math.ceil(height / 2 ** i), Math.ceil(width / 2 ** i)]);
          level.data.forEach((value, p) => {
            const [z, y, x] = [Math.floor(p / (h * w)), Math.floor(p / w) % h, p % w];
            const expected = labels.data[(z * height + y * 2 ** i) * width + x * 2 ** i];
            if (value !== expected) assert.equal(value, expected, `level ${i}, ${z} ${y} ${x}`);
          });
        });
        assert.ok(Math.max(...levels.at(-1)!.shape.slice(-2)) <= 256);
      }
    });

    it(`${version}: says axes, unit and the pixel size of every level`, async () => {
      const store = memoryStore();
      const labels = randomLabels(seededRandom(1), [2, 300, 100], 3, 9);
      await writeOmeZarrLabels(store, '', labels, { version, pixelSize: { z: 2, y: 0.5, x: 0.25, unit: 'µm' } });
      const { multiscale } = await levelsOf(store, '', version);
      assert.deepEqual(
        multiscale.axes,
        ['z', 'y', 'x'].map((name) => ({ name, type: 'space', unit: 'micrometer' })),
      );
      assert.deepEqual(
        multiscale.datasets.map((d) => d.coordinateTransformations),
        [[{ type: 'scale', scale: [2, 0.5, 0.25] }], [{ type: 'scale', scale: [2, 1, 0.5] }]],
      );
    });

    it(`${version}: labels join those an image already has, and replace their namesakes`, async () => {
      const store = memoryStore();
      const multiscales = [{ version: '0.4', axes: [], datasets: [] }];
      await writeGroup(
        store,
        '',
        version === '0.5' ? 3 : 2,
        version === '0.5' ? { ome: { version, multiscales } } : { multiscales },
      );
      const big = randomLabels(seededRandom(2), [900, 20], 4, 9);
      const small = randomLabels(seededRandom(3), [20, 20], 4, 9);
      await addLabelsToImage(store, big, { name: 'cells' });
      await addLabelsToImage(store, small, { name: 'nuclei' });
      await addLabelsToImage(store, small, { name: 'cells' });
      const { attrs } = await groupAt(store, 'labels');
      assert.deepEqual((version === '0.5' ? (attrs.ome as typeof attrs) : attrs).labels, ['cells', 'nuclei']);
      const { levels, attrs: own } = await levelsOf(store, '/labels/cells', version);
      assert.equal(levels.length, 1);
      assert.deepEqual(Uint32Array.from(levels[0].data), small.data);
      const label = ((version === '0.5' ? own.ome : own) as Record<string, { source?: object }>)['image-label'];
      assert.deepEqual(label.source, { image: '../../' });
      assert.deepEqual((await listKeys(store, 'labels/cells/1')).length, 0, 'nothing of the replaced pyramid is left');
    });
  }

  it('are not added to what is no OME-Zarr image', async () => {
    const labels = randomLabels(seededRandom(3), [4, 4], 1, 9);
    await assert.rejects(addLabelsToImage(memoryStore(), labels, { name: 'a' }), (error) => error instanceof SamError);
    const store = memoryStore('m', [['zarr.json', new TextEncoder().encode('{"attributes": {"ome": {"multi')]]);
    await assert.rejects(addLabelsToImage(store, labels, { name: 'a' }), (error) => error instanceof SamError);
    await assert.rejects(addLabelsToImage(store, labels, { name: '../a' }), (error) => error instanceof SamError);
  });
});
