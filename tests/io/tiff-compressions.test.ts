import assert from 'node:assert/strict';
import { zlibSync } from 'fflate';
import { encodeJpeg } from '../support/jpeg-encoder.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { buildTiff, short } from '../support/tiff-builder.js';
import { bytesOf, HEIGHT, page, readWhole, WIDTH } from '../support/tiff-pages.js';

/** LZW as the TIFF 6.0 text describes the compressor, or as TIFF 5 programs wrote it: low bits first, growing late. */
function lzw(input: Uint8Array, old: boolean): Uint8Array {
  const out: number[] = [];
  let bits = 0;
  let count = 0;
  const put = (code: number, width: number) => {
    for (let i = 0; i < width; i++) {
      const bit = old ? (code >> i) & 1 : (code >> (width - 1 - i)) & 1;
      bits = old ? bits | (bit << count) : (bits << 1) | bit;
      if (++count === 8) {
        out.push(bits);
        bits = 0;
        count = 0;
      }
    }
  };
  let table = new Map<string, number>();
  let width = 9;
  let next = 258;
  put(256, width);
  let prefix = '';
  const code = (word: string) => (word.length === 1 ? word.charCodeAt(0) : (table.get(word) ?? 0));
  for (const byte of input) {
    const letter = String.fromCharCode(byte);
    if (prefix === '' || table.has(prefix + letter)) {
      prefix += letter;
      continue;
    }
    put(code(prefix), width);
    table.set(prefix + letter, next++);
    prefix = letter;
    if (next === 4094) {
      put(code(prefix), width);
      put(256, width);
      prefix = '';
      table = new Map();
      next = 258;
      width = 9;
    } else if (next === (1 << width) + (old ? 1 : 0)) width++;
  }
  if (prefix) put(code(prefix), width);
  put(257, width);
  while (count > 0) put(0, 1);
  return Uint8Array.from(out);
}

function packBits(input: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (let i = 0; i < input.length; ) {
    let run = 1;
    while (run < 128 && input[i + run] === input[i]) run++;
    if (run > 1) out.push(257 - run, input[i]);
    else out.push(0, input[i]);
    i += run;
  }
  return Uint8Array.from(out);
}

describe('TIFF compressions', () => {
  const random = seededRandom(12);
  const values = Uint16Array.from({ length: HEIGHT * WIDTH }, (_, i) => (i % 40) * 300 + randomInteger(random, 0, 3));
  const raw = bytesOf(values);
  const zstd = async () => {
    const { default: Zstd } = await import('numcodecs/zstd');
    return Zstd.fromConfig({ level: 3 }).encode(raw);
  };
  const cases: [string, number, () => Uint8Array | Promise<Uint8Array>][] = [
    ['LZW', 5, () => lzw(raw, false)],
    ['old-style LZW', 5, () => lzw(raw, true)],
    ['deflate', 8, () => zlibSync(raw)],
    ['old deflate', 32946, () => zlibSync(raw)],
    ['PackBits', 32773, () => packBits(raw)],
    ['zstd', 50000, zstd],
  ];
  for (const [name, compression, encode] of cases)
    it(`${name} gives the pixels back`, async () => {
      const bytes = buildTiff([page([await encode()], 16, 1, compression)]);
      assert.deepEqual((await readWhole(bytes)).data, values);
    });

  it('LZW that fills its table several times', async () => {
    const long = Uint8Array.from({ length: 200 * 300 }, () => randomInteger(random, 0, 256));
    for (const old of [false, true]) {
      const bytes = buildTiff([{ ...page([lzw(long, old)], 8, 1, 5), width: 300, height: 200 }]);
      assert.deepEqual((await readWhole(bytes)).data, long, old ? 'old style' : 'new style');
    }
  });

  it('compressions that are not read are named', async () => {
    for (const [compression, feature] of [
      [6, /old-style JPEG/],
      [4, /CCITT/],
      [33003, /JPEG 2000/],
      [34887, /LERC/],
    ] as const)
      await assert.rejects(readWhole(buildTiff([page([raw], 16, 1, compression)])), {
        code: 'unsupported',
        message: feature,
      });
  });

  it('JPEG tiles, whole tiles at the edges cut off', async () => {
    const tile = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => 60 + ((i / 3) % 32) * 4);
    const jpeg = encodeJpeg(tile, 32, 32, 3, 100);
    const tags = [short(258, 8, 8, 8), short(259, 7), short(262, 6), short(277, 3)];
    const bytes = buildTiff([{ width: 40, height: 32, tile: [32, 32], blocks: [jpeg, jpeg], tags }]);
    const { image, data, shape } = await readWhole(bytes);
    assert.deepEqual(shape, [32, 40, 3]);
    assert.equal(image.rgb, true);
    for (let y = 0; y < 32; y++)
      for (let x = 0; x < 40; x++)
        assert.ok(Math.abs(data[(y * 40 + x) * 3] - (60 + (x % 32) * 4)) <= 6, `${y}, ${x}: ${data[(y * 40 + x) * 3]}`);
  });

  it('a predictor of differences over 8 to 64 bits and several samples', async () => {
    for (const bigEndian of [false, true])
      for (const bits of [8, 16, 32, 64] as const) {
        const plain = Array.from({ length: 5 * 7 * 2 }, () =>
          BigInt(randomInteger(random, 0, 2 ** Math.min(bits, 50))),
        );
        const coded = plain.map((value, i) => (i % 14 < 2 ? value : BigInt.asUintN(bits, value - plain[i - 2])));
        const numbers = coded.map(Number);
        const stored = {
          8: Uint8Array.from(numbers),
          16: Uint16Array.from(numbers),
          32: Uint32Array.from(numbers),
          64: BigUint64Array.from(coded),
        }[bits];
        const tags = [short(258, bits, bits), short(277, 2), short(259, 8), short(262, 1), short(317, 2)];
        const blocks = [zlibSync(bytesOf(stored, bigEndian))];
        const bytes = buildTiff([{ width: 7, height: 5, blocks, tags }], { bigEndian });
        assert.deepEqual(Array.from((await readWhole(bytes)).data), plain.map(Number), `${bits} bits`);
      }
  });
});
