import assert from 'node:assert/strict';
import { strToU8, zipSync } from 'fflate';
import { type ByteSource, memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { openZipArchive } from '../../src/io/zip-archive.js';
import { seededRandom } from '../support/random.js';
import { madeOmeZarr } from '../support/zarr-builder.js';

/** The same bytes, and how many of them were read. */
function counted(bytes: Uint8Array) {
  const source = memoryBytes(bytes, 'archive.zip');
  let read = 0;
  const counting: ByteSource = {
    ...source,
    read(offset, length, options) {
      read += length;
      return source.read(offset, length, options);
    },
  };
  return { counting, read: () => read };
}

function noise(length: number): Uint8Array {
  const random = seededRandom(length);
  return Uint8Array.from({ length }, () => random() * 256);
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('zip archives', () => {
  it('a member costs its own bytes and the directory, packed or not', async () => {
    const big = noise(400_000);
    const { counting, read } = counted(
      zipSync({ 'a/big': [big, { level: 0 }], packed: strToU8('x'.repeat(9000)), 'b/big': big }),
    );
    const archive = await openZipArchive(counting);
    assert.deepEqual([...archive.members.keys()], ['a/big', 'packed', 'b/big']);
    assert.equal(text(await archive.read('packed')), 'x'.repeat(9000));
    const part = await (await archive.open('a/big')).read(200_000, 1000);
    assert.deepEqual(part, big.subarray(200_000, 201_000));
    assert.ok(read() < 80_000, `${read()} bytes`);
    assert.deepEqual(await archive.read('b/big'), big);
    assert.deepEqual(await archive.read('a/big'), big);
  });

  it('a region of a zipped OME-Zarr or of an array of an .npz reads a part of the archive', async () => {
    const filling = noise(500_000);
    const zarr = Object.fromEntries([...madeOmeZarr(2)].map(([key, bytes]) => [`cells.ome.zarr/${key}`, bytes]));
    const { counting, read } = counted(zipSync({ ...zarr, 'cells.ome.zarr/notes': filling }));
    const image = await openImage(counting);
    const { data } = await image.readRegion({ box: [0, 0, 4, 4] });
    const loose = await openImage(zipSync(zarr));
    assert.deepEqual(data, (await loose.readRegion({ box: [0, 0, 4, 4] })).data);
    assert.ok(read() < 100_000, `${read()} bytes`);

    const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (1000, 500), }`.padEnd(117);
    const npy = Uint8Array.from([...strToU8('\x93NUMPY\x01\x00', true), 118, 0, ...strToU8(`${header}\n`), ...filling]);
    const archive = counted(zipSync({ 'image.npy': npy }, { level: 0 }));
    const array = await openImage(archive.counting);
    const region = await array.readRegion({ box: [700, 20, 702, 23] });
    assert.deepEqual(
      [...region.data],
      [20, 21, 22, 520, 521, 522].map((at) => filling[350_000 + at]),
    );
    assert.ok(archive.read() < 100_000, `${archive.read()} bytes`);
  });

  it('sizes and places of zip64', async () => {
    const plain = zipSync({ a: strToU8('first') }, { level: 0 });
    const view = new DataView(plain.buffer);
    const end = plain.length - 22;
    const directory = view.getUint32(end + 16, true);
    const wide = (value: number) => [value & 255, value >> 8, 0, 0, 0, 0, 0, 0];
    const central = plain.slice(directory, end);
    const fields = new DataView(central.buffer);
    for (const field of [20, 24, 42]) fields.setUint32(field, 0xffffffff, true);
    fields.setUint16(30, 28, true);
    const extra = [1, 0, 24, 0, ...wide(5), ...wide(5), ...wide(0)];
    const size = central.length + extra.length;
    const at = directory + size;
    const record = [0x50, 0x4b, 6, 6, ...wide(44), 45, 0, 45, 0, ...Array(8).fill(0), ...wide(1), ...wide(1)];
    const locator = [0x50, 0x4b, 6, 7, 0, 0, 0, 0, ...wide(at), 1, 0, 0, 0];
    const last = plain.slice(end);
    last.fill(255, 8, 20);
    const all = [plain.subarray(0, directory), central, extra, record, wide(size), wide(directory), locator, last];
    const archive = await openZipArchive(memoryBytes(Uint8Array.from(all.flatMap((part) => [...part])), 'wide.zip'));
    assert.equal(text(await archive.read('a')), 'first');
  });

  it('what cannot be unpacked is named; a size that cannot be is refused', async () => {
    const good = zipSync({ a: strToU8('hello'.repeat(100)) });
    const directory = new DataView(good.buffer).getUint32(good.length - 6, true);
    const changed = (field: number, value: number) => {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(directory + field, value, true);
      return openZipArchive(memoryBytes(bytes, 'a.zip'));
    };
    await assert.rejects((await changed(10, 12)).read('a'), { code: 'unsupported', message: /method 12/ });
    await assert.rejects((await changed(8, 1 + (8 << 16))).read('a'), { code: 'unsupported', message: /encrypted/ });
    await assert.rejects((await changed(24, 2 ** 31)).read('a'), { code: 'invalid_image' });
    await assert.rejects((await changed(24, 499)).read('a'), { code: 'invalid_image' });
    await assert.rejects((await changed(42, 7)).read('a'), { code: 'invalid_image' });
  });
});
