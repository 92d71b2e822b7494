import assert from 'node:assert/strict';
import { gzipSync } from 'fflate';
import '../../src/io/node-file.js';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { hdf5Sample } from '../support/hdf5-sample.js';
import { encodeJpeg } from '../support/jpeg-encoder.js';
import { encodeWebp, webpPixels } from '../support/webp-encoder.js';

describe('HDF5', () => {
  const file = memoryBytes(hdf5Sample(), 'sample.h5');

  it('datasets by key, chunked and compressed or not', async () => {
    const raw = await openImage(file, { key: 'raw' });
    assert.equal(raw.dtype, 'uint16');
    assert.deepEqual(raw.sizes, { t: 1, c: 1, z: 2, y: 6, x: 8 });
    const { data } = await raw.readRegion({ z: 1, box: [2, 3, 4, 5] });
    assert.deepEqual(Array.from(data), [(48 + 19) * 3, (48 + 20) * 3, (48 + 27) * 3, (48 + 28) * 3]);
    const mask = await openImage(file, { key: '/exported/mask' });
    assert.deepEqual(Array.from((await mask.readRegion({ box: [5, 5, 6, 8] })).data), [45 % 3, 46 % 3, 47 % 3]);
    const big = await openImage(file, { key: 'big' });
    assert.equal(big.dtype, 'float64');
    assert.deepEqual(Array.from((await big.readRegion({})).data), [-2, -1, 0, 1, 2, 3]);
  });

  it('without a key, or with a wrong one, the error lists what there is', async () => {
    await assert.rejects(openImage(file), { code: 'invalid_argument', message: /raw, exported\/mask, big/ });
    await assert.rejects(openImage(file, { key: 'labels' }), { code: 'not_found', message: /raw/ });
  });
});

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
});
