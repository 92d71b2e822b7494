import assert from 'node:assert/strict';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { buildTiff, type Page, short } from '../support/tiff-builder.js';
import { counting, HEIGHT, page, patchLong, readWhole, WIDTH } from '../support/tiff-pages.js';

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
