import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { initialObjects } from '../../src/cli/initial-objects.js';
import { zipFiles } from '../../src/io/stores/zip.js';

const images = (...names: string[]) => names.map((name) => ({ file: `/images/${name}`, name, single: true }));

describe('objects that an annotator is given to begin with', () => {
  let folder: string;
  const at = (...names: string[]) => path.join(folder, ...names);
  const write = (name: string, bytes: Uint8Array = new Uint8Array(1)) => writeFile(at(name), bytes);

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-initial-'));
    for (const name of ['01_RES', 'labels']) await mkdir(at(name));
    for (const name of ['01_RES/mask000.tif', '01_RES/res_track.txt', '01_RES/notes.md']) await write(name);
    for (const name of ['labels/a.tif', 'labels/b.tif', 'cells_tracks.csv', 'cells_graph.json', 'alone_tracks.csv'])
      await write(name);
    await write('tracks.zip', await zipFiles([{ name: '01_RES/res_track.txt', bytes: new Uint8Array(1) }]));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('are label images by the names of their images, tracks by their own', async () => {
    const one = images('cells.tif');
    assert.deepEqual(await initialObjects([at('labels')], images('b.png', 'a.png')), {
      labels: [at('labels/b.tif'), at('labels/a.tif')],
    });
    assert.deepEqual(await initialObjects([at('01_RES')], one), {
      tracks: [at('01_RES/mask000.tif'), at('01_RES/res_track.txt')],
    });
    assert.deepEqual(await initialObjects([at('tracks.zip')], one), { tracks: [at('tracks.zip')] });
    assert.deepEqual(await initialObjects([at('alone_tracks.csv')], one), { tracks: [at('alone_tracks.csv')] });
    assert.deepEqual(await initialObjects([at('cells_tracks.csv'), at('labels/a.tif')], one), {
      labels: [at('labels/a.tif')],
      tracks: [at('cells_tracks.csv'), at('cells_graph.json')],
    });
  });

  it('are refused where they do not fit', async () => {
    const [a, c] = [images('a.tif'), images('a.tif', 'c.tif')];
    await assert.rejects(initialObjects([at('labels')], a), /Label images without images \(1\): b\.tif/);
    await assert.rejects(initialObjects([at('labels')], c), /Images without label images \(1\): c\.tif/);
    assert.deepEqual(await initialObjects([at('labels')], c, { ignoreUnpaired: true }), {
      labels: [at('labels/a.tif'), undefined],
    });
    await assert.rejects(initialObjects([at('01_RES')], c), /one time series; there are 2 images/);
    await assert.rejects(initialObjects([at('none.tif')], a), /There is no file .*none\.tif/);
  });
});
