import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { answerRequests } from '../../src/cli/serve/routes.js';
import { ServedFiles } from '../../src/cli/serve/served-files.js';
import { servedModel } from '../../src/cli/serve/server.js';
import { loadModelFile } from '../../src/model/model-file.js';
import { withWeightsIn } from '../support/external-model.js';
import { TINY_MODEL } from '../support/tiny-model.js';

const WEIGHTS = ['beside.bin', 'below/weights.bin', '../outside.bin', 'link.bin'];

describe('a model whose files the server hands to the page', () => {
  let folder: string;
  let server: Server;
  let origin: string;
  const files = new ServedFiles('secret');

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-models-'));
    const whole = Buffer.from(TINY_MODEL.encoder.url.split(',')[1], 'base64');
    await mkdir(path.join(folder, 'home', 'below'), { recursive: true });
    for (const [k, location] of WEIGHTS.entries()) {
      const { model, weights } = withWeightsIn(whole, location);
      await writeFile(path.join(folder, 'home', `${k}.onnx`), model);
      await writeFile(path.join(folder, location === 'link.bin' ? 'linked.bin' : `home/${location}`), weights);
    }
    await symlink('../linked.bin', path.join(folder, 'home', 'link.bin'));
    for (const name of ['id_rsa', 'below/id_rsa']) await writeFile(path.join(folder, 'home', name), 'private');
    const routes = [{ path: '/files/', methods: ['GET'], answer: files.answer.bind(files) }];
    server = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = answerRequests(routes, { token: 'x', origins: () => [origin], log: () => undefined });
  });
  after(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });

  const served = (k: number) =>
    servedModel({ ...TINY_MODEL, encoder: { url: path.join(folder, 'home', `${k}.onnx`) } }, files, origin).encoder;

  it('is whole there, with its weights beside it or below', async () => {
    for (const k of [0, 1]) assert.ok((await loadModelFile(served(k))).length > 1000);
  });

  it('takes nothing from outside its folder, by its name or by a link', async () => {
    for (const k of [2, 3]) await assert.rejects(loadModelFile(served(k)), { code: 'model_unavailable' });
  });

  it('opens nothing else of the folder that it lies in', async () => {
    const { url } = served(1);
    const status = async (name: string) => (await fetch(new URL(name, url))).status;
    assert.equal(await status('below/weights.bin'), 200);
    for (const name of ['id_rsa', 'below/id_rsa', 'below', 'below/', './', '0.onnx', 'beside.bin', 'below%2fid_rsa'])
      assert.equal(await status(name), 404, name);
  });
});
