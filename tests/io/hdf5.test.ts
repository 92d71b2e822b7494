import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { File as Hdf5Writer, ready } from 'h5wasm/node';
import { type ByteSource, blobBytes, memoryBytes } from '../../src/io/bytes.js';
import { type ImageSource, readPlane } from '../../src/io/image.js';
import { fileBytes } from '../../src/io/node-file.js';
import { openImage } from '../../src/io/open.js';
import { dataItems, dataPath, withData } from '../support/data.js';
import { pixelsInOrder, sha256 } from '../support/formats.js';
import { h5pySample, hdf5Sample } from '../support/hdf5-sample.js';

async function allOf(image: ImageSource): Promise<number[]> {
  const planes = Array.from({ length: image.sizes.z }, (_, z) => readPlane(image, z));
  return (await Promise.all(planes)).flatMap(({ data }) => Array.from(data));
}

describe('HDF5', () => {
  const file = memoryBytes(hdf5Sample(), 'sample.h5');

  it('datasets by key, chunked and compressed or not', async () => {
    const raw = await openImage(file, { key: 'raw' });
    assert.equal(raw.dtype, 'uint16');
    assert.deepEqual(raw.sizes, { t: 1, c: 1, z: 2, y: 6, x: 8 });
    const { data } = await raw.readRegion({ z: 1, box: [2, 3, 4, 5] });
    assert.deepEqual(Array.from(data), [(48 + 19) * 3, (48 + 20) * 3, (48 + 27) * 3, (48 + 28) * 3]);
    const mask = await openImage(file, { key: '/exported/mask' });
    assert.deepEqual(Array.from((await mask.readRegion({ box: [5, 5, 6, 8] })).data), [45 % 3, 46 % 3, 47 % 3]);
    const big = await openImage(file, { key: 'big' });
    assert.equal(big.dtype, 'float64');
    assert.deepEqual(Array.from((await big.readRegion({})).data), [-2, -1, 0, 1, 2, 3]);
  });

  it('without a key, or with a wrong one, the error lists what there is', async () => {
    await assert.rejects(openImage(file), { code: 'invalid_argument', message: /big, exported\/mask, raw/ });
    await assert.rejects(openImage(file, { key: 'labels' }), { code: 'not_found', message: /raw/ });
  });

  for (const stack of ['sample_ovule', '1135_mini'])
    withData(`${stack}.h5 of PlantSeg holds what its TIFF holds`, async () => {
      const folder = 'c_lm3d/plantseg';
      const item = dataItems().find(({ file }) => file === `${folder}/${stack}_raw.tif`);
      const image = await openImage(await fileBytes(dataPath(`${folder}/${stack}.h5`)), { key: 'raw' });
      assert.equal(sha256(await pixelsInOrder(image, 'ZYX')), item?.pixels_sha256_le);
      assert.ok(image.pixelSize && image.pixelSize.unit === 'µm' && image.pixelSize.x === image.pixelSize.y);
      await image.close();
    });

  for (const version of ['earliest', 'latest'] as const)
    describe(`as h5py writes it in the ${version} format`, () => {
      const written = memoryBytes(h5pySample(version), 'h5py.h5');
      const value = (i: number) => (i * 7 + Math.floor(i / 13)) % 200;
      const names =
        'lzf sums zstd blosc longer wider larger bounded single compact early shared many/image9 link/image0'.split(
          ' ',
        );
      for (const key of version === 'latest' ? [...names, 'pages'] : names)
        it(`${key} has the values that were written`, async () => {
          const values = await allOf(await openImage(written, { key }));
          assert.ok(values.length >= 4);
          assert.deepEqual(
            values,
            values.map((_, i) => value(i)),
          );
        });

      it('booleans, values that were never written, and the size of a pixel', async () => {
        const flags = await allOf(await openImage(written, { key: 'flags' }));
        assert.deepEqual(
          flags,
          flags.map((_, i) => Number(value(i) > 100)),
        );
        const never = await openImage(written, { key: 'never' });
        assert.equal(never.dtype, 'int16');
        assert.deepEqual(await allOf(never), Array(42).fill(-5));
        const partly = await openImage(written, { key: 'partly' });
        const { data } = await partly.readRegion({ box: [8, 9, 11, 12] });
        assert.deepEqual(Array.from(data), [7, value(80), value(81), 7, value(90), value(91), 7, 7, 7]);
        const lzf = await openImage(written, { key: 'lzf' });
        assert.deepEqual(lzf.pixelSize, { z: 0.5, y: 0.1, x: 0.2, unit: 'µm' });
      });

      it('what is not read is named', async () => {
        await assert.rejects(openImage(written, { key: 'offsets' }), { code: 'unsupported', message: /scale-offset/ });
        await assert.rejects(openImage(written, { key: 'text' }), { code: 'unsupported', message: /"text"/ });
      });
    });
});

describe('A region of a large HDF5 file', () => {
  const side = 2048;
  const chunk = 256;
  const box = [700, 300, 900, 600] as const;
  /** Chunks of 256 that the box touches, and rows that it touches where there are no chunks. */
  const needed = { chunked: 2 * 2 * chunk * chunk * 2, packed: 2 * 2 * chunk * chunk * 2, plain: 200 * 300 * 2 };
  const values = Uint16Array.from({ length: side * side }, (_, i) => (i * 40_503) >>> 5);
  let folder = '';
  let large = '';

  before(async () => {
    await ready;
    folder = await mkdtemp(path.join(tmpdir(), 'hdf5-'));
    large = path.join(folder, 'large.h5');
    const writer = new Hdf5Writer(large, 'w');
    const shape = [side, side];
    writer.create_dataset({ name: 'plain', data: values, shape });
    writer.create_dataset({ name: 'chunked', data: values, shape, chunks: [chunk, chunk] });
    writer.create_dataset({ name: 'packed', data: values, shape, chunks: [chunk, chunk], compression: 1 });
    writer.close();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The same file, and how many bytes of it were read. */
  function counted(source: ByteSource) {
    let bytes = 0;
    const counting: ByteSource = {
      ...source,
      read(offset, length, options) {
        bytes += length;
        return source.read(offset, length, options);
      },
    };
    return { counting, bytes: () => bytes };
  }

  async function check(image: ImageSource) {
    const [y0, x0, y1, x1] = box;
    const { data } = await image.readRegion({ box });
    const expected: number[] = [];
    for (let y = y0; y < y1; y++) expected.push(...values.subarray(y * side + x0, y * side + x1));
    assert.deepEqual(Array.from(data), expected);
    await image.close();
  }

  /** What leads to the pixels: a few blocks of 16 kB. */
  const structures = 200_000;

  for (const key of ['plain', 'chunked', 'packed'] as const) {
    it(`costs the chunks it touches, from a file on disk (${key})`, async () => {
      const { counting, bytes } = counted(await fileBytes(large));
      assert.ok(counting.size > 3 * side * side);
      await check(await openImage(counting, { key }));
      assert.ok(bytes() <= 1.5 * needed[key] + structures, `${bytes()} bytes for ${needed[key]}`);
    });

    it(`costs the chunks it touches, over HTTP (${key})`, async () => {
      const source = await fileBytes(large);
      let sent = 0;
      const server = createServer(async (request, response) => {
        const [, start, end] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')?.map(Number) ?? [];
        const last = Math.min(end, source.size - 1);
        const body = await source.read(start, last - start + 1);
        sent += body.length;
        response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${source.size}` }).end(body);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      try {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/large.h5`;
        await check(await openImage(url, { key }));
        assert.ok(sent <= 1.5 * needed[key] + structures, `${sent} bytes for ${needed[key]}`);
      } finally {
        server.close();
        await source.close?.();
      }
    });
  }

  it('is read from a dropped file by slices, and can be cancelled', async () => {
    const source = await fileBytes(large);
    const blob = new Blob([(await source.read(0, source.size)) as Uint8Array<ArrayBuffer>]);
    await source.close?.();
    const { counting, bytes } = counted(blobBytes(blob, 'large.h5'));
    const image = await openImage(counting, { key: 'packed' });
    await assert.rejects(image.readRegion({ box }, { signal: AbortSignal.abort() }), { code: 'cancelled' });
    await check(image);
    assert.ok(bytes() <= 1.5 * needed.packed + structures);
  });
});
