import assert from 'node:assert/strict';
import { unzipSync } from 'fflate';
import { SamError } from '../../src/errors.js';
import { openImage } from '../../src/io/open.js';
import { exportLabels } from '../../src/io/results/export.js';
import { EXPORT_FORMATS } from '../../src/io/results/export-formats.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { tensor } from '../../src/ndimage/array.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

const pixelSize = { z: 0.5, y: 0.25, x: 0.125, unit: 'µm' };

describe('export', () => {
  const labels = randomLabels(seededRandom(71), [60, 50], 9, 300);

  it('names files after the image and gives every format', async () => {
    const names: string[] = [];
    for (const format of EXPORT_FORMATS.filter((f) => !['zip', 'ctc', 'napari-tracks', 'geff'].includes(f)))
      names.push((await exportLabels(format, { labels, name: 'C:\\data\\my cells.ome.tif' }))[0].name);
    assert.deepEqual(names, [
      'my cells_labels.tif',
      'my cells_labels.ome.tif',
      'my cells_labels.png',
      'my cells.geojson',
      'my cells_coco.json',
      'my cells_rois.zip',
      'my cells_objects.csv',
      'my cells_labels.ome.zarr/0/c/0/0',
      'my cells_labels_v04.ome.zarr/.zattrs',
    ]);
  });

  it('writes images that our own reader opens with values and pixel size', async () => {
    const volume = randomLabels(seededRandom(72), [3, 20, 30], 9, 70_000);
    for (const [format, input] of [
      ['tiff', volume],
      ['ome-tiff', volume],
      ['tiff', labels],
      ['png', labels],
    ] as const) {
      const [{ name, bytes }] = await exportLabels(format, { labels: input, name: 'a.tif', pixelSize });
      const source = await openImage(new File([bytes.slice()], name));
      const planes = input.shape.length === 3 ? 3 : 1;
      assert.equal(source.axes, planes === 3 ? 'zyx' : 'yx', format);
      for (let z = 0; z < planes; z++) {
        const { data } = await source.readRegion({ z, channels: [0] });
        assert.deepEqual(Uint32Array.from(data), input.data.slice(z * data.length, (z + 1) * data.length), format);
      }
      if (format === 'png') continue;
      const found = source.pixelSize!;
      assert.equal(found.unit, 'µm');
      assert.ok(
        Math.abs(found.x - 0.125) < 1e-9 && Math.abs(found.y - 0.25) < 1e-9,
        `${format}: ${found.y} ${found.x}`,
      );
      if (planes === 3) assert.equal(found.z, 0.5);
    }
  });

  it('writes OME-Zarr that our own reader opens, with its pyramid', async () => {
    const volume = randomLabels(seededRandom(73), [2, 300, 310], 9, 70_000);
    for (const format of ['ome-zarr', 'ome-zarr-0.4'] as const) {
      const files = await exportLabels(format, { labels: volume, name: 'a.tif', pixelSize });
      const keys = files.map(({ name, bytes }) => [name.slice(name.indexOf('/') + 1), bytes] as const);
      const source = await openImage(memoryStore('a.zarr', keys));
      assert.deepEqual([source.axes, source.dtype, source.pixelSize], ['zyx', 'uint32', pixelSize]);
      assert.deepEqual(source.levels, [
        [300, 310],
        [150, 155],
      ]);
      const { data } = await source.readRegion({ z: 1, channels: [0] });
      assert.deepEqual(data, volume.data.slice(300 * 310));
    }
  });

  it('zips all formats that can hold the labels', async () => {
    const [{ name, bytes }] = await exportLabels('zip', { labels, name: 'a.png' });
    assert.equal(name, 'a_export.zip');
    const members = Object.keys(unzipSync(bytes));
    for (const member of [
      'a_labels.tif',
      'a_labels.ome.tif',
      'a_labels.png',
      'a.geojson',
      'a_coco.json',
      'a_rois.zip',
      'a_objects.csv',
    ])
      assert.ok(members.includes(member), member);
    assert.ok(members.includes('a_labels.ome.zarr/zarr.json') && members.includes('a_labels_v04.ome.zarr/.zgroup'));
    const many = tensor(Uint32Array.of(0, 70_000), [1, 2]);
    const without = Object.keys(unzipSync((await exportLabels('zip', { labels: many, name: 'a' }))[0].bytes));
    assert.ok(!without.includes('a_labels.png') && without.includes('a_labels.tif'));
    const movie = await exportLabels('zip', { labels: tensor(Uint32Array.of(1, 1), [2, 1, 1]), name: 'm', stack: 't' });
    assert.ok(Object.keys(unzipSync(movie[0].bytes)).includes('m_RES/res_track.txt'));
  });

  it('refuses formats it does not have, labels that are none, and what a format cannot hold', async () => {
    const failing: [() => Promise<unknown>, string][] = [
      [() => exportLabels('bmp' as 'tiff', { labels, name: 'a' }), 'invalid_argument'],
      [() => exportLabels('toString' as 'tiff', { labels, name: 'a' }), 'invalid_argument'],
      [() => exportLabels('tiff', { labels: tensor(new Uint32Array(0), [0, 3]), name: 'a' }), 'invalid_argument'],
      [() => exportLabels('png', { labels: tensor(Uint32Array.of(65_536), [1, 1]), name: 'a' }), 'unsupported'],
      [() => exportLabels('ctc', { labels, name: 'a' }), 'unsupported'],
    ];
    for (const [action, code] of failing)
      await assert.rejects(action, (error) => error instanceof SamError && error.code === code);
  });
});
