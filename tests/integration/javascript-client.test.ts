import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { nodeService } from '../../src/app/node-service.js';
import { HyphaEndpoint } from '../../src/cli/serve/hypha-endpoint.js';
import { brightWorker } from '../support/bright-worker.js';
import { docCode } from '../support/doc-code.js';
import { serveSockets } from '../support/socket-server.js';

/** JavaScript without code of ours: the client of Hypha from npm against the server. */
describe('JavaScript by Hypha', function () {
  this.timeout(300_000);

  it('does what docs/scripting.md shows, reads results as they come, and stops them', async () => {
    const token = 'a token of the test';
    const worker = brightWorker(5);
    const open = () => nodeService(worker);
    const server = await serveSockets([new HyphaEndpoint({ token, open, log: () => undefined })], token);
    const [shown] = docCode('docs/scripting.md', 'Python', 'js');
    const code = shown
      .replace('http://127.0.0.1:8765', `http://127.0.0.1:${server.port}`)
      .replace("token: '...'", `token: '${token}'`);
    assert.ok(code.includes(token) && code.includes(String(server.port)), 'the code says where the server is');
    const folder = packageFolder();
    const script = path.join(folder, 'script.mjs');
    writeFileSync(script, `${PIXELS}${code}${CHECKS}`);
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [script], { cwd: folder });
      const seen = JSON.parse(/SEEN (.*)/.exec(stdout)![1]!);
      assert.deepEqual(seen, {
        shape: [64, 64],
        dtype: 'uint32',
        objects: 1,
        planes: [0, 1, 2],
        beside: [3, 3],
        read: 3,
        clicked: 1,
      });
      assert.ok(worker.encoded < 200, `${worker.encoded} encoded`);
    } finally {
      await server.close();
    }
  });
});

/** What the code of the docs calls `pixels`, `height`, `width`, and a stack of many of them. */
const PIXELS = `
import { WebSocket } from 'ws';
globalThis.WebSocket ??= WebSocket; // Node 20 has none
const [height, width] = [64, 64];
const pixels = Uint8Array.from({ length: height * width }, (_, p) => (Math.hypot((p >> 6) - 20, (p & 63) - 24) < 10 ? 200 : 0));
`;
const CHECKS = `
const stackOf = (planes) => {
  const data = new Uint8Array(planes * height * width);
  for (let k = 0; k < planes; k++) data.set(pixels.map((value, p) => value || (p + k) % 50), k * height * width);
  return { _rtype: 'ndarray', _rvalue: data, _rshape: [planes, height, width], _rdtype: 'uint8' };
};
const planes = [];
const beside = [];
const progress = { _rintf: true, report: ({ done, total }) => beside.push([done, total]) };
for await (const { plane } of await sam.precompute_image_embeddings(stackOf(3), { axes: 'zyx', stream: true, progress })) planes.push(plane);
let read = 0;
for await (const _ of await sam.precompute_image_embeddings(stackOf(400), { axes: 'zyx', stream: true })) if (++read === 3) break;
await sam.open_image(image, { name: 'cells' });
await sam.add_point_prompts([[20, 24]]);
const { added } = await sam.commit();
const values = new Uint32Array(labels._rvalue.slice().buffer);
console.log('SEEN ' + JSON.stringify({ shape: labels._rshape, dtype: labels._rdtype, objects: Math.max(...values), planes, beside: beside.at(-1), read, clicked: added.length }));
process.exit();
`;

/** A folder whose scripts find the client; made once. */
function packageFolder(): string {
  const folder = path.resolve('node_modules', '.cache', 'hypha-rpc');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  if (!existsSync(path.join(folder, 'node_modules', 'hypha-rpc')))
    execFileSync('npm', ['install', '--silent', '--ignore-scripts', 'hypha-rpc@0.21.40'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  return folder;
}
