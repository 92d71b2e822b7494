import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { encode } from 'fast-png';
import { connectFromNode } from '../../src/worker/hosts/websocket-client.js';
import { parseHyphaAddress } from '../../src/worker/hypha/address.js';
import { HYPHA_SERVER_PACKAGES, hasPython, pythonVenv, runPython, withPython } from '../support/python.js';
import { diskImage } from '../support/real-worker.js';
import { buildOnce } from '../support/start-server.js';

/** `micro-sam worker --hypha` with the server of Hypha from PyPI, its clients, and a batch over replicas. */
describe('a Hypha server', function () {
  this.timeout(900_000);
  const started: ChildProcess[] = [];
  let python: string;
  let origin: string;

  before(async () => {
    if (!hasPython) return;
    buildOnce();
    python = await pythonVenv(HYPHA_SERVER_PACKAGES);
    origin = await startHypha(python);
  });
  after(() => {
    for (const child of started) child.kill('SIGKILL');
  });

  async function startHypha(python: string): Promise<string> {
    const port = await freePort();
    const server = spawn(python, ['-m', 'hypha.server', '--host', '127.0.0.1', '--port', String(port)], {
      cwd: mkdtempSync(path.join(tmpdir(), 'hypha-')),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(server);
    let said = '';
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => (said += text));
    const address = `http://127.0.0.1:${port}`;
    while (!(await fetch(`${address}/health/liveness`).catch(() => undefined))?.ok) {
      if (server.exitCode !== null) throw new Error(`The Hypha server ended:\n${said.slice(-3000)}`);
      await pause(200);
    }
    return address;
  }

  async function startWorker(token?: string, ...flags: string[]): Promise<{ url: string; child: ChildProcess }> {
    const args = ['dist/cli/micro-sam.js', 'worker', '--hypha', origin, '--threads', '1', ...flags];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...(token !== undefined && { HYPHA_TOKEN: token }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(child);
    const [url] = await once(createInterface({ input: child.stdout }), 'line');
    return { url, child };
  }

  withPython('serves numpy to Python, and a batch over replicas of which one dies', async () => {
    const { url, child } = await startWorker();
    const { workspace, token = '' } = parseHyphaAddress(url);
    const seen = runPython(python, 'hypha_client.py', origin, workspace, token);
    const found = JSON.parse(/SEEN (.*)/.exec(seen)![1]);
    assert.deepEqual([found.type, found.shape, found.score], ['ndarray', [256, 256], 1]);
    assert.ok(found.iou > 0.9 && found.box > 0.9 && found.box < 1.1 && found.steps > 0, JSON.stringify(found));
    assert.deepEqual(found.planes, [0, 1]);
    assert.match(found.path, /unsupported: .*no paths/);
    assert.match(found.misspelt, /did you mean `labels`/);

    const early = await connectFromNode(url);
    assert.equal(early.atOnce, 1);
    await startWorker(token, '--workspace', workspace);
    while ((early.atOnce ?? 1) < 2) await pause(50); // it joins those who are there already
    await early.close();
    const folder = mkdtempSync(path.join(tmpdir(), 'hypha-images-'));
    const [images, results] = ['images', 'results'].map((name) => path.join(folder, name));
    mkdirSync(images);
    const [height, width, channels] = diskImage().shape;
    const png = encode({ data: diskImage().data, width, height, channels });
    for (const n of [0, 1, 2, 3]) writeFileSync(path.join(images, `disk${n}.png`), png);
    const batch = spawn(
      process.execPath,
      [
        'dist/cli/micro-sam.js',
        'automatic_segmentation',
        '-i',
        images,
        '-o',
        results,
        '--mode',
        'ais',
        '--worker',
        url,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    started.push(batch);
    let said = '';
    for (const stream of [batch.stdout, batch.stderr])
      stream.on('data', (text) => {
        said += text;
        if (/1 of 4/.test(said)) child.kill('SIGKILL'); // amid the work
      });
    const [code] = await once(batch, 'close');
    assert.equal(code, 0, said);
    assert.match(said, /4 files: 4 done/);
    assert.match(said, /1 of 2 workers went away/);
    const labels = [0, 1, 2, 3].map((n) => readFileSync(path.join(results, `disk${n}_labels.tif`)));
    for (const other of labels.slice(1)) assert.ok(other.equals(labels[0]));
  });

  withPython('is where an application of the BioEngine registers its worker', async () => {
    const { url, child } = await startWorker();
    const { workspace, token = '' } = parseHyphaAddress(url); // a workspace of nobody's, as long as somebody is in it
    const seen = runPython(python, 'bioengine_app.py', origin, workspace, token);
    child.kill('SIGKILL');
    assert.deepEqual(JSON.parse(/SEEN (.*)/.exec(seen)![1]!), {
      place: { server_url: origin, workspace, service_id: 'micro-sam-worker' },
      score: 1,
      health: 'The worker has ended.',
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
