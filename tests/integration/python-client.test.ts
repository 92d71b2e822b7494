import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodeService } from '../../src/app/node-service.js';
import { HyphaEndpoint } from '../../src/cli/serve/hypha-endpoint.js';
import { brightWorker } from '../support/bright-worker.js';
import { docCode, linesOf } from '../support/doc-code.js';
import { HYPHA_PACKAGES, hasPython, pythonVenv, withPython } from '../support/python.js';
import { checkVolumeLabels, writeVolume } from '../support/small-volume.js';
import { serveSockets } from '../support/socket-server.js';
import { startServer } from '../support/start-server.js';

/** Python without code of ours: the client of Hypha from PyPI against the server. */
describe('Python by Hypha', function () {
  this.timeout(900_000);
  let python: string;
  before(async () => {
    if (hasPython) python = await pythonVenv(HYPHA_PACKAGES);
  });

  function run(url: string, token: string, ...what: string[]): Promise<Record<string, unknown>> {
    const child = spawn(python, ['tests/integration/python_client.py', url, token, ...what], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    return new Promise((resolve, reject) => {
      child.on('exit', () => {
        const seen = /SEEN (.*)/.exec(output);
        if (seen) resolve(JSON.parse(seen[1]));
        else reject(new Error(output));
      });
    });
  }

  withPython('numpy goes in and out, with keywords, progress, and errors in words', async () => {
    const token = 'a token of the test';
    const worker = brightWorker();
    const open = () => nodeService(worker);
    const server = await serveSockets([new HyphaEndpoint({ token, open, log: () => undefined })], token);
    try {
      const seen = await run(`http://127.0.0.1:${server.port}`, token);
      assert.match(String(seen.refused), /token is missing or wrong/);
      const [type, dtype, shape, iou, added] = seen.clicked as [string, string, number[], number, number[]];
      assert.deepEqual([type, dtype, shape, added], ['ndarray', 'uint32', [256, 256], [1]]);
      assert.ok(iou > 0.95, `IoU ${iou}`);
      const all = { ...(seen.dtypes as Record<string, number>), fortran: seen.fortran, lists: seen.lists };
      for (const [name, value] of Object.entries(all)) assert.ok(Number(value) > 0.95, `${name}: ${value}`);
      assert.deepEqual(seen.progress, [true, true]);
      const plane = ['uint32', [256, 256]];
      assert.deepEqual(
        seen.planes,
        [0, 1, 2].map((k) => [k, ...plane]),
      );
      assert.deepEqual(seen.beside, [[3, 3]]);
      assert.deepEqual(seen.slices, [0, 1, 2]);
      const found = (rows: unknown) =>
        (rows as unknown[][]).map((row) => [...row.slice(0, -1), Number(row.at(-1)) > 0.9]);
      assert.deepEqual(
        found(seen.encoded),
        [0, 1, 2].map((k) => [k, k !== 1]),
      );
      assert.deepEqual(
        found(seen.series),
        ['a', 'b', 'c'].map((name) => [name, 1, true]),
      );
      assert.deepEqual(seen.awaited, [0, 1, 2]);
      assert.deepEqual((seen.large as unknown[])[0], [1536, 1536]);
      assert.match(String(seen.misspelt), /did you mean `track_id`/);
      assert.match(String(seen.outside), /invalid_prompt: .*outside the image/);
      assert.match(String(seen.missing), /not_found: There is no file/);
      assert.equal(seen.none, false);
    } finally {
      await server.close();
    }
  });

  withPython('a whole annotation is the script of docs/scripting.md, in under 20 lines', async () => {
    const [code] = docCode('docs/scripting.md', 'A whole annotation', 'python');
    assert.ok(linesOf(code) < 20);
    const folder = mkdtempSync(path.join(tmpdir(), 'python-script-'));
    const stack = path.join(folder, 'stack.tif');
    await writeVolume(stack);
    const server = await startServer(['--port', '0']);
    try {
      const script = Object.entries({
        'http://127.0.0.1:8765': server.origin,
        '"token": "..."': `"token": "${server.token}"`,
        '/data/stack.tif': stack,
      }).reduce((text, [told, here]) => {
        assert.ok(text.includes(told), told);
        return text.replace(told, here);
      }, code);
      const child = spawn(python, ['-c', script], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
      const [ended] = await once(child, 'exit');
      assert.equal(ended, 0);
      const written = readdirSync(folder).filter((name) => name !== 'stack.tif');
      assert.equal(written.length, 1, written.join());
      await checkVolumeLabels(path.join(folder, written[0]));
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  withPython('the server of npm start answers it, with the real model', async () => {
    const server = await startServer();
    try {
      const { clicked } = await run(server.origin, server.token, 'clicked');
      assert.ok((clicked as number[])[3] > 0.9, `IoU ${(clicked as number[])[3]}`);
    } finally {
      await server.stop();
    }
  });
});
