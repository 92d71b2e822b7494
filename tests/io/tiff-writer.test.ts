import assert from 'node:assert/strict';
import { fromArrayBuffer } from 'geotiff';
import UTIF from 'utif2';
import { SamError } from '../../src/errors.js';
import { narrowLabels } from '../../src/io/results/label-dtype.js';
import { rational } from '../../src/io/tiff/layout.js';
import { encodeTiff, type TiffWriteOptions } from '../../src/io/tiff/writer.js';
import { allocate, type Dtype, sizeOf, type Tensor, tensor } from '../../src/ndimage/array.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

/** What geotiff.js, a reader that knows nothing of our writer, finds in a file. */
async function readWithGeotiff(bytes: Uint8Array) {
  const file = await fromArrayBuffer(bytes.slice().buffer);
  const count = await file.getImageCount();
  const pages = [];
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    const page = await file.getImage(i);
    pages.push(page);
    for (const value of (await page.readRasters({ interleave: true })) as unknown as Iterable<number>)
      values.push(value);
  }
  return { pages, values };
}

function randomImage(random: () => number, dtype: Dtype, shape: readonly number[]): Tensor {
  const data = allocate(dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++)
    data[i] = dtype.startsWith('float') ? random() * 1e6 - 5e5 : random() * 2 ** 33 - 2 ** 32;
  return tensor(data, shape);
}

describe('TIFF writer', () => {
  for (const [title, everyWay] of [
    ['gives every type and shape back exactly through geotiff.js', false],
    ['does so in every way that files are described and addressed (thorough)', true],
  ] as const)
    it(title, () => givesAllBack(everyWay));

  async function givesAllBack(everyWay: boolean): Promise<void> {
    const random = seededRandom(11);
    const ways = (['imagej', 'ome', 'none'] as const).flatMap((description) =>
      [false, true].map((big) => ({ description, big })),
    );
    const kinds: [readonly number[], TiffWriteOptions['axes']][] = [
      [[1, 1], undefined],
      [[37, 53], undefined],
      [[5, 20, 31], undefined],
      [[3, 17, 9], 'cyx'],
      [[2, 3, 4, 6, 7], 'tzcyx'],
      [[19, 23, 3], 'yxs'],
    ];
    const dtypes = ['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64'] as const;
    for (const [t, dtype] of dtypes.entries())
      for (const [k, [shape, axes]] of kinds.entries())
        for (const { description, big } of everyWay ? ways : [0, 3].map((w) => ways[(t + k + w) % ways.length])) {
          const image = randomImage(random, dtype, shape);
          const compression = random() < 0.5 ? 'deflate' : 'none';
          const { values, pages } = await readWithGeotiff(
            await encodeTiff(image, { axes, description, big, compression }),
          );
          const what = `${dtype} [${shape}] ${axes} ${description} ${compression} ${big ? 'big' : ''}`;
          assert.deepEqual(values, [...image.data], what);
          assert.equal(
            pages.length,
            image.data.length / (pages[0].getWidth() * pages[0].getHeight() * (axes === 'yxs' ? 3 : 1)),
          );
        }
  }

  it('is read by UTIF too, over several strips', async () => {
    const labels = narrowLabels(randomLabels(seededRandom(3), [700, 600], 40, 60_000));
    const bytes = await encodeTiff(labels);
    const pages = UTIF.decode(bytes.slice().buffer as ArrayBuffer);
    assert.ok((pages[0].t273 as number[]).length > 1);
    UTIF.decodeImage(bytes.slice().buffer as ArrayBuffer, pages[0]);
    assert.deepEqual(new Uint16Array(pages[0].data.slice().buffer), labels.data);
  });

  it('chooses 16 bits up to label 65,535 and 32 beyond', async () => {
    for (const [highest, bits] of [
      [65_535, 16],
      [65_536, 32],
      [4_294_967_295, 32],
    ]) {
      const data = new Uint32Array(6);
      data[4] = highest;
      const { pages, values } = await readWithGeotiff(await encodeTiff(narrowLabels(tensor(data, [2, 3]))));
      assert.equal(pages[0].getBitsPerSample(), bits);
      assert.equal(values[4], highest);
    }
  });

  it('says the pixel size to ImageJ in its unit and to others per centimetre', async () => {
    const pixelSize = { z: 0.29, y: 0.26, x: 0.13, unit: 'micrometer' };
    const volume = tensor(new Uint16Array(2 * 3 * 4), [2, 3, 4]);
    for (const [description, unit, factor] of [
      ['imagej', 1, 1],
      ['none', 3, 1e4],
    ] as const) {
      const { pages } = await readWithGeotiff(await encodeTiff(volume, { pixelSize, description }));
      const directory = pages[0].fileDirectory;
      const [x, y] = await Promise.all(
        (['XResolution', 'YResolution'] as const).map(async (tag) => {
          const [numerator, denominator] = (await directory.loadValue(tag)) as unknown as ArrayLike<number> & number[];
          return numerator / denominator;
        }),
      );
      assert.ok(Math.abs(factor / x - 0.13) < 1e-12 && Math.abs(factor / y - 0.26) < 1e-12, `${x} ${y}`);
      assert.equal(await directory.loadValue('ResolutionUnit'), unit);
    }
    const { pages } = await readWithGeotiff(await encodeTiff(volume, { pixelSize }));
    const text = String(await pages[0].fileDirectory.loadValue('ImageDescription'));
    for (const line of ['images=2', 'slices=2', 'unit=um', 'spacing=0.29'])
      assert.ok(text.split('\n').includes(line), line);
    assert.doesNotMatch(text, /frames/);
  });

  it('writes OME-XML that holds names with any characters and is plain ASCII', async () => {
    const name = 'Zelle <1> & "Kern" µ 😀\u0001';
    const bytes = await encodeTiff(tensor(new Uint8Array(24), [2, 3, 4]), {
      axes: 'tyx',
      description: 'ome',
      name,
      pixelSize: { y: 2, x: 3, unit: 'um' },
    });
    const { pages } = await readWithGeotiff(bytes);
    const xml = String(await pages[0].fileDirectory.loadValue('ImageDescription')).replace(/\0$/, '');
    assert.match(xml, /SizeX="4" SizeY="3" SizeC="1" SizeZ="1" SizeT="2"/);
    assert.match(xml, /PhysicalSizeX="3" PhysicalSizeXUnit="&#181;m"/);
    assert.match(xml, /^[\x20-\x7e]+$/);
    assert.match(xml, /Name="Zelle &#60;1&#62; &#38; &#34;Kern&#34; &#181; &#128512; "/);
  });

  it('refuses shapes and axes that do not belong together', async () => {
    const image = tensor(new Uint8Array(24), [2, 3, 4]);
    for (const axes of ['yx', 'xyz', 'zyxs', 'yxs'])
      await assert.rejects(encodeTiff(image, { axes }), (error) => error instanceof SamError);
    await assert.rejects(encodeTiff(tensor(new Uint8Array(0), [0, 4])), (error) => error instanceof SamError);
  });

  it('stops when it is cancelled', async () => {
    await assert.rejects(encodeTiff(tensor(new Uint8Array(4), [2, 2]), { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    });
  });

  it('finds the closest fraction', () => {
    assert.deepEqual(rational(1 / 0.65), [20, 13]);
    assert.deepEqual(rational(7), [7, 1]);
    const random = seededRandom(5);
    for (let i = 0; i < 2000; i++) {
      const value = 10 ** (random() * 12 - 6);
      const [n, d] = rational(value);
      assert.ok(n <= 0xffffffff && d <= 0xffffffff && d >= 1);
      assert.ok(Math.abs(n / d - value) / value < 1e-9, `${value}: ${n}/${d}`);
    }
  });
});
