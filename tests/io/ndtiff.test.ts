import assert from 'node:assert/strict';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { ndTiff, STEPS } from '../support/recordings.js';
import { buildTiff, short } from '../support/tiff-builder.js';

/** Files of 6 x 5 pixels whose planes have one value each. */
describe('NDTiff', () => {
  const open = (files: ReadonlyMap<string, Uint8Array>, name: string, series?: number) =>
    openImage(memoryBytes(files.get(name) as Uint8Array, name), {
      series,
      beside: async (other) => {
        const bytes = files.get(other);
        return bytes && memoryBytes(bytes, other);
      },
    });
  /** [t][z] = values of the channels. */
  const values = async (image: Awaited<ReturnType<typeof openImage>>) => {
    const { t, z, c } = image.sizes;
    const out: number[][][] = [];
    for (let ti = 0; ti < t; ti++) {
      out.push([]);
      for (let zi = 0; zi < z; zi++) {
        const { data } = await image.readRegion({ t: ti, z: zi });
        for (let i = 0; i < data.length; i++) assert.equal(data[i], data[i % c]);
        out[ti].push([...data.subarray(0, c)]);
      }
    }
    return out;
  };
  const whole = [
    [
      [100, 102],
      [101, 103],
    ],
    [
      [104, 106],
      [105, 107],
    ],
  ];

  it('is whole from any of its files, with the places of its index', async () => {
    const files = ndTiff(STEPS, 5);
    for (const name of ['run_NDTiffStack.tif', 'run_NDTiffStack_1.tif']) {
      const image = await open(files, name);
      assert.deepEqual(await values(image), whole);
      assert.deepEqual(
        image.channels.map((channel) => channel.name),
        ['DAPI', 'GFP'],
      );
      assert.equal(image.pixelSize?.x, 0.25);
      assert.equal(image.notices, undefined);
    }
    const chosen = [...files].map(([name, bytes]) => memoryBytes(bytes, name));
    assert.deepEqual(await values(await openImage(chosen)), whole);
  });

  it('has an image for each position, and slices in the order of their numbers', async () => {
    const planes = [1, -1, 0].flatMap((z) =>
      [0, 1].map((position) => ({ axes: { z, position }, value: 50 + 10 * position + z })),
    );
    const files = ndTiff(planes, 4);
    for (const position of [0, 1]) {
      const image = await open(files, 'run_NDTiffStack.tif', position);
      assert.deepEqual(image.images, ['position 0', 'position 1']);
      assert.deepEqual(
        (await values(image)).flat(2),
        [49, 50, 51].map((value) => value + 10 * position),
      );
    }
  });

  it('that stopped early, or lacks a file, shows what is there', async () => {
    const early = await open(ndTiff(STEPS.slice(0, 7), 10), 'run_NDTiffStack.tif');
    assert.deepEqual((await values(early)).flat(2), [100, 102, 101, 103, 104, 106, 105, 0]);
    assert.match(early.notices?.join(' ') ?? '', /stopped early/);
    const files = ndTiff(STEPS, 4);
    files.delete('run_NDTiffStack_1.tif');
    const partial = await open(files, 'run_NDTiffStack.tif');
    assert.deepEqual((await values(partial)).flat(2), [100, 102, 101, 103, 0, 0, 0, 0]);
    assert.deepEqual(partial.absentPlanes, [2, 3]);
    assert.match(partial.notices?.join(' ') ?? '', /run_NDTiffStack_1\.tif is black/);
  });

  it('whose planes are in tiles is refused: its index says where strips are', async () => {
    const files = ndTiff(STEPS.slice(0, 1), 1);
    const [name] = [...files.keys()].filter((file) => file.endsWith('.tif'));
    const tiled = { width: 6, height: 5, tile: [16, 16] as const, blocks: [new Uint8Array(256)] };
    files.set(name, buildTiff([{ ...tiled, tags: [short(258, 8), short(259, 1), short(262, 1)] }]));
    const image = await open(files, name);
    await assert.rejects(image.readRegion({}), { code: 'unsupported', message: /tiles/ });
  });

  it('with a damaged index, or none, is read as its pages are', async () => {
    const files = ndTiff(STEPS, 8);
    for (const index of [undefined, new Uint8Array(7).fill(255)]) {
      if (index) files.set('NDTiff.index', index);
      else files.delete('NDTiff.index');
      assert.equal((await open(files, 'run_NDTiffStack.tif')).sizes.z, 8);
    }
  });
});
