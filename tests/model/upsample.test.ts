import assert from 'node:assert/strict';
import { MaskUpsampler } from '../../src/model/upsample.js';
import type { Size } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { decodeBand, encodeBand } from '../../src/segmentation/amg/band-logits.js';
import { seededRandom } from '../support/random.js';

/** Smooth random logits with a few blobs, and a guarantee that some are positive. */
function randomLogits(seed: number): Float32Array {
  const random = seededRandom(seed);
  const logits = new Float32Array(256 * 256).fill(-6);
  const blobs = Array.from({ length: 3 }, () => ({ y: random() * 256, x: random() * 256, r: 2 + random() * 60 }));
  for (let y = 0; y < 256; y++)
    for (let x = 0; x < 256; x++)
      for (const b of blobs) {
        const v = (b.r - Math.sqrt((y - b.y) ** 2 + (x - b.x) ** 2)) * 0.7 + (random() - 0.5);
        logits[y * 256 + x] = Math.max(logits[y * 256 + x], Math.max(-6, Math.min(6, v)));
      }
  return logits;
}

/** One bilinear resize, half-pixel centres, as torch does it with align_corners=False. */
function resize(data: Float64Array, [h, w]: Size, [H, W]: Size): Float64Array {
  const out = new Float64Array(H * W);
  for (let y = 0; y < H; y++) {
    const v = Math.max(0, ((y + 0.5) * h) / H - 0.5);
    const y0 = Math.min(Math.floor(v), h - 1);
    const y1 = Math.min(y0 + 1, h - 1);
    for (let x = 0; x < W; x++) {
      const u = Math.max(0, ((x + 0.5) * w) / W - 0.5);
      const x0 = Math.min(Math.floor(u), w - 1);
      const x1 = Math.min(x0 + 1, w - 1);
      const fy = v - y0;
      const fx = u - x0;
      out[y * W + x] =
        (data[y0 * w + x0] * (1 - fx) + data[y0 * w + x1] * fx) * (1 - fy) +
        (data[y1 * w + x0] * (1 - fx) + data[y1 * w + x1] * fx) * fy;
    }
  }
  return out;
}

function reference(logits: Float32Array, inputSize: Size, originalSize: Size): Float64Array {
  const square = resize(Float64Array.from(logits), [256, 256], [1024, 1024]);
  const cropped = new Float64Array(inputSize[0] * inputSize[1]);
  for (let y = 0; y < inputSize[0]; y++)
    cropped.set(square.subarray(y * 1024, y * 1024 + inputSize[1]), y * inputSize[1]);
  return resize(cropped, inputSize, originalSize);
}

function bitmap(mask: Mask, [H, W]: Size): Uint8Array {
  const out = new Uint8Array(H * W);
  const [top, left, , right] = mask.box;
  let position = 0;
  mask.runs.forEach((run, i) => {
    for (let k = 0; k < run; k++, position++) {
      if (i % 2 === 1) out[(top + Math.floor(position / (right - left))) * W + left + (position % (right - left))] = 1;
    }
  });
  return out;
}

const SIZES: [Size, Size][] = [
  [
    [1024, 1024],
    [1024, 1024],
  ],
  [
    [683, 1024],
    [64, 96],
  ],
  [
    [1024, 768],
    [400, 300],
  ],
  [
    [485, 1024],
    [603, 1272],
  ],
  [
    [1024, 1024],
    [1, 1],
  ],
];

describe('MaskUpsampler', () => {
  for (const [inputSize, originalSize] of SIZES) {
    it(`equals the two resizes of SAM for ${originalSize.join(' x ')} pixels`, () => {
      for (let seed = 1; seed <= 3; seed++) {
        const logits = randomLogits(seed);
        const expected = reference(logits, inputSize, originalSize);
        const mask = new MaskUpsampler(inputSize, originalSize).mask(logits);
        const got = bitmap(mask, originalSize);
        // Single precision may decide differently where the value is zero for all practical purposes.
        const wrong = got.findIndex((bit, i) => Math.abs(expected[i]) > 1e-5 && bit !== Number(expected[i] > 0));
        assert.equal(wrong, -1, `seed ${seed}, pixel ${wrong}`);
        assert.equal(
          mask.area,
          got.reduce((sum, bit) => sum + bit, 0),
        );
        assert.equal(
          mask.runs.reduce((a, b) => a + b, 0),
          (mask.box[2] - mask.box[0]) * (mask.box[3] - mask.box[1]),
        );
      }
    });
  }

  it('gives an empty mask where nothing is positive', () => {
    const mask = new MaskUpsampler([1024, 1024], [50, 50]).mask(new Float32Array(65536).fill(-1));
    assert.deepEqual(mask, { box: [0, 0, 0, 0], runs: new Uint32Array(0), area: 0 });
  });
});

describe('band logits', () => {
  it('give the same mask as the full logits, from far fewer values', () => {
    for (let seed = 10; seed < 14; seed++) {
      const logits = randomLogits(seed);
      const band = encodeBand(logits, [0, 0, 256, 256]);
      const upsampler = new MaskUpsampler([900, 1024], [703, 800]);
      assert.deepEqual(upsampler.mask(decodeBand(band)), upsampler.mask(logits));
      assert.ok(band.values.length < 65536 / 4, `${band.values.length} values kept`);
    }
  });

  it('survive sign runs longer than 16 bits', () => {
    for (const value of [-1, 1]) {
      const logits = new Float32Array(256 * 256 + 512).fill(value);
      assert.deepEqual(decodeBand(encodeBand(logits, [0, 0, 258, 256])), logits);
    }
  });
});
