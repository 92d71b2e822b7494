import assert from 'node:assert/strict';
import { unzipSync } from 'fflate';
import { labelsToRoiZip } from '../../src/io/results/imagej-roi.js';
import type { YX } from '../../src/ndimage/array.js';
import { rasterizePolygon } from '../../src/ndimage/rasterize.js';
import { paintMask } from '../../src/ndimage/rle.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

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
      }
  });
});
