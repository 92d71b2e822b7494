import assert from 'node:assert/strict';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { readLabelImage } from '../../src/io/results/label-image.js';
import { encodePngKind, PNG_CHANNELS, type PngKind } from '../support/png-encoder.js';
import { randomInteger, seededRandom } from '../support/random.js';

const open = (bytes: Uint8Array) => openImage(memoryBytes(bytes, 'test.png'));
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] } as const;
const KINDS = ([0, 2, 3, 4, 6] as const).flatMap((colourType) =>
  DEPTHS[colourType].flatMap((depth) =>
    [false, true].map((interlaced): PngKind => ({ colourType, depth, interlaced })),
  ),
);

describe('PNG of every kind', () => {
  for (const kind of KINDS)
    it(`colour type ${kind.colourType}, ${kind.depth} bits${kind.interlaced ? ', interlaced' : ''}`, async () => {
      const random = seededRandom(kind.colourType * 100 + kind.depth);
      for (const [height, width] of [
        [1, 1],
        [2, 3],
        [1, 7],
        [7, 1],
        [8, 8],
        [13, 17],
      ] as const) {
        const channels = PNG_CHANNELS[kind.colourType];
        const values = Array.from({ length: height * width * channels }, () =>
          randomInteger(random, 0, 2 ** kind.depth),
        );
        const colours = kind.colourType === 3 ? 2 ** kind.depth : 0;
        const palette = Array.from({ length: 3 * colours }, () => randomInteger(random, 0, 256));
        const alpha = Array.from({ length: Math.max(0, colours - 1) }, () => randomInteger(random, 0, 256));
        for (const transparent of kind.colourType === 3 ? [false, true] : [false]) {
          const extra = kind.colourType === 3 ? { palette, ...(transparent && { alpha }) } : {};
          const image = await open(encodePngKind(values, [height, width], { ...kind, ...extra }, random));
          const { data } = await image.readRegion({});
          if (kind.colourType !== 3) {
            assert.deepEqual(Array.from(data), values);
            continue;
          }
          const colour = (i: number) => [...palette.slice(3 * i, 3 * i + 3), ...(transparent ? [alpha[i] ?? 255] : [])];
          assert.deepEqual(Array.from(data), values.flatMap(colour));
          assert.deepEqual(Array.from((await readLabelImage(image)).data), values);
        }
      }
    });

  it('what cannot be is refused', async () => {
    const random = seededRandom(1);
    const good = encodePngKind([1, 2, 3, 4], [2, 2], { colourType: 0, depth: 8, interlaced: false }, random);
    const patched = (at: number, value: number) => open(good.with(at, value));
    for (const [at, value] of [
      [24, 3],
      [25, 5],
      [26, 1],
      [27, 1],
      [28, 2],
      [19, 0],
    ] as const)
      await assert.rejects(patched(at, value), { code: 'invalid_image' }, `${value} at ${at}`);
    await assert.rejects(open(good.slice(0, good.length - 20)), { code: 'invalid_image', message: /truncated/ });
    const indexed = encodePngKind([1], [1, 1], { colourType: 3, depth: 8, interlaced: false }, random);
    await assert.rejects(open(indexed), { code: 'invalid_image', message: /palette/ });
  });
});

describe('label images as PNG', () => {
  const random = seededRandom(3);
  const size = [2, 3] as const;
  const labels = [0, 1, 1, 2, 0, 255];
  const read = async (values: readonly number[], kind: PngKind) =>
    Array.from((await readLabelImage(await open(encodePngKind(values, size, kind, random)))).data);

  it('with a palette its indices are the objects, whatever the colours', async () => {
    const black = Array<number>(256 * 3).fill(0);
    assert.deepEqual(await read(labels, { colourType: 3, depth: 8, interlaced: false, palette: black }), labels);
    const few = labels.map((value) => value % 4);
    for (const depth of [2, 4] as const)
      assert.deepEqual(await read(few, { colourType: 3, depth, interlaced: true, palette: black.slice(0, 12) }), few);
  });

  it('grey saved as colours, with or without transparency', async () => {
    const spread = (samples: (value: number) => number[]) => labels.flatMap(samples);
    for (const depth of [8, 16] as const) {
      const kind = { depth, interlaced: false } as const;
      assert.deepEqual(
        await read(
          spread((v) => [v, v, v]),
          { ...kind, colourType: 2 },
        ),
        labels,
      );
      assert.deepEqual(
        await read(
          spread((v) => [v, v, v, v === 0 ? 0 : 200]),
          { ...kind, colourType: 6 },
        ),
        labels,
      );
      assert.deepEqual(
        await read(
          spread((v) => [v, 77]),
          { ...kind, colourType: 4 },
        ),
        labels,
      );
    }
  });

  it('of 1, 2 and 4 bits as stored', async () => {
    for (const depth of [1, 2, 4] as const) {
      const values = labels.map((value) => value % 2 ** depth);
      assert.deepEqual(await read(values, { colourType: 0, depth, interlaced: depth === 2 }), values);
    }
  });

  it('of real colours are refused, and the colour is said', async () => {
    const colours = labels.flatMap((value) => [value, value, value === 2 ? 3 : value]);
    await assert.rejects(read(colours, { colourType: 2, depth: 8, interlaced: false }), {
      code: 'invalid_image',
      message: /picture in colours \(2, 2, 3\)/,
    });
  });
});
