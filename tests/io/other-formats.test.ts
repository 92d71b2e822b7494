import assert from 'node:assert/strict';
import { gzipSync } from 'fflate';
import { exportLabels } from '../../src/io/results/export.js';
import { readLabelImage } from '../../src/io/results/label-image.js';
import { measuredImage } from '../../src/io/results/measured-image.js';
import '../../src/io/node-file.js';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { encodeJpeg } from '../support/jpeg-encoder.js';
import { encodeWebp, webpPixels } from '../support/webp-encoder.js';

describe('WebP', () => {
  it('lossless with alpha is exact, lossy and opaque is three channels and near', async () => {
    const exact = await openImage(memoryBytes(await encodeWebp(true), 'a.webp'));
    assert.deepEqual(exact.sizes, { t: 1, c: 4, z: 1, y: 30, x: 40 });
    assert.deepEqual((await exact.readRegion({})).data, webpPixels(true));
    const lossy = await openImage(memoryBytes(await encodeWebp(false), 'b.webp'));
    assert.equal(lossy.rgb, true);
    assert.deepEqual(lossy.sizes, { t: 1, c: 3, z: 1, y: 30, x: 40 });
    const expected = webpPixels(false);
    const { data } = await lossy.readRegion({});
    for (let pixel = 0; pixel < 1200; pixel++)
      for (let c = 0; c < 3; c++) assert.ok(Math.abs(data[pixel * 3 + c] - expected[pixel * 4 + c]) <= 16);
  });
});

describe('JPEG', () => {
  it('colour and size come back, values as near as the quality allows', async () => {
    const pixels = Uint8Array.from({ length: 33 * 47 * 3 }, (_, i) => 40 + (i % 3) * 60 + (Math.floor(i / 3) % 47));
    const image = await openImage(memoryBytes(encodeJpeg(pixels, 33, 47, 3, 98), 'a.jpg'));
    assert.deepEqual(image.sizes, { t: 1, c: 3, z: 1, y: 33, x: 47 });
    const { data } = await image.readRegion({});
    assert.ok(data.every((value, i) => Math.abs(value - pixels[i]) <= 8));
  });
});

describe('animated WebP', () => {
  /** One still picture as the first frame, at (x, y) of a canvas. */
  function animation(still: Uint8Array, canvas: [width: number, height: number], [x, y]: [number, number]): Uint8Array {
    const uint24 = (value: number) => [value & 255, (value >> 8) & 255, value >> 16];
    const chunk = (name: string, content: readonly number[]) => {
      const size = content.length;
      const even = size % 2 ? [0] : [];
      return [...[...name].map((letter) => letter.charCodeAt(0)), ...uint24(size), 0, ...content, ...even];
    };
    const simple = still[12 + 3] === 0x58 ? still.subarray(30) : still.subarray(12);
    const frame = [...uint24(x / 2), ...uint24(y / 2), ...uint24(39), ...uint24(29), ...uint24(100), 0, ...simple];
    const body = [
      ...[...'WEBP'].map((letter) => letter.charCodeAt(0)),
      ...chunk('VP8X', [2 | 16, 0, 0, 0, ...uint24(canvas[0] - 1), ...uint24(canvas[1] - 1)]),
      ...chunk('ANIM', [0, 0, 0, 0, 0, 0]),
      ...chunk('ANMF', frame),
    ];
    return Uint8Array.from([0x52, 0x49, 0x46, 0x46, ...uint24(body.length), 0, ...body]);
  }

  it('is its first frame, at its place on the canvas', async () => {
    const pixels = webpPixels(true);
    const still = await encodeWebp(true);
    const whole = await openImage(memoryBytes(animation(still, [40, 30], [0, 0]), 'a.webp'));
    assert.deepEqual((await whole.readRegion({})).data, pixels);
    const placed = await openImage(memoryBytes(animation(still, [60, 50], [10, 4]), 'a.webp'));
    assert.deepEqual([placed.sizes.y, placed.sizes.x], [50, 60]);
    const { data } = await placed.readRegion({ box: [4, 10, 34, 50] });
    assert.deepEqual(data, pixels);
    assert.ok((await placed.readRegion({ box: [0, 0, 4, 60] })).data.every((value) => value === 0));
    const none = animation(still, [40, 30], [0, 0]).subarray(0, 50);
    await assert.rejects(openImage(memoryBytes(none, 'a.webp')), { code: 'invalid_image' });
  });
});

describe('NIfTI', () => {
  /** A NIfTI-1 header and values counting up. */
  function nifti(littleEndian: boolean): Uint8Array {
    const [nx, ny, nz, nt] = [5, 6, 7, 2];
    const bytes = new Uint8Array(352 + nx * ny * nz * nt * 2);
    const view = new DataView(bytes.buffer);
    view.setInt32(0, 348, littleEndian);
    for (const [i, length] of [4, nx, ny, nz, nt, 1, 1, 1].entries()) view.setInt16(40 + 2 * i, length, littleEndian);
    view.setInt16(70, 4, littleEndian);
    for (const [i, size] of [1, 0.5, 0.25, 2].entries()) view.setFloat32(76 + 4 * i, size, littleEndian);
    view.setFloat32(108, 352, littleEndian);
    bytes[123] = 2;
    bytes.set([0x6e, 0x2b, 0x31, 0], 344);
    for (let i = 0; i < nx * ny * nz * nt; i++) view.setInt16(352 + 2 * i, i - 100, littleEndian);
    return bytes;
  }

  for (const littleEndian of [true, false])
    it(`x is fastest, then y, z, t; ${littleEndian ? 'little' : 'big'}-endian, plain and gzipped`, async () => {
      const plain = nifti(littleEndian);
      for (const bytes of [plain, gzipSync(plain)]) {
        const image = await openImage(memoryBytes(bytes, 'a.nii'));
        assert.deepEqual(image.sizes, { t: 2, c: 1, z: 7, y: 6, x: 5 });
        assert.deepEqual(image.pixelSize, { z: 2, y: 0.25, x: 0.5, unit: 'mm' });
        const { data } = await image.readRegion({ t: 1, z: 3, box: [2, 1, 4, 3] });
        const at = (y: number, x: number) => x + 5 * (y + 6 * (3 + 7 * 1)) - 100;
        assert.deepEqual(Array.from(data), [at(2, 1), at(2, 2), at(3, 1), at(3, 2)]);
      }
    });

  const scaled = (slope: number, intercept: number) => {
    const bytes = nifti(true);
    const view = new DataView(bytes.buffer);
    view.setFloat32(112, slope, true);
    view.setFloat32(116, intercept, true);
    return openImage(memoryBytes(bytes, 'a.nii'));
  };

  it('slope and intercept are told, values stay as stored, measurements are scaled', async () => {
    const image = await scaled(2, -1024);
    assert.deepEqual(image.valueScale, { slope: 2, intercept: -1024 });
    assert.equal((await image.readRegion({ box: [0, 0, 1, 1] })).data[0], -100);
    const labels = { data: new Uint32Array(14 * 30), shape: [14, 6, 5] };
    labels.data.set([1, 1], 30);
    const [{ bytes }] = await exportLabels('csv', {
      labels,
      name: 'a',
      stack: 'z',
      objects: [],
      image: measuredImage(image),
    });
    const [heads, row] = new TextDecoder()
      .decode(bytes)
      .trim()
      .split('\r\n')
      .map((line) => line.split(','));
    const column = (name: string) => Number(row[heads.indexOf(name)]);
    assert.equal(column('min_intensity_Channel 1'), -70 * 2 - 1024);
    assert.equal(column('mean_intensity_Channel 1'), -69.5 * 2 - 1024);
    assert.equal(column('max_intensity_Channel 1'), -69 * 2 - 1024);
  });

  it('a slope that is none is none', async () => {
    for (const [slope, intercept] of [
      [0, 5],
      [Number.NaN, 1],
      [1, 0],
      [2, Number.NaN],
    ])
      assert.equal((await scaled(slope, intercept)).valueScale, undefined);
  });

  it('labels that were saved scaled are the numbers they stand for', async () => {
    const labels = await readLabelImage(await scaled(2, 200));
    assert.deepEqual(Array.from(labels.data.subarray(0, 4)), [0, 2, 4, 6]);
  });
});
