import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { seriesOfFiles } from '../../../src/app/series.js';
import { listInputs } from '../../../src/cli/batch/inputs.js';
import { memoryBytes } from '../../../src/io/bytes.js';
import { partsOfSets } from '../../../src/io/folder/file-sets.js';
import type { ImageSource } from '../../../src/io/image.js';
import { openFile } from '../../../src/io/node-open.js';
import { openImage } from '../../../src/io/open.js';
import { encodeTiff } from '../../../src/io/tiff/writer.js';
import { ndTiff, POSITIONS, recording, SLICES, STEPS } from '../../support/recordings.js';

/** The value of each plane. */
async function planes(image: ImageSource): Promise<number[]> {
  const values: number[] = [];
  assert.equal(image.absentPlanes, undefined);
  for (let z = 0; z < image.sizes.z; z++) values.push((await image.readRegion({ z })).data[0]);
  await image.close();
  return values;
}

async function partsOf(files: ReadonlyMap<string, Uint8Array>): Promise<string[]> {
  const parts = await partsOfSets([...files.keys()], async (name) => memoryBytes(files.get(name) as Uint8Array, name));
  return [...parts].map(([part, whole]) => `${part} of ${whole}`).sort();
}

const plain = () => encodeTiff({ data: new Uint8Array(30).fill(99), shape: [5, 6] });

describe('files that are one image together', () => {
  for (const metadata of ['each', 'first'] as const)
    it(`are the parts of a position, and no other position (OME-XML in ${metadata})`, async () => {
      const files = recording(POSITIONS, metadata);
      assert.deepEqual(await partsOf(files), ['s_MMStack_Pos0_1.ome.tif of s_MMStack_Pos0.ome.tif']);
    });

  it('are the slices of a stack and what a companion file names; others stand for themselves', async () => {
    const files = recording(SLICES, 'each');
    files.set('cells.tif', await plain());
    files.set('broken.ome.tif', Uint8Array.of(0x49, 0x49, 42, 0, 200, 0, 0, 0));
    const slices = ['slice1.ome.tif of slice0.ome.tif', 'slice2.ome.tif of slice0.ome.tif'];
    assert.deepEqual(await partsOf(files), slices);
    const companion = recording(SLICES, 'm.companion.ome');
    companion.set('cells.tif', await plain());
    assert.deepEqual(
      await partsOf(companion),
      SLICES.map(({ name }) => `${name} of m.companion.ome`),
    );
    companion.delete('m.companion.ome');
    assert.deepEqual(await partsOf(companion), []);
  });

  it('are not what was renamed, made anew or copied to another folder', async () => {
    const [first, second, third] = recording(SLICES, 'each').values();
    assert.deepEqual(
      await partsOf(
        new Map([
          ['slice0.ome.tif', first],
          ['other.ome.tif', second],
        ]),
      ),
      [],
    );
    assert.deepEqual(
      await partsOf(
        new Map([
          ['slice0.ome.tif', first],
          ['slice1.ome.tif', await plain()],
        ]),
      ),
      [],
    );
    assert.deepEqual(
      await partsOf(
        new Map([
          ['a/slice0.ome.tif', first],
          ['b/slice1.ome.tif', second],
        ]),
      ),
      [],
    );
    const two = new Map([
      ['a/slice1.ome.tif', second],
      ['a/slice2.ome.tif', third],
      ['slice0.ome.tif', first],
    ]);
    assert.deepEqual(await partsOf(two), ['a/slice2.ome.tif of a/slice1.ome.tif']);
  });

  it('are taken once from a folder, whole, by the command line and by a series of chosen files', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-sets-'));
    const files = new Map([...recording(POSITIONS, 'first'), ...recording(SLICES, 'stack.companion.ome')]);
    files.set('cells.tif', await plain());
    for (const [name, bytes] of ndTiff(STEPS, 5)) files.set(name, bytes);
    const expected = [
      ['cells.tif', [99]],
      ['run_NDTiffStack.tif', [100, 101]],
      ['s_MMStack_Pos0.ome.tif', [1, 2, 3]],
      ['s_MMStack_Pos1.ome.tif', [4, 5]],
      ['stack.companion.ome', [11, 12, 13]],
    ];
    try {
      for (const [name, bytes] of files) await writeFile(path.join(folder, name), bytes);
      const told: string[] = [];
      const inputs = await listInputs([folder], { log: (line) => told.push(line) });
      const found = [];
      for (const { file, name } of inputs) found.push([name, await planes(await openFile(file))]);
      assert.deepEqual(found, expected);
      assert.match(told.join(), /s_MMStack_Pos0_1\.ome\.tif \(belongs to s_MMStack_Pos0\.ome\.tif\)/);
      const named = await listInputs([...files.keys()].map((name) => path.join(folder, name)));
      assert.deepEqual(
        named.map(({ name }) => name),
        expected.map(([name]) => name),
      );
      const alone = await listInputs([path.join(folder, 's_MMStack_Pos0_1.ome.tif')]);
      assert.deepEqual(await planes(await openFile(alone[0].file)), [1, 2, 3]);
      const chosen = [...files].map(([name, bytes]) => new File([bytes as Uint8Array<ArrayBuffer>], name));
      const series = [];
      for (const { name, input } of await seriesOfFiles(chosen))
        series.push([name, await planes(await openImage(input))]);
      assert.deepEqual(series, expected);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
