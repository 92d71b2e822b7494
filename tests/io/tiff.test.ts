import assert from 'node:assert/strict';
import { randomInteger, seededRandom } from '../support/random.js';
import { buildTiff, type Flavour, short } from '../support/tiff-builder.js';
import { bytesOf, HEIGHT, page, readWhole, WIDTH } from '../support/tiff-pages.js';

describe('TIFF sample types', () => {
  const random = seededRandom(11);
  const whole = (low: number, high: number) =>
    Array.from({ length: HEIGHT * WIDTH }, () => randomInteger(random, low, high));
  const kinds = [
    { name: 'uint8', values: Uint8Array.from(whole(0, 256)), bits: 8, format: 1 },
    { name: 'int8', values: Int8Array.from(whole(-128, 128)), bits: 8, format: 2 },
    { name: 'uint16', values: Uint16Array.from(whole(0, 65536)), bits: 16, format: 1 },
    { name: 'int16', values: Int16Array.from(whole(-32768, 32768)), bits: 16, format: 2 },
    { name: 'uint32', values: Uint32Array.from(whole(0, 2 ** 32)), bits: 32, format: 1 },
    { name: 'int32', values: Int32Array.from(whole(-(2 ** 31), 2 ** 31)), bits: 32, format: 2 },
    { name: 'float32', values: Float32Array.from(whole(0, 1e6), (v) => v / 7), bits: 32, format: 3 },
    { name: 'float64', values: Float64Array.from(whole(0, 1e6), (v) => v / 7), bits: 64, format: 3 },
    { name: 'float64', values: BigUint64Array.from(whole(0, 2 ** 50), BigInt), bits: 64, format: 1 },
    { name: 'float64', values: BigInt64Array.from(whole(-(2 ** 50), 2 ** 50), BigInt), bits: 64, format: 2 },
  ] as const;
  const flavours: Flavour[] = [{}, { bigEndian: true }, { big: true }, { big: true, bigEndian: true }];
  for (const { name, values, bits, format } of kinds)
    it(`${bits}-bit format ${format} is read as ${name} in both byte orders, TIFF and BigTIFF`, async () => {
      for (const flavour of flavours) {
        const bytes = buildTiff([page([bytesOf(values, flavour.bigEndian)], bits, format, 1)], flavour);
        const { image, data, shape } = await readWhole(bytes);
        assert.equal(image.dtype, name);
        assert.deepEqual(shape, [HEIGHT, WIDTH]);
        assert.deepEqual(Array.from(data), Array.from(values, Number));
      }
    });

  it('half floats are read as float32', async () => {
    const halves = [0x0000, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x7c00, 0x8400];
    const expected = [0, 1, -2, 0.333251953125, 65504, 2 ** -24, Number.POSITIVE_INFINITY, -6.103515625e-5];
    const bytes = buildTiff([{ ...page([bytesOf(Uint16Array.from(halves))], 16, 3, 1), width: 8, height: 1 }]);
    const { image, data } = await readWhole(bytes);
    assert.equal(image.dtype, 'float32');
    assert.deepEqual(Array.from(data), expected);
  });

  it('a 64-bit integer that is no exact double is refused by name', async () => {
    const values = BigUint64Array.of(2n ** 53n + 1n);
    const bytes = buildTiff([{ ...page([bytesOf(values)], 64, 1, 1), width: 1, height: 1 }]);
    await assert.rejects(readWhole(bytes), { code: 'unsupported', message: /9007199254740993/ });
  });

  for (const bits of [1, 2, 4, 6, 10, 12, 14, 24])
    it(`packed samples of ${bits} bits, rows padded to bytes`, async () => {
      const values = whole(0, 2 ** bits);
      const rowBytes = Math.ceil((WIDTH * bits) / 8);
      const packed = new Uint8Array(rowBytes * HEIGHT);
      values.forEach((value, i) => {
        for (let bit = 0; bit < bits; bit++) {
          const at = Math.floor(i / WIDTH) * rowBytes * 8 + (i % WIDTH) * bits + bit;
          if ((value >> (bits - 1 - bit)) & 1) packed[at >> 3] |= 0x80 >> (at & 7);
        }
      });
      // 24 bits are whole bytes, in the byte order of the file.
      const { data } = await readWhole(buildTiff([page([packed], bits, 1, 1)], { bigEndian: true }));
      assert.deepEqual(Array.from(data), values);
    });

  it('bilevel samples in reversed bit order', async () => {
    const tags = [short(266, 2)];
    const bytes = buildTiff([{ ...page([Uint8Array.of(0b0000_0101)], 1, 1, 1, { tags }), width: 8, height: 1 }]);
    assert.deepEqual(Array.from((await readWhole(bytes)).data), [1, 0, 1, 0, 0, 0, 0, 0]);
  });
});
