import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encode as encodePng } from 'fast-png';
import { gzipSync, zipSync } from 'fflate';
import { memoryBytes } from '../../src/io/bytes.js';
import { planeAt, planeCount, readPlane } from '../../src/io/image.js';
import { fileBytes } from '../../src/io/node-file.js';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { encodeJpeg } from '../support/jpeg-encoder.js';
import { seededRandom } from '../support/random.js';
import { buildTiff, short } from '../support/tiff-builder.js';
import { countingStore, madeOmeZarr, omePixel } from '../support/zarr-builder.js';

const ramp = (length: number) => Uint8Array.from({ length }, (_, i) => i % 256);
const png = (height: number, width: number, channels = 1) =>
  encodePng({ width, height, data: ramp(height * width * channels), channels, depth: 8 });
const npy = (descr: string, shape: readonly number[], payload: Uint8Array, fortran = false) => {
  const order = fortran ? 'True' : 'False';
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')},), }`;
  const header = new TextEncoder().encode(`${text.padEnd(117)}\n`);
  return Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0, ...header, ...payload]);
};
const open = (bytes: Uint8Array, name = 'file') => openImage(memoryBytes(bytes, name));

describe('files that are no good', () => {
  const bad: [string, Uint8Array, string, RegExp][] = [
    ['an empty file', new Uint8Array(), 'invalid_image', /empty \(0 bytes\)/],
    ['a text file', new TextEncoder().encode('just some words'), 'unsupported', /not an image.*OME-TIFF/],
    ['a web page', new TextEncoder().encode('<!doctype html><html>'), 'unsupported', /web page.*login/],
    ['a CZI', new TextEncoder().encode('ZISRAWFILE......'), 'unsupported', /Zeiss CZI.*OME-TIFF/],
    ['a PNG of 0 x 0', patched(png(4, 4), [16, 0, 0, 0, 0, 0, 0, 0, 0]), 'invalid_image', /0 x 0/],
    [
      'a PNG of 10^10 pixels',
      patched(png(4, 4), [16, 0, 1, 134, 160, 0, 1, 134, 160]),
      'invalid_image',
      /100000 x 100000/,
    ],
    ['a TIFF of 0 x 0', buildTiff([{ width: 0, height: 0, blocks: [] }]), 'invalid_image', /0 x 0/],
    ['a TIFF of 10^12 pixels', hugeTiff(), 'invalid_image', /1000000/],
    ['an array of 10^12 numbers', npy('<f8', [1e6, 1e6], ramp(100)), 'invalid_image', /truncated or damaged/],
    ['an array of objects', npy('|O', [3, 3], ramp(9)), 'unsupported', /plain numbers/],
    ['a truncated TIFF', tiff().slice(0, 40), 'invalid_image', /truncated/],
    ['a truncated PNG', png(30, 30).slice(0, 60), 'invalid_image', /PNG|damaged/],
    ['a truncated JPEG', encodeJpeg(ramp(64 * 64), 64, 64, 1).slice(0, 400), 'invalid_image', /JPEG/],
    ['a gzipped TIFF', gzipSync(tiff()), 'unsupported', /unpack/],
    ['an archive of texts', zipSync({ 'readme.txt': ramp(5) }), 'unsupported', /no NumPy array and no zarr/],
  ];
  for (const [name, bytes, code, message] of bad)
    it(`${name} is refused with a plain message`, async () => {
      await assert.rejects(open(bytes), { name: 'SamError', code, message });
    });

  it('contents decide, not the extension; if damaged the message tells both', async () => {
    assert.equal((await open(png(5, 6), 'photo.jpg')).sizes.x, 6);
    await assert.rejects(open(png(30, 30).slice(0, 60), 'cells.tif'), {
      message: /By its contents it is PNG, not \.tif/,
    });
  });

  it('anything that is no image input at all', async () => {
    for (const input of [undefined, null, 5, {}, 'photo.png', []])
      await assert.rejects(openImage(input as never), { code: 'invalid_argument' });
  });
});

function tiff(): Uint8Array {
  return buildTiff([{ width: 20, height: 10, blocks: [ramp(200)], tags: [short(258, 8), short(262, 1)] }]);
}

function hugeTiff(): Uint8Array {
  return buildTiff([{ width: 1_000_000, height: 1_000_000, blocks: [ramp(9)], tags: [short(258, 8), short(259, 5)] }]);
}

/** A copy with some bytes changed: [offset, ...bytes]. */
function patched(bytes: Uint8Array, [at, ...values]: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
}

describe('regions', () => {
  it('are checked before anything is read', async () => {
    const image = await open(png(10, 20));
    const wrong = [
      { box: [0, 0, 11, 5] },
      { box: [5, 5, 5, 9] },
      { box: [0, 0.5, 5, 5] },
      { t: 1 },
      { z: -1 },
      { level: 1 },
      { channels: [1] },
      { channels: [] },
    ] as const;
    for (const request of wrong) await assert.rejects(image.readRegion(request), { code: 'invalid_argument' });
  });

  it('of one channel have two axes, of several three; planes are counted t outermost', async () => {
    const data = Uint16Array.from({ length: 2 * 3 * 4 * 5 * 6 }, (_, i) => i);
    const image = await openImage({ data, shape: [2, 3, 4, 5, 6], axes: 'tczyx' });
    assert.equal(planeCount(image), 8);
    assert.deepEqual(planeAt(image, 6), { t: 1, z: 2 });
    const all = await readPlane(image, 6);
    assert.deepEqual(all.shape, [5, 6, 3]);
    assert.equal(all.data[(2 * 6 + 3) * 3 + 1], (((1 * 3 + 1) * 4 + 2) * 5 + 2) * 6 + 3);
    assert.deepEqual((await readPlane(image, 6, { channels: [1] })).shape, [5, 6]);
  });

  it('stop when cancelled', async () => {
    const controller = new AbortController();
    const image = await open(await encodeTiff({ data: ramp(600), shape: [20, 30] }));
    controller.abort();
    await assert.rejects(image.readRegion({}, { signal: controller.signal }), { code: 'cancelled' });
    await assert.rejects(openImage(memoryBytes(tiff()), { signal: controller.signal }), { code: 'cancelled' });
  });
});

describe('arrays in memory', () => {
  const cases: [readonly number[], string | undefined, object][] = [
    [[4, 5], undefined, { t: 1, c: 1, z: 1, y: 4, x: 5 }],
    [[4, 5, 3], undefined, { t: 1, c: 3, z: 1, y: 4, x: 5 }],
    [[3, 4, 5], undefined, { t: 1, c: 1, z: 3, y: 4, x: 5 }],
    [[6, 5, 1], undefined, { t: 1, c: 1, z: 1, y: 6, x: 5 }],
    [[6, 5, 2], undefined, { t: 1, c: 2, z: 1, y: 6, x: 5 }],
    [[7, 6, 5, 1], undefined, { t: 1, c: 1, z: 7, y: 6, x: 5 }],
    [[1, 1, 3], undefined, { t: 1, c: 3, z: 1, y: 1, x: 1 }],
    [[5, 3, 2], undefined, { t: 1, c: 1, z: 5, y: 3, x: 2 }],
    [[6, 4, 5, 3], undefined, { t: 1, c: 3, z: 6, y: 4, x: 5 }],
    [[2, 6, 4, 5], undefined, { t: 2, c: 1, z: 6, y: 4, x: 5 }],
    [[3, 4, 5], 'cyx', { t: 1, c: 3, z: 1, y: 4, x: 5 }],
    [[3, 4, 5], 'TYX', { t: 3, c: 1, z: 1, y: 4, x: 5 }],
    [[5, 4], 'xy', { t: 1, c: 1, z: 1, y: 4, x: 5 }],
  ];
  for (const [shape, axes, sizes] of cases)
    it(`[${shape}] ${axes ?? 'without axes'}`, async () => {
      const data = ramp(shape.reduce((a, b) => a * b));
      assert.deepEqual((await openImage({ data, shape, axes })).sizes, sizes);
    });

  it('have to fit their shape and axes', async () => {
    await assert.rejects(openImage({ data: ramp(10), shape: [3, 4] }), { code: 'invalid_image', message: /10 values/ });
    await assert.rejects(openImage({ data: ramp(12), shape: [3, 4], axes: 'yyx' }), { code: 'invalid_argument' });
    await assert.rejects(openImage({ data: ramp(0), shape: [0, 4] }), { code: 'invalid_image' });
  });
});

describe('NumPy files', () => {
  it('C and Fortran order, both byte orders, whole and in part', async () => {
    const values = Uint16Array.from({ length: 3 * 40 * 50 }, (_, i) => i * 7);
    const big = new Uint8Array(values.slice().buffer);
    for (let i = 0; i < big.length; i += 2) big.subarray(i, i + 2).reverse();
    const fortran = new Uint16Array(values.length);
    for (let z = 0; z < 3; z++)
      for (let y = 0; y < 40; y++)
        for (let x = 0; x < 50; x++) fortran[z + 3 * (y + 40 * x)] = values[(z * 40 + y) * 50 + x];
    const files = [
      npy('<u2', [3, 40, 50], new Uint8Array(values.buffer)),
      npy('>u2', [3, 40, 50], big),
      npy('<u2', [3, 40, 50], new Uint8Array(fortran.buffer), true),
    ];
    for (const bytes of files) {
      const image = await open(bytes);
      assert.deepEqual(image.sizes, { t: 1, c: 1, z: 3, y: 40, x: 50 });
      assert.deepEqual((await image.readRegion({ z: 2 })).data, values.slice(2 * 2000));
      const { data } = await image.readRegion({ z: 1, box: [10, 20, 12, 23] });
      const at = (y: number, x: number) => values[(40 + y) * 50 + x];
      assert.deepEqual(Array.from(data), [at(10, 20), at(10, 21), at(10, 22), at(11, 20), at(11, 21), at(11, 22)]);
    }
  });

  it('the arrays of an .npz by key', async () => {
    const archive = zipSync({
      'image.npy': npy('|u1', [4, 5], ramp(20)),
      'mask.npy': npy(
        '|b1',
        [4, 5],
        ramp(20).map((v) => v % 2),
      ),
    });
    const image = await openImage(memoryBytes(archive), { key: 'mask' });
    assert.deepEqual(Array.from((await image.readRegion({ box: [0, 0, 1, 5] })).data), [0, 1, 0, 1, 0]);
    assert.deepEqual(image.images, ['image', 'mask']);
    await assert.rejects(openImage(memoryBytes(archive), { key: 'nothing' }), {
      code: 'not_found',
      message: /image, mask/,
    });
  });
});

describe('PNG', () => {
  it('palettes become colours, grey of few bits keeps its values', async () => {
    const palette = [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [9, 8, 7],
    ];
    const header = (depth: number, type: number) => [0, 0, 0, 4, 0, 0, 0, 2, depth, type, 0, 0, 0];
    const { zlibSync } = await import('fflate');
    const rows = zlibSync(Uint8Array.of(0, 0b00_01_10_11, 0, 0b11_10_01_00));
    const chunks = (type: number) => [
      chunk('IHDR', header(2, type)),
      ...(type === 3 ? [chunk('PLTE', palette.flat())] : []),
      chunk('IDAT', [...rows]),
      chunk('IEND', []),
    ];
    const file = (type: number) =>
      Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, ...chunks(type).flat()]);
    const colours = await open(file(3));
    assert.equal(colours.rgb, true);
    assert.deepEqual(Array.from((await colours.readRegion({})).data), [...palette, ...[...palette].reverse()].flat());
    assert.deepEqual(Array.from((await (await open(file(0))).readRegion({})).data), [0, 1, 2, 3, 3, 2, 1, 0]);
  });
});

function chunk(type: string, data: readonly number[]): number[] {
  return [0, 0, data.length >> 8, data.length & 255, ...[...type].map((c) => c.charCodeAt(0)), ...data, 0, 0, 0, 0];
}

describe('OME-Zarr', () => {
  for (const version of [2, 3] as const) {
    it(`zarr v${version}: levels, axes, pixel size, channels, and only the chunks that are touched`, async () => {
      const { store, reads } = countingStore(madeOmeZarr(version));
      const image = await openImage(store);
      assert.equal(image.name, 'cells');
      assert.deepEqual(image.sizes, { t: 1, c: 2, z: 3, y: 32, x: 32 });
      assert.deepEqual(image.levels, [
        [32, 32],
        [16, 16],
      ]);
      assert.deepEqual(image.pixelSize, { z: 0.5, y: 0.1, x: 0.1, unit: 'µm' });
      assert.deepEqual(image.channels[0], { name: 'DNA', color: '#0000ff', limits: [0, 300] });
      assert.equal(image.channels[1].name, 'Actin');
      const before = reads.length;
      const box = [14, 3, 18, 6] as const;
      const { data, shape } = await image.readRegion({ z: 2, box });
      assert.deepEqual(shape, [4, 3, 2]);
      for (let y = 0; y < 4; y++)
        for (let x = 0; x < 3; x++)
          for (let c = 0; c < 2; c++) assert.equal(data[(y * 3 + x) * 2 + c], omePixel(0, c, 2, y + 14, x + 3));
      assert.equal(reads.length - before, 4, 'two channels of two chunks');
      const low = await image.readRegion({ z: 1, level: 1, channels: [1], box: [3, 4, 4, 5] });
      assert.deepEqual(Array.from(low.data), [omePixel(1, 1, 1, 3, 4)]);
    });

    it(`zarr v${version} as a dropped folder, as a zip, and one of its arrays by key`, async () => {
      const entries = [...madeOmeZarr(version)];
      const files = entries.map(([key, bytes]) => {
        const file = new File([bytes as Uint8Array<ArrayBuffer>], key.split('/').at(-1) ?? '');
        return Object.defineProperty(file, 'webkitRelativePath', { value: `dish.ome.zarr/${key}` });
      });
      const zip = zipSync(Object.fromEntries(entries.map(([key, bytes]) => [`dish.ome.zarr/${key}`, bytes])));
      for (const input of [files, memoryBytes(zip, 'dish.zip')]) {
        const image = await openImage(input);
        assert.equal((await image.readRegion({ z: 2, channels: [1] })).data[33], omePixel(0, 1, 2, 1, 1));
      }
      const plain = await openImage(memoryStore('plain', entries), { key: '1' });
      assert.deepEqual(plain.sizes, { t: 2, c: 1, z: 3, y: 16, x: 16 });
    });
  }

  it('a region of very many chunks is refused, a small one of the same array read', async () => {
    const array = { zarr_format: 2, shape: [1000, 1000], chunks: [1, 2], dtype: '<u2', order: 'C', filters: null };
    const json = new TextEncoder().encode(JSON.stringify({ ...array, compressor: null, fill_value: 7 }));
    const image = await openImage(memoryStore('tiny chunks', [['.zarray', json]]));
    await assert.rejects(image.readRegion({}), { code: 'invalid_argument', message: /500000 tiles or chunks/ });
    assert.deepEqual(Array.from((await image.readRegion({ box: [9, 9, 10, 12] })).data), [7, 7, 7]);
  });

  it('a group of several arrays asks which one', async () => {
    const entries = [...madeOmeZarr(3)].filter(([key]) => key !== 'zarr.json');
    const group = new TextEncoder().encode('{"zarr_format": 3, "node_type": "group", "attributes": {}}');
    await assert.rejects(openImage(memoryStore('group', [...entries, ['zarr.json', group]])), {
      code: 'invalid_argument',
      message: /which one is the image: 0, 1/,
    });
    await assert.rejects(openImage(memoryStore('empty')), { code: 'not_found' });
  });
});

describe('files and addresses', () => {
  it('a Blob, and files on disk as frames of a time series in natural order', async () => {
    assert.equal((await openImage(new Blob([tiff() as Uint8Array<ArrayBuffer>]))).sizes.x, 20);
    const folder = mkdtempSync(path.join(tmpdir(), 'series-'));
    try {
      const frames = [10, 2, 1].map((t) => ({ t, file: path.join(folder, `t${t}.tif`) }));
      for (const { t, file } of frames) {
        const page = {
          width: 4,
          height: 3,
          blocks: [new Uint8Array(12).fill(t)],
          tags: [short(258, 8), short(262, 1)],
        };
        writeFileSync(file, buildTiff([page]));
      }
      const series = await openImage(await Promise.all(frames.map(({ file }) => fileBytes(file))));
      assert.deepEqual(series.sizes, { t: 3, c: 1, z: 1, y: 3, x: 4 });
      assert.equal(series.axes, 'tyx');
      for (const [t, value] of [1, 2, 10].entries()) assert.equal((await series.readRegion({ t })).data[0], value);
      await series.close();
      const odd = [memoryBytes(tiff(), 'a1.tif'), memoryBytes(png(9, 9), 'a2.png')];
      await assert.rejects((await openImage(odd)).readRegion({ t: 1 }), { code: 'invalid_image', message: /alike/ });
    } finally {
      rmSync(folder, { recursive: true });
    }
    await assert.rejects(fileBytes(path.join(folder, 'gone.tif')), { code: 'not_found' });
  });

  it('an address whose server answers ranges, and one that sends the whole file', async () => {
    const noise = Uint8Array.from({ length: 1000 * 1000 }, (_, i) => (i * 7919) % 251);
    const file = await encodeTiff({ data: noise, shape: [1000, 1000] }, { compression: 'none' });
    let sent = 0;
    let ranges = true;
    const listener: RequestListener = (request, response) => {
      if (request.url !== '/cells.tif') return response.writeHead(404).end();
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
      const end = Math.min(Number(to) + 1, file.length);
      const part = ranges ? file.subarray(Number(from), end) : file;
      sent += part.length;
      if (ranges) response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${file.length}` });
      return response.end(part);
    };
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      for (ranges of [true, false]) {
        sent = 0;
        const image = await openImage(`${url}/cells.tif`);
        assert.equal(image.name, 'cells.tif');
        const { data } = await image.readRegion({ box: [500, 10, 502, 13] });
        const at = (y: number, x: number) => noise[y * 1000 + x];
        assert.deepEqual(Array.from(data), [
          at(500, 10),
          at(500, 11),
          at(500, 12),
          at(501, 10),
          at(501, 11),
          at(501, 12),
        ]);
        assert.ok(ranges ? sent < file.length * 0.6 : sent === file.length, `${sent} of ${file.length} bytes`);
      }
      await assert.rejects(openImage(`${url}/other.tif`), { code: 'not_found', message: /404/ });
      await assert.rejects(openImage(`${url}/other.zarr`), { code: 'not_found', message: /zarr/ });
    } finally {
      server.close();
    }
  });

  it('an address whose server has the file packed and unpacks it on the way', async () => {
    const random = seededRandom(200);
    const noise = Uint8Array.from({ length: 200_000 }, () => random() * 256);
    const file = await encodeTiff({ data: noise, shape: [1000, 200] }, { compression: 'none' });
    const packed = gzipSync(file);
    assert.ok(packed.length > 100_000);
    const server = createServer((request, response) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
      response.setHeader('content-encoding', 'gzip');
      if (from === undefined) return response.end(packed);
      const end = Math.min(Number(to) + 1, packed.length);
      response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${packed.length}` });
      return response.end(packed.subarray(Number(from), end));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const image = await openImage(`http://127.0.0.1:${(server.address() as AddressInfo).port}/cells.tif`);
      const { data } = await image.readRegion({ box: [900, 10, 901, 13] });
      assert.deepEqual(data, noise.slice(180_010, 180_013));
    } finally {
      server.close();
    }
  });
});
