import assert from 'node:assert/strict';
import {
  fullMask,
  maskContains,
  maskFromBitmap,
  maskFromLabels,
  maskSpans,
  masksFromLabels,
  maskToBitmap,
  paintMask,
  translateMask,
} from '../../src/ndimage/rle.js';
import { randomBitmap, randomDisks } from '../support/blobs.js';
import { seededRandom } from '../support/random.js';

describe('ndimage/rle', () => {
  it('runs start with background, alternate and fill a tight box', () => {
    // prettier-ignore
    const mask = maskFromBitmap([0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0], [3, 4]);
    assert.deepEqual(mask.box, [1, 0, 3, 3]);
    assert.deepEqual([...mask.runs], [1, 5]);
    assert.equal(mask.area, 5);
    assert.deepEqual([...maskSpans(mask)], [1, 1, 3, 2, 0, 3]);
  });

  it('an empty bitmap is the empty mask', () => {
    assert.deepEqual(maskFromBitmap(new Uint8Array(12), [3, 4]), {
      box: [0, 0, 0, 0],
      runs: new Uint32Array(0),
      area: 0,
    });
    assert.equal(maskToBitmap(maskFromBitmap(new Uint8Array(12), [3, 4]), [3, 4]).join(''), '000000000000');
  });

  it('gives back random bitmaps, agrees with them pixel by pixel, and its runs fill the box', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      const height = 1 + Math.floor(random() * 12);
      const width = 1 + Math.floor(random() * 12);
      const bitmap = randomBitmap(random, height, width, random());
      const mask = maskFromBitmap(bitmap, [height, width]);
      assert.deepEqual(maskToBitmap(mask, [height, width]), bitmap, `seed ${seed}`);
      assert.equal(
        mask.area,
        bitmap.reduce((a, b) => a + b, 0),
      );
      const [top, left, bottom, right] = mask.box;
      assert.equal(
        mask.runs.reduce((a, b) => a + b, 0),
        (bottom - top) * (right - left),
      );
      for (let i = 1; i < mask.runs.length; i++)
        assert.ok(mask.runs[i] > 0, `seed ${seed}: only the first run may be 0`);
      for (let y = -1; y <= height; y++)
        for (let x = -1; x <= width; x++)
          assert.equal(
            maskContains(mask, y, x),
            y >= 0 && x >= 0 && y < height && x < width && bitmap[y * width + x] === 1,
            `seed ${seed} at ${y}, ${x}`,
          );
    }
  });

  it('an offset moves the mask, and a frame cuts it', () => {
    const mask = maskFromBitmap([1, 1, 1, 1], [2, 2], [-1, 3]);
    assert.deepEqual(mask.box, [-1, 3, 1, 5]);
    assert.deepEqual([...maskToBitmap(mask, [2, 4])], [0, 0, 0, 1, 0, 0, 0, 0]);
    assert.deepEqual(translateMask(mask, 1, -3), maskFromBitmap([1, 1, 1, 1], [2, 2]));
  });

  it('painting and reading labels are inverse, in planes of a volume too', () => {
    const random = seededRandom(5);
    const labels = randomDisks(random, [60, 47], 30, [2, 12]);
    const masks = masksFromLabels(labels);
    assert.deepEqual(
      [...masks.keys()],
      [...new Set(labels.data)].filter((id) => id > 0).sort((a, b) => a - b),
    );
    const volume = { data: new Uint32Array(3 * 60 * 47), shape: [3, 60, 47] };
    for (const [id, mask] of masks) {
      assert.deepEqual(mask, maskFromLabels(labels, id));
      paintMask(volume, mask, id, { plane: 1 });
    }
    assert.deepEqual(volume.data.slice(60 * 47, 2 * 60 * 47), labels.data);
    assert.deepEqual(masksFromLabels(volume, 1), masks);
    assert.equal(masksFromLabels(volume, 0).size, 0);
    assert.equal(maskFromLabels(volume, 3, 2).area, 0);
  });

  it('painting is cut at the image and can leave what is there', () => {
    const labels = { data: Uint32Array.of(0, 7, 0, 0), shape: [2, 2] };
    paintMask(labels, translateMask(fullMask([2, 2]), -1, 0), 3, { onlyBackground: true });
    assert.deepEqual([...labels.data], [3, 7, 0, 0]);
    paintMask(labels, translateMask(fullMask([2, 2]), 0, 1), 4);
    assert.deepEqual([...labels.data], [3, 4, 0, 4]);
  });
});
