import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { ServedFiles } from '../../src/cli/serve/served-files.js';
import { openImage } from '../../src/io/open.js';
import { ndTiff, POSITIONS, recording, SLICES, STEPS } from '../support/recordings.js';

describe('a recording of several files that the server hands to the page', () => {
  let folder: string;
  const files = new ServedFiles('secret');
  const servers: Server[] = [];

  const listen = async (answer: RequestListener) => {
    const server = createServer(answer);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  let origin: string;
  let elsewhere: string;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-served-'));
    const all = new Map([
      ...recording(SLICES, 'each'),
      ...recording(POSITIONS, 'first'),
      ...ndTiff(STEPS, 5),
      ...[...recording(SLICES, 'm.companion.ome')].filter(([name]) => name === 'm.companion.ome'),
      ['secret.tif', Uint8Array.of(1, 2, 3)] as const,
    ]);
    for (const [name, bytes] of all) await writeFile(path.join(folder, name), bytes);
    origin = await listen((request, response) => {
      void files
        .answer({ url: new URL(request.url ?? '', 'http://x'), request, response })
        .catch(() => response.writeHead(404).end());
    });
    elsewhere = await listen((request, response) => {
      const bytes = all.get(decodeURIComponent(request.url?.split('/').at(-1) ?? ''));
      response.writeHead(bytes ? 200 : 404).end(bytes);
    });
  });
  after(async () => {
    for (const server of servers) server.close();
    await rm(folder, { recursive: true });
  });

  const planes = async (place: string) => {
    const image = await openImage(origin + place);
    const values: number[] = [];
    for (let z = 0; z < image.sizes.z; z++) values.push((await image.readRegion({ z })).data[0]);
    return values;
  };

  it('is whole there, from the disk and from an address', async () => {
    for (const place of [folder, elsewhere]) {
      assert.deepEqual(await planes(files.add(`${place}/slice1.ome.tif`)), [11, 12, 13]);
      assert.deepEqual(await planes(files.add(`${place}/m.companion.ome`)), [11, 12, 13]);
      assert.deepEqual(await planes(files.add(`${place}/s_MMStack_Pos0_1.ome.tif`)), [1, 2, 3]);
      assert.deepEqual(await planes(files.add(`${place}/run_NDTiffStack.tif`)), [100, 101]);
      assert.deepEqual(await planes(files.add(`${place}/s_MMStack_Pos1.ome.tif`)), [4, 5]);
    }
  });

  it('opens nothing else: no other file of the folder, nor one that a link leads to', async () => {
    await symlink(path.join(os.tmpdir()), path.join(folder, 'out'));
    for (const place of [folder, elsewhere]) {
      const address = files.add(`${place}/slice0.ome.tif`);
      const beside = address.slice(0, address.lastIndexOf('/'));
      const status = async (name: string) => (await fetch(`${origin}${beside}/${name}`)).status;
      assert.equal(await status('slice2.ome.tif'), 200);
      for (const name of ['secret.tif', 's_MMStack_Pos0.ome.tif', 'out', '..', '%2e%2e', '', 'slice2.ome.tif/x'])
        assert.equal(await status(name), 404, name);
    }
    const plain = files.add(path.join(folder, 'secret.tif'));
    assert.equal((await fetch(origin + plain.replace('secret.tif', 'slice0.ome.tif'))).status, 404);
  });
});
