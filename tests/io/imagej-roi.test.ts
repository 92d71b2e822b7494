import assert from 'node:assert/strict';
import { unzipSync, zipSync } from 'fflate';
import { SamError } from '../../src/errors.js';
import { labelsToRoiZip } from '../../src/io/results/imagej-roi.js';
import { decodeRoi as readRoi, roiZipToLabels } from '../../src/io/results/imagej-roi-reader.js';
import type { YX } from '../../src/ndimage/array.js';
import { rasterizePolygon } from '../../src/ndimage/rasterize.js';
import { paintMask } from '../../src/ndimage/rle.js';
import { randomLabels } from '../support/labels.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** A reader of its own, field by field after ImageJ's RoiDecoder. */
function decodeRoi(bytes: Uint8Array): { name: string; slice: number; properties: string; rings: YX[][] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  assert.equal(String.fromCharCode(...bytes.subarray(0, 4)), 'Iout');
  const [top, left] = [view.getInt16(8), view.getInt16(10)];
  const second = view.getInt32(60);
  const textAt = (at: number, length: number) =>
    Array.from({ length }, (_, i) => String.fromCharCode(view.getUint16(at + 2 * i))).join('');
  const rings: YX[][] = [];
  if (bytes[6] === 8) {
    const n = view.getUint16(16);
    rings.push(
      Array.from({ length: n }, (_, i) => [top + view.getInt16(64 + 2 * (n + i)), left + view.getInt16(64 + 2 * i)]),
    );
  } else {
    assert.equal(bytes[6], 1);
    const count = view.getInt32(36);
    for (let i = 0, ring: YX[] = []; i < count; ) {
      const kind = view.getFloat32(64 + 4 * i);
      if (kind === 4) {
        rings.push(ring);
        ring = [];
        i++;
      } else {
        assert.equal(kind, ring.length === 0 ? 0 : 1);
        ring.push([view.getFloat32(64 + 4 * (i + 2)), view.getFloat32(64 + 4 * (i + 1))]);
        i += 3;
      }
    }
  }
  return {
    name: textAt(view.getInt32(second + 16), view.getInt32(second + 20)),
    slice: view.getInt32(56),
    properties: textAt(view.getInt32(second + 40), view.getInt32(second + 44)),
    rings,
  };
}

describe('ImageJ ROIs', () => {
  it('enclose exactly the pixels of each label, holes and parts included, on the right slice', async () => {
    const random = seededRandom(41);
    for (const shape of [
      [1, 1],
      [33, 27],
      [3, 14, 19],
    ])
      for (let i = 0; i < 10; i++) {
        const labels = randomLabels(random, shape, 8, 70_000);
        const painted = { data: new Uint32Array(labels.data.length), shape };
        for (const [file, bytes] of Object.entries(unzipSync(await labelsToRoiZip(labels)))) {
          const { name, slice, properties, rings } = decodeRoi(bytes);
          assert.equal(file, `${name}.roi`);
          const id = Number(/^label: (\d+)\n$/.exec(properties)?.[1]);
          assert.equal(Number(name.split('-').pop()), id);
          assert.equal(slice > 0, shape.length === 3);
          const [height, width] = shape.slice(-2);
          paintMask(painted, rasterizePolygon(rings, [height, width]), id, { plane: Math.max(0, slice - 1) });
        }
        assert.deepEqual(painted.data, labels.data);
        assert.deepEqual((await roiZipToLabels(await labelsToRoiZip(labels), shape)).data, labels.data);
      }
  });

  it('of other origin are read too: rectangles, ovals, fractions; lines and points have no area', async () => {
    const bounds = (type: number, [top, left, bottom, right]: number[]) => {
      const bytes = new Uint8Array(64);
      const view = new DataView(bytes.buffer);
      bytes.set([0x49, 0x6f, 0x75, 0x74, 0, 228, type]);
      [top, left, bottom, right].forEach((value, i) => {
        view.setInt16(8 + 2 * i, value);
      });
      return bytes;
    };
    const archive = zipSync({
      'a.roi': bounds(1, [0, 0, 2, 3]),
      'b.roi': bounds(2, [4, 4, 8, 8]),
      'c.roi': bounds(3, [0, 5, 5, 5]),
      'readme.txt': new Uint8Array(3),
    });
    const { data } = await roiZipToLabels(archive, [8, 8]);
    const disc = Array.from({ length: 64 }, (_, p) => Math.hypot((p >> 3) + 0.5 - 6, (p % 8) + 0.5 - 6) < 2);
    const expected = disc.map((inside, p) => (inside ? 2 : p >> 3 < 2 && p % 8 < 3 ? 1 : 0));
    assert.deepEqual([...data], expected);
  });

  it('that are cut or damaged give a typed error or other pixels, never anything else', async () => {
    const random = seededRandom(43);
    const [[, whole]] = Object.entries(unzipSync(await labelsToRoiZip(randomLabels(random, [30, 30], 1, 5))));
    const endless = whole.slice();
    const view = new DataView(endless.buffer);
    view.setInt32(view.getInt32(60) + 20, 2 ** 30); // the length of its name
    assert.throws(() => readRoi(endless), { code: 'invalid_image', message: /longer than the file/ });
    for (let length = 0; length < whole.length; length += 5)
      try {
        readRoi(whole.slice(0, length));
      } catch (error) {
        assert.ok(error instanceof SamError && error.code === 'invalid_image', `${error}`);
      }
    for (let i = 0; i < 500; i++) {
      const bytes = whole.slice();
      for (let k = 0; k < 3; k++) bytes[randomInteger(random, 0, bytes.length)] = randomInteger(random, 0, 256);
      try {
        readRoi(bytes);
      } catch (error) {
        assert.ok(error instanceof SamError && error.code === 'invalid_image', `${error}`);
      }
    }
  });
});
