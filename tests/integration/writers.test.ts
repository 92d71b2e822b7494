import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { exportLabels } from '../../src/io/results/export.js';
import type { ExportFormat } from '../../src/io/results/export-formats.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { addLabelsToImage } from '../../src/io/zarr/ome-zarr-writer.js';
import { type LabelImage, tensor } from '../../src/ndimage/array.js';
import { maxLabel } from '../../src/ndimage/label.js';
import { randomLabels } from '../support/labels.js';
import { FORMAT_PACKAGES, hasPython, pythonVenv, runPython, withPython } from '../support/python.js';
import { seededRandom } from '../support/random.js';

describe('exports, read by the Python libraries', function () {
  this.timeout(900_000);
  let python: string;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'exports-'));
    if (hasPython) python = await pythonVenv(FORMAT_PACKAGES);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const FORMATS: readonly ExportFormat[] = [
    'tiff',
    'ome-tiff',
    'png',
    'geojson',
    'coco',
    'imagej-roi',
    'csv',
    'ome-zarr',
    'ome-zarr-0.4',
  ];

  /** Writes every format of the labels into a folder and says what is where. */
  async function exported(name: string, labels: LabelImage, stack: 'z' | 't' = 'z', image?: Float32Array) {
    const pixelSize = { z: 0.75, y: 0.25, x: image ? 0.25 : 0.125, unit: 'µm' };
    const formats = FORMATS.filter(
      (format) => format !== 'png' || (labels.shape.length === 2 && maxLabel(labels) <= 0xffff),
    );
    const files: Record<string, string> = {};
    for (const format of stack === 't' ? [...formats, 'ctc' as const] : formats) {
      const measured = image && { channels: ['signal'], plane: async () => tensor(image, labels.shape) };
      // Only CTC asks whether planes are times; the other checks of this test read them as depths.
      const input = {
        labels,
        name: `${name}.tif`,
        pixelSize,
        image: measured,
        stack: format === 'ctc' ? stack : ('z' as const),
      };
      const written = await exportLabels(format, input);
      for (const { name: file, bytes } of written) {
        const target = path.join(folder, name, file);
        mkdirSync(path.dirname(target), { recursive: true });
        writeFileSync(target, bytes);
      }
      const isFolder = format.startsWith('ome-zarr') || format === 'ctc';
      files[format] = path.join(name, isFolder ? written[0].name.split('/')[0] : written[0].name);
    }
    writeFileSync(path.join(folder, `${name}.bin`), labels.data);
    if (image) writeFileSync(path.join(folder, `${name}-image.bin`), image);
    return {
      shape: labels.shape,
      labels: `${name}.bin`,
      pixelSize: [pixelSize.z, pixelSize.y, pixelSize.x],
      files,
      ...(image && { image: `${name}-image.bin` }),
    };
  }

  withPython('every value, shape, type and pixel size arrives', async () => {
    const random = seededRandom(81);
    const small = randomLabels(random, [70, 90], 12, 500);
    const image = Float32Array.from({ length: 70 * 90 }, () => random() * 1000);
    const manifest = [
      await exported('small', small, 'z', image),
      await exported('many', randomLabels(random, [300, 280], 30, 2_000_000)),
      await exported('volume', randomLabels(random, [5, 40, 30], 12, 90_000)),
      await exported('movie', randomLabels(random, [6, 40, 30], 12, 60_000), 't'),
      await exported('pixel', tensor(Uint32Array.of(1), [1, 1])),
    ];
    writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
    const { checks, differences } = JSON.parse(runPython(python, 'read_exports.py', folder));
    assert.deepEqual(differences, []);
    assert.ok(checks > 200, `${checks} checks`);
    console.log(`      ${checks} checks by Python libraries`);
  });

  for (const version of ['0.4', '0.5'])
    withPython(`labels added to an OME-Zarr ${version} image of ome-zarr-py are found there`, async () => {
      const place = path.join(folder, `image-${version}.zarr`);
      runPython(python, 'write_images.py', 'write', place, version);
      const labels = randomLabels(seededRandom(5), [64, 96], 10, 70_000);
      await addLabelsToImage(folderStore(place), labels, { name: 'cells' });
      assert.equal(runPython(python, 'write_images.py', 'read', place, version), labels.data.join(','));
    });
});
