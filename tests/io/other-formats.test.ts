import assert from 'node:assert/strict';
import { gzipSync } from 'fflate';
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
