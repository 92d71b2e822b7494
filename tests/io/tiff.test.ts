import assert from 'node:assert/strict';
import { zlibSync } from 'fflate';
import { type ByteSource, memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import type { TypedArray } from '../../src/ndimage/array.js';
import { encodeJpeg } from '../support/jpeg-encoder.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { buildTiff, type Flavour, type Page, short, text } from '../support/tiff-builder.js';

const HEIGHT = 21;
const WIDTH = 37;

async function readWhole(bytes: Uint8Array) {
  const image = await openImage(memoryBytes(bytes, 'test.tif'));
  return { image, ...(await image.readRegion({})) };
}

function bytesOf(values: TypedArray | BigInt64Array | BigUint64Array, bigEndian = false): Uint8Array {
  const bytes = new Uint8Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
  const size = values.BYTES_PER_ELEMENT;
  if (bigEndian) for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse();
  return bytes;
}

function page(
  blocks: readonly Uint8Array[],
  bits: number,
  format: number,
  compression: number,
  extra: Partial<Page> = {},
): Page {
  const tags = [short(258, bits), short(259, compression), short(262, 1), short(339, format), ...(extra.tags ?? [])];
  return { width: WIDTH, height: HEIGHT, blocks, ...extra, tags };
}

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

describe('TIFF layouts', () => {
  const plane = (factor: number) => Uint8Array.from({ length: HEIGHT * WIDTH }, (_, i) => (i * factor) % 251);

  it('strips, tiles and planar samples hold the same picture', async () => {
    const planes = [plane(3), plane(5), plane(7)];
    const chunky = Uint8Array.from({ length: HEIGHT * WIDTH * 3 }, (_, i) => planes[i % 3][Math.floor(i / 3)]);
    const tags = [short(258, 8, 8, 8), short(262, 2), short(277, 3)];
    const rows = (data: Uint8Array, perRow: number) =>
      Array.from({ length: Math.ceil(HEIGHT / 4) }, (_, i) => data.slice(i * 4 * perRow, (i + 1) * 4 * perRow));
    const tiles = Array.from({ length: 2 * 3 }, (_, tile) =>
      Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => {
        const y = Math.floor(tile / 3) * 16 + Math.floor(i / 48);
        const x = (tile % 3) * 16 + (Math.floor(i / 3) % 16);
        return y < HEIGHT && x < WIDTH ? chunky[(y * WIDTH + x) * 3 + (i % 3)] : 99;
      }),
    );
    const size = { width: WIDTH, height: HEIGHT };
    const files = {
      strips: buildTiff([{ ...size, blocks: rows(chunky, WIDTH * 3), rowsPerStrip: 4, tags }]),
      'one strip': buildTiff([{ ...size, blocks: [chunky], tags }]),
      tiles: buildTiff([{ ...size, blocks: tiles, tile: [16, 16], tags }]),
      planar: buildTiff([
        { ...size, blocks: planes.flatMap((p) => rows(p, WIDTH)), rowsPerStrip: 4, tags: [...tags, short(284, 2)] },
      ]),
    };
    for (const [name, bytes] of Object.entries(files)) {
      const { image, data } = await readWhole(bytes);
      assert.deepEqual(data, chunky, name);
      const box = [3, 5, 18, 30] as const;
      const part = await image.readRegion({ box, channels: [2, 0] });
      assert.deepEqual(part.shape, [15, 25, 2]);
      for (let y = 0; y < 15; y++)
        for (let x = 0; x < 25; x++)
          for (const [k, channel] of [2, 0].entries())
            assert.equal(part.data[(y * 25 + x) * 2 + k], planes[channel][(y + 3) * WIDTH + x + 5], name);
    }
  });

  it('a region reads only the tiles it touches', async () => {
    const tiles = Array.from({ length: 64 }, (_, i) => new Uint8Array(64 * 64).fill(i));
    const bytes = buildTiff([
      { width: 512, height: 512, tile: [64, 64], blocks: tiles, tags: [short(258, 8), short(262, 1)] },
    ]);
    const { source, read } = counting(memoryBytes(bytes, 'tiles.tif'));
    const image = await openImage(source);
    const opening = read();
    const { data } = await image.readRegion({ box: [70, 70, 120, 190] });
    assert.deepEqual([...new Set(data)], [9, 10]);
    assert.equal(read() - opening, 2 * 64 * 64);
    await image.readRegion({ box: [70, 70, 120, 190] });
    assert.equal(read() - opening, 2 * 64 * 64, 'from the cache');
  });

  it('a few rows of a plane in one uncompressed strip do not read the plane', async () => {
    const [height, width] = [4_000, 1_500];
    const data = new Uint8Array(height * width);
    for (let y = 0; y < height; y++) data.fill(y % 256, y * width, (y + 1) * width);
    const header = buildTiff([{ width, height, blocks: [new Uint8Array(1)], tags: [short(258, 8), short(262, 1)] }]);
    // The strip is put behind the directory by hand: the builder is for small files.
    const bytes = new Uint8Array(header.length + data.length);
    bytes.set(header);
    bytes.set(data, header.length);
    patchLong(bytes, 273, header.length);
    patchLong(bytes, 279, data.length);
    const { source, read } = counting(memoryBytes(bytes, 'strip.tif'));
    const image = await openImage(source);
    const before = read();
    const part = await image.readRegion({ box: [3_000, 700, 3_010, 720] });
    assert.equal(part.data[0], 3_000 % 256);
    assert.equal(part.data[9 * 20], 3_009 % 256);
    assert.ok(read() - before < 3 * 2 ** 20, `${read() - before} bytes read of ${data.length}`);
  });

  it('sub-directories are resolution levels', async () => {
    const half = {
      width: 18,
      height: 10,
      blocks: [new Uint8Array(180).fill(7)],
      tags: [short(258, 8), short(262, 1), short(254, 1)],
    };
    const bytes = buildTiff([{ ...page([plane(1)], 8, 1, 1), sub: [half] }]);
    const { image } = await readWhole(bytes);
    assert.deepEqual(image.levels, [
      [HEIGHT, WIDTH],
      [10, 18],
    ]);
    const { data } = await image.readRegion({ level: 1, box: [2, 2, 4, 4] });
    assert.deepEqual(Array.from(data), [7, 7, 7, 7]);
  });

  it('smaller pages of the same picture are resolution levels, a label page is another image', async () => {
    const small = (width: number, height: number, fill: number): Page => ({
      width,
      height,
      blocks: [new Uint8Array(width * height).fill(fill)],
      tags: [short(258, 8), short(262, 1), short(254, 1)],
    });
    const bytes = buildTiff([small(64, 32, 1), small(32, 16, 2), small(16, 8, 3), small(20, 20, 4)]);
    const { image } = await readWhole(bytes);
    assert.deepEqual(image.levels, [
      [32, 64],
      [16, 32],
      [8, 16],
    ]);
    assert.equal(image.images?.length, 2);
    const label = await openImage(memoryBytes(bytes, 'test.tif'), { series: 1 });
    assert.deepEqual(label.levels, [[20, 20]]);
    await assert.rejects(openImage(memoryBytes(bytes), { series: 2 }), { code: 'invalid_argument' });
  });
});

describe('TIFF stacks', () => {
  const size = { width: 6, height: 5 };
  const filled = (value: number): Page => ({
    ...size,
    blocks: [new Uint8Array(30).fill(value)],
    tags: [short(258, 8), short(262, 1)],
  });
  const described = (pages: Page[], description: string): Page[] => [
    { ...pages[0], tags: [...(pages[0].tags ?? []), text(270, description)] },
    ...pages.slice(1),
  ];

  it('ImageJ hyperstacks: channels fastest, then slices, then frames, with their pixel size', async () => {
    const pages = Array.from({ length: 2 * 3 * 4 }, (_, i) => filled(i));
    pages[0] = {
      ...pages[0],
      tags: [...(pages[0].tags ?? []), { tag: 282, type: 5, values: [4] }, { tag: 283, type: 5, values: [5] }],
    };
    const text = 'ImageJ=1.53t\nimages=24\nchannels=2\nslices=3\nframes=4\nhyperstack=true\nunit=micron\nspacing=2.5\n';
    const { image } = await readWhole(buildTiff(described(pages, text)));
    assert.deepEqual(image.sizes, { t: 4, c: 2, z: 3, y: 5, x: 6 });
    assert.equal(image.axes, 'tzyx');
    assert.deepEqual(image.pixelSize, { z: 2.5, y: 0.2, x: 0.25, unit: 'µm' });
    for (const [t, z, c] of [
      [0, 0, 1],
      [3, 2, 1],
      [2, 1, 0],
    ])
      assert.equal((await image.readRegion({ t, z, channels: [c] })).data[0], (t * 3 + z) * 2 + c);
  });

  it('an ImageJ stack that lists one page for all its planes', async () => {
    const planes = Uint8Array.from({ length: 30 * 5 }, (_, i) => Math.floor(i / 30) * 10 + (i % 10));
    const pages: Page[] = [
      {
        ...size,
        blocks: [planes],
        tags: [short(258, 8), short(262, 1), text(270, 'ImageJ=1.53t\nimages=5\nslices=5\n')],
      },
    ];
    const { image } = await readWhole(buildTiff(pages));
    assert.equal(image.sizes.z, 5);
    for (let z = 0; z < 5; z++)
      assert.deepEqual((await image.readRegion({ z })).data, planes.slice(z * 30, (z + 1) * 30));
    const claimed = buildTiff(described([filled(0)], 'ImageJ=1.53t\nimages=500\nslices=500\n'));
    await assert.rejects(readWhole(claimed), { code: 'invalid_image', message: /truncated/ });
  });

  it('an ImageJ stack of 5 GB in one page: a far plane costs only itself', async () => {
    const side = 1000;
    const tags = [short(258, 8), short(262, 1), text(270, 'ImageJ=1.53t\nimages=5000\nslices=5000\n')];
    const header = buildTiff([{ width: side, height: side, blocks: [new Uint8Array(1)], tags }]);
    patchLong(header, 273, header.length);
    patchLong(header, 279, side * side);
    const { source, read } = counting({
      name: 'huge.tif',
      size: header.length + 5000 * side * side,
      async read(offset, length) {
        return Uint8Array.from({ length }, (_, i) => header[offset + i] ?? (offset + i - header.length) % 251);
      },
    });
    const image = await openImage(source);
    assert.equal(image.sizes.z, 5000);
    const before = read();
    const { data } = await image.readRegion({ z: 4700, box: [10, 20, 11, 23] });
    const at = 4700 * side * side + 10 * side + 20;
    assert.deepEqual(Array.from(data), [at % 251, (at + 1) % 251, (at + 2) % 251]);
    assert.ok(read() - before <= side * side);
  });

  it("tifffile's description of its axes", async () => {
    const pages = Array.from({ length: 6 }, (_, i) => filled(i));
    const { image } = await readWhole(buildTiff(described(pages, '{"shape": [3, 2, 5, 6], "axes": "TCYX"}')));
    assert.deepEqual(image.sizes, { t: 3, c: 2, z: 1, y: 5, x: 6 });
    assert.equal((await image.readRegion({ t: 2, channels: [1] })).data[0], 5);
  });

  const omeXml = (tiffData: string, order = 'XYZCT') => `<?xml version="1.0" encoding="UTF-8"?>
    <OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:a"><Image ID="Image:0" Name="cells &amp; more">
    <Pixels DimensionOrder="${order}" SizeX="6" SizeY="5" SizeZ="2" SizeC="2" SizeT="1" Type="uint8"
      PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="500" PhysicalSizeZUnit="nm">
    <Channel ID="0" Name="DNA" Color="65535" SamplesPerPixel="1"/><Channel ID="1" Name="Actin" SamplesPerPixel="1"/>
    ${tiffData}</Pixels></Image></OME>`;

  it('OME-XML gives axes, channels and the size of a voxel', async () => {
    const pages = Array.from({ length: 4 }, (_, i) => filled(i));
    const { image } = await readWhole(buildTiff(described(pages, omeXml('<TiffData/>', 'XYZCT'))));
    assert.equal(image.name, 'cells & more');
    assert.deepEqual(image.sizes, { t: 1, c: 2, z: 2, y: 5, x: 6 });
    assert.deepEqual(image.pixelSize, { z: 0.5, y: 0.1, x: 0.1, unit: 'µm' });
    assert.deepEqual(image.channels, [
      { name: 'DNA', color: '#0000ff' },
      { name: 'Actin', color: undefined },
    ]);
    assert.equal((await image.readRegion({ z: 1, channels: [0] })).data[0], 1);
    const swapped = await readWhole(buildTiff(described(pages, omeXml('<TiffData/>', 'XYCZT'))));
    assert.equal((await swapped.image.readRegion({ z: 1, channels: [0] })).data[0], 2);
  });

  it('OME-XML that only points to a companion file leaves the pages as they are', async () => {
    const xml = '<OME><BinaryOnly MetadataFile="plate.companion.ome" UUID="urn:uuid:c"/></OME>';
    const { image } = await readWhole(buildTiff(described([filled(3), filled(4)], xml)));
    assert.deepEqual(image.sizes, { t: 1, c: 1, z: 2, y: 5, x: 6 });
  });

  it('OME-TIFFs of several files need all of them, and say which is missing', async () => {
    const parts = [0, 1].map(
      (c) =>
        `<TiffData FirstC="${c}" FirstZ="0" IFD="0" PlaneCount="2"><UUID FileName="c${c}.ome.tif">urn:uuid:${'ab'[c]}</UUID></TiffData>`,
    );
    const file = (c: number) => buildTiff(described([filled(c * 10), filled(c * 10 + 1)], omeXml(parts.join(''))));
    const first = memoryBytes(file(0), 'c0.ome.tif');
    const whole = await openImage([memoryBytes(file(1), 'c1.ome.tif'), first]);
    assert.deepEqual(whole.files, ['c0.ome.tif', 'c1.ome.tif']);
    assert.equal((await whole.readRegion({ z: 1, channels: [1] })).data[0], 11);
    assert.deepEqual(whole.sizes, { t: 1, c: 2, z: 2, y: 5, x: 6 });
    const alone = await openImage(first);
    assert.equal((await alone.readRegion({ z: 1, channels: [0] })).data[0], 1);
    await assert.rejects(alone.readRegion({ channels: [1] }), { code: 'unsupported', message: /c1\.ome\.tif/ });
  });
});

function counting(source: ByteSource): { source: ByteSource; read: () => number } {
  let bytes = 0;
  return {
    read: () => bytes,
    source: {
      ...source,
      read(offset, length, options) {
        bytes += length;
        return source.read(offset, length, options);
      },
    },
  };
}

/** Overwrites the value of a tag in the first directory of a little-endian TIFF. */
function patchLong(bytes: Uint8Array, tag: number, value: number): void {
  const view = new DataView(bytes.buffer);
  const start = view.getUint32(4, true);
  for (let i = 0; i < view.getUint16(start, true); i++)
    if (view.getUint16(start + 2 + i * 12, true) === tag) view.setUint32(start + 10 + i * 12, value, true);
}
