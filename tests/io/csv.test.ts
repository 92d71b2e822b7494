import assert from 'node:assert/strict';
import { labelsToCsv } from '../../src/io/results/csv.js';
import { tensor } from '../../src/ndimage/array.js';

function parse(csv: string): Record<string, number>[] {
  const [head, ...lines] = csv
    .trimEnd()
    .split('\r\n')
    .map((line) => line.split(','));
  return lines.map((line) =>
    Object.fromEntries(line.map((value, i) => [head[i], value === '' ? Number.NaN : Number(value)])),
  );
}

/** A filled 4 x 6 rectangle with its corner at (2, 3), in a 10 x 12 image. */
function rectangle() {
  const labels = tensor(new Uint32Array(120), [10, 12]);
  for (let y = 2; y < 6; y++) labels.data.fill(9, y * 12 + 3, y * 12 + 9);
  return labels;
}

describe('CSV of region properties', () => {
  it('measures a rectangle as geometry does, in micrometres', async () => {
    const [row] = parse(await labelsToCsv(rectangle(), { pixelSize: { y: 0.5, x: 0.5, unit: 'micrometer' } }));
    const expected = {
      label: 9,
      area_um2: 6,
      area_px: 24,
      centroid_y_px: 3.5,
      centroid_x_px: 5.5,
      centroid_y_um: 1.75,
      centroid_x_um: 2.75,
      bbox_min_y_px: 2,
      bbox_min_x_px: 3,
      bbox_max_y_px: 6,
      bbox_max_x_px: 9,
      equivalent_diameter_um: Math.sqrt(24 / Math.PI),
      solidity: 1,
    };
    for (const [key, value] of Object.entries(expected))
      assert.ok(Math.abs(row[key] - value) < 1e-12, `${key}: ${row[key]}`);
    assert.ok(row.eccentricity > 0.7 && row.eccentricity < 0.8);
  });

  it('says pixels where no size is known, and gives intensities per channel by name', async () => {
    const image = tensor(
      Float32Array.from({ length: 240 }, (_, i) => (i % 2 ? 100 : i)),
      [10, 12, 2],
    );
    const csv = await labelsToCsv(rectangle(), { image: { channels: ['DAPI', 'a,"b"'], plane: async () => image } });
    assert.match(csv.split('\r\n')[0], /^label,area_px2,centroid_y_px,.*mean_intensity_DAPI.*"mean_intensity_a,""b"""/);
    const [row] = parse(csv.replaceAll('a,""b""', 'second').replaceAll('"', ''));
    const inside = [2, 3, 4, 5].flatMap((y) => [3, 4, 5, 6, 7, 8].map((x) => (y * 12 + x) * 2));
    const mean = inside.reduce((a, b) => a + b) / 24;
    assert.ok(Math.abs(row.mean_intensity_DAPI - mean) < 1e-9);
    assert.ok(
      Math.abs(row.std_intensity_DAPI - Math.sqrt(inside.reduce((s, v) => s + (v - mean) ** 2, 0) / 24)) < 1e-9,
    );
    assert.deepEqual([row.min_intensity_DAPI, row.max_intensity_DAPI], [inside[0], inside.at(-1)]);
    assert.deepEqual([row.mean_intensity_second, row.std_intensity_second], [100, 0]);
  });

  it('has one row per object of a volume, pooled over its planes', async () => {
    const labels = tensor(new Uint32Array(3 * 4 * 5), [3, 4, 5]);
    const values = labels.data.map((_, i) => (i * 7) % 31);
    const inside: number[] = [];
    for (const [z, y, x] of [
      [0, 1, 1],
      [1, 1, 1],
      [1, 1, 2],
      [1, 2, 2],
      [2, 3, 4],
    ]) {
      labels.data[(z * 4 + y) * 5 + x] = 70_001;
      inside.push(values[(z * 4 + y) * 5 + x]);
    }
    const image = { channels: ['c'], plane: async (z: number) => tensor(values.slice(z * 20, z * 20 + 20), [4, 5]) };
    const [row, ...others] = parse(await labelsToCsv(labels, { pixelSize: { z: 2, y: 1, x: 1, unit: 'µm' }, image }));
    assert.equal(others.length, 0);
    assert.deepEqual(
      [row.label, row.volume_um3, row.volume_px, row.centroid_z_px, row.centroid_z_um],
      [70_001, 10, 5, 1, 2],
    );
    assert.ok(row.surface_area_um2 > 0);
    // Where the distance of the planes is unknown, so is every volume.
    const [unknown] = parse(await labelsToCsv(labels, { pixelSize: { y: 1, x: 1, unit: 'µm' }, image }));
    assert.deepEqual([unknown.volume_px3, unknown.volume_um3, unknown.centroid_z_um], [5, undefined, undefined]);
    const mean = inside.reduce((a, b) => a + b) / 5;
    const std = Math.sqrt(inside.reduce((s, v) => s + (v - mean) ** 2, 0) / 5);
    assert.ok(Math.abs(row.mean_intensity_c - mean) < 1e-9 && Math.abs(row.std_intensity_c - std) < 1e-9);
    assert.deepEqual([row.min_intensity_c, row.max_intensity_c], [Math.min(...inside), Math.max(...inside)]);
  });

  it('has one row per object and frame of a time series, and only a head without objects', async () => {
    const labels = tensor(Uint32Array.of(1, 0, 1, 2), [2, 1, 2]);
    const rows = parse(await labelsToCsv(labels, { stack: 't', objects: [{ id: 2, predictedIou: 0.25 }] }));
    assert.deepEqual(
      rows.map(({ label, frame }) => [label, frame]),
      [
        [1, 0],
        [1, 1],
        [2, 1],
      ],
    );
    assert.equal(rows[2].predicted_iou, 0.25);
    assert.ok(Number.isNaN(rows[0].predicted_iou));
    assert.equal(await labelsToCsv(tensor(new Uint32Array(4), [2, 2])), 'label\r\n');
  });
});
