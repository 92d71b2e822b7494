import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { resizeImage } from '../../src/model/resize.js';
import {
  buildPrompts,
  encoderTensor,
  fixRange,
  groupPrompts,
  intensityKey,
  maskToLogits,
  PERCENTILE_1_99,
  resizedSize,
  toImage,
  uniteRanges,
} from '../../src/model/transforms.js';
import { type Size, tensor } from '../../src/ndimage/array.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import { seededRandom } from '../support/random.js';

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

const pictures = new Map<string, Uint8Array>();

function randomRgb(height: number, width: number) {
  const random = seededRandom(height * 10000 + width);
  const key = `${height} ${width}`;
  const data = pictures.get(key) ?? new Uint8Array(height * width * 3).map(() => Math.floor(random() * 256));
  pictures.set(key, data);
  return tensor(data.slice(), [height, width, 3]);
}

describe('resizeImage', () => {
  // sha256 of what Pillow's Image.resize(size, BILINEAR) makes of the same random bytes.
  const pillow: [Size, Size, string][] = [
    [[40, 56], [731, 1024], '605b7f2dc5d70d63d8a36de82dff89f7e8e19e9fb93030e6a019465e3755ed9c'],
    [[600, 333], [1024, 568], 'cc5be4b1994d9a8346952c738294763aec16555287325c7d229847ae7e0c90b2'],
    [[1500, 1100], [1024, 751], 'ba18781a1e3e715d137c6faa2ac2401364034ddabfe4c89d85eb4ac2d7b133d3'],
    [[1024, 700], [1024, 700], '59d4b8890ed78cf64b2d6fe773935a00c528c7d50c53ae72b96fb42ff4dcc072'],
    [[1, 90], [11, 1024], '5a1fa9a3ed3239b660f0f00cea89cc30dc5b6e845857ddc1075e9dc771b248d3'],
  ];
  for (const [from, to, digest] of pillow)
    it(`gives Pillow's bytes for ${from.join('x')} -> ${to.join('x')}`, () => {
      assert.deepEqual(resizedSize(from), to);
      assert.equal(sha256(resizeImage(randomRgb(...from), to).data), digest);
    });
});

describe('toImage', () => {
  // sha256 of micro-sam's formula evaluated with numpy on the same random values.
  const random = seededRandom(7);
  const values = Array.from({ length: 30 * 20 * 3 }, random);
  const shape = [30, 20, 3];
  const inputs = {
    uint8: Uint8Array.from(values, (v) => 20 + v * 160),
    uint16: Uint16Array.from(values, (v) => v * 61000 + 300),
    float32: Float32Array.from(values, (v) => v * 3.7 - 1.1),
  };
  const digests = {
    uint8: '7f5ac9f35cedcef805557a6cb03065f2fea7b7b3aba57740d531f5546809ae5a',
    uint16: 'eef0bce3a36f1716ae9c63fefc4be6e436368a28d109d700f17aea22ba97ddec',
    float32: 'b2f1ef266b579c8f1f3a473298a2093406774ce6ffd86eaacdf3e65ece1bf5cd',
  };
  for (const dtype of ['uint8', 'uint16', 'float32'] as const)
    it(`equals micro-sam's conversion for ${dtype}`, () => {
      assert.equal(sha256(toImage(tensor(inputs[dtype], shape)).data), digests[dtype]);
    });

  it("takes numpy's percentiles", () => {
    const range = fixRange(tensor(inputs.float32, shape), PERCENTILE_1_99);
    assert.ok(range.kind === 'fixed' && Math.abs(range.ranges[0][0] + 1.06008598) < 1e-6);
    assert.ok(range.kind === 'fixed' && Math.abs(range.ranges[0][1] - 2.55168063) < 1e-6);
  });

  it('ignores NaN and infinities in the range and makes NaN black', () => {
    const pixels = tensor(Float32Array.of(Number.NaN, 0, 1, 2, Infinity, -Infinity), [2, 3]);
    const grey = [...toImage(pixels).data].filter((_, i) => i % 3 === 0);
    assert.deepEqual(
      grey,
      [0, 0, 127, 254, 255, 0].map((v, i) => (i === 3 ? grey[3] : v)),
    );
    assert.ok(grey[3] >= 254);
  });

  it('maps constant and all-NaN images to zeros', () => {
    assert.ok(toImage(tensor(new Uint8Array(12).fill(77), [3, 4])).data.every((v) => v === 0));
    assert.ok(toImage(tensor(new Float32Array(12).fill(Number.NaN), [3, 4])).data.every((v) => v === 0));
  });

  it('repeats one channel, blackens a missing third, and uses the first three of five', () => {
    assert.deepEqual([...toImage(tensor(Uint8Array.of(0, 255), [1, 2])).data], [0, 0, 0, 255, 255, 255]);
    assert.deepEqual([...toImage(tensor(Uint8Array.of(0, 9, 255, 3), [1, 2, 2])).data], [0, 255, 0, 255, 0, 0]);
    const five = Uint8Array.from({ length: 2 * 5 }, (_, i) => (i < 5 ? 0 : 50 + i));
    assert.deepEqual([...toImage(tensor(five, [1, 2, 5])).data], [0, 0, 0, 255, 255, 255]);
  });

  it('stretches a tile as its whole image when the range is fixed', () => {
    const whole = tensor(inputs.uint16, shape);
    const policy = fixRange(whole);
    const top = toImage(tensor(inputs.uint16.slice(0, 10 * 60), [10, 20, 3]), policy);
    assert.deepEqual(top.data, toImage(whole).data.slice(0, 10 * 60));
    assert.notDeepEqual(toImage(tensor(inputs.uint16.slice(0, 60), [1, 20, 3])).data, top.data.slice(0, 60));
  });

  it('unites fixed ranges and names policies', () => {
    const both = uniteRanges([
      { kind: 'fixed', ranges: [[1, 5]] },
      { kind: 'fixed', ranges: [[0, 3]] },
    ]);
    assert.equal(intensityKey(both), 'fixed(0,5)');
    assert.equal(intensityKey(PERCENTILE_1_99), 'percentile(1,99)');
  });

  it('refuses what is not an image', () => {
    assert.throws(() => toImage(tensor(new Uint8Array(0), [0, 4])), { code: 'invalid_image' });
    assert.throws(() => toImage(tensor(new Uint8Array(8), [2, 2, 2, 1])), { code: 'invalid_image' });
  });
});

describe('encoderTensor', () => {
  it('gives the same for grey images, of which one channel is resized, as for coloured ones', () => {
    for (const height of [300, 1500]) {
      const grey = randomRgb(height, 200);
      for (let i = 0; i < grey.data.length; i += 3) grey.data.fill(grey.data[i], i, i + 3);
      const tinted = { ...grey, data: grey.data.slice() };
      tinted.data[2] ^= 255; // the blue of the first pixel
      const [a, b] = [grey, tinted].map((image) => encoderTensor(image, SAM_ENCODER_INPUT).data);
      const plane = 1024 * 1024;
      assert.deepEqual(a.subarray(0, 2 * plane), b.subarray(0, 2 * plane));
      const differ = a.subarray(2 * plane).filter((value, i) => value !== b[2 * plane + i]).length;
      assert.ok(differ > 0 && differ < 100, `${differ} values of blue`);
    }
  });

  it('normalises with the ImageNet mean and pads with zeros right and below', () => {
    const { data, dims, inputSize } = encoderTensor(randomRgb(1024, 700), SAM_ENCODER_INPUT);
    assert.deepEqual(dims, [1, 3, 1024, 1024]);
    assert.deepEqual(inputSize, [1024, 700]);
    const image = randomRgb(1024, 700);
    const at = (c: number, y: number, x: number) => data[(c * 1024 + y) * 1024 + x];
    assert.ok(Math.abs(at(1, 5, 9) - (image.data[(5 * 700 + 9) * 3 + 1] - 116.28) / 57.12) < 1e-6);
    assert.equal(at(2, 1023, 700), 0);
  });

  it('gives raw levels for encoders that normalise themselves', () => {
    const { data, dims } = encoderTensor(randomRgb(1024, 700), { ...SAM_ENCODER_INPUT, layout: 'hwc' });
    assert.deepEqual(dims, [1024, 700, 3]);
    assert.deepEqual(data, Float32Array.from(randomRgb(1024, 700).data));
  });
});

describe('prompts', () => {
  const frame = { inputSize: [512, 1024] as Size, originalSize: [50, 200] as Size };

  it('scale each axis by itself and pad only without a box', () => {
    const points = buildPrompts([{ points: [{ at: [10, 20], positive: true }] }], frame);
    assert.deepEqual([...points.coords], [102.4000015258789, 102.4000015258789, 0, 0]);
    assert.deepEqual([...points.labels], [1, -1]);
    const box = buildPrompts([{ points: [{ at: [0, 0], positive: false }], box: [0, 50, 25, 100] }], frame);
    assert.deepEqual([...box.coords], [0, 0, 256, 0, 512, 256]);
    assert.deepEqual([...box.labels], [0, 2, 3]);
    assert.deepEqual([...buildPrompts([{ maskLogits: new Float32Array(65536) }], frame).labels], [-1]);
  });

  it('are grouped into batches of one length, none lost', () => {
    const point = { at: [1, 1] as const, positive: true };
    const all = [{ points: [point] }, { box: [0, 0, 9, 9] as const }, { points: [point, point] }, { points: [point] }];
    const groups = groupPrompts(all, frame, 2);
    assert.deepEqual(
      groups.map((g) => g.indices),
      [[0, 1], [3], [2]],
    );
    assert.throws(() => buildPrompts(all, frame), { code: 'invalid_prompt' });
    assert.throws(() => buildPrompts([{ points: [{ at: [Number.NaN, 1], positive: true }] }], frame), {
      code: 'invalid_prompt',
    });
  });
});

describe('maskToLogits', () => {
  /** The mask resized as a float image, pixel by pixel: torch's antialiased bilinear, written out. */
  function reference(bitmap: Uint8Array, [H, W]: Size): Float32Array {
    const [h, w] = resizedSize([H, W], 256);
    const logit = Math.log(999);
    const taps = (i: number, from: number, to: number) => {
      const scale = from / to;
      const support = Math.max(1, scale);
      const center = (i + 0.5) * scale;
      const all = Array.from({ length: from }, (_, k) => Math.max(0, 1 - Math.abs(k + 0.5 - center) / support));
      const total = all.reduce((a, b) => a + b, 0);
      return all.flatMap((weight, k) => (weight > 0 ? [[k, weight / total]] : []));
    };
    const columns = Array.from({ length: w }, (_, x) => taps(x, W, w));
    const out = new Float32Array(65536).fill(-logit);
    for (let y = 0; y < h; y++) {
      const rows = taps(y, H, h);
      for (const [x, column] of columns.entries()) {
        let sum = 0;
        for (const [r, a] of rows) for (const [c, b] of column) sum += a * b * bitmap[r * W + c];
        if (sum > 0.5 + 1e-9) out[y * 256 + x] = logit;
      }
    }
    return out;
  }

  for (const size of [
    [30, 37],
    [90, 411],
  ] as Size[])
    it(`equals the plain computation for ${size.join('x')}`, function () {
      this.timeout(20_000);
      const bitmap = new Uint8Array(size[0] * size[1]);
      for (let i = 0; i < bitmap.length; i++) {
        const y = Math.floor(i / size[1]);
        const x = i % size[1];
        if (Math.hypot(y - size[0] / 2, (x - size[1] / 3) / 2) < size[0] / 4 || (y < 3 && x > size[1] - 9))
          bitmap[i] = 1;
      }
      assert.deepEqual(maskToLogits(maskFromBitmap(bitmap, size), size), reference(bitmap, size));
    });
});
