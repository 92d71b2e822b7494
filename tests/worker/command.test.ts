import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { connectFromNode } from '../../src/worker/hosts/websocket-client.js';
import { diskImage } from '../support/real-worker.js';
import { buildOnce } from '../support/start-server.js';
import { TINY_MODEL } from '../support/tiny-model.js';

const BINARY = ['dist/cli/micro-sam.js', 'worker'];

interface Started {
  readonly child: ChildProcess;
  /** First line of stdout. */
  readonly line: string;
  readonly lines: string[];
}

const started: ChildProcess[] = [];

async function start(...args: string[]): Promise<Started> {
  const child = spawn(process.execPath, [...BINARY, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  started.push(child);
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  await once(reader, 'line');
  return { child, line: lines[0], lines };
}

async function fails(...args: string[]): Promise<{ code: number; stderr: string }> {
  const child = spawn(process.execPath, [...BINARY, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  started.push(child);
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code, stderr };
}

describe('micro-sam worker', function () {
  this.timeout(120_000);
  before(() => buildOnce());
  after(() => {
    for (const child of started) child.kill('SIGKILL');
  });

  it('prints its address once, serves, survives a client that dies, and ends when it is told to', async () => {
    const { child, line, lines } = await start(
      '--json',
      '--threads',
      '1',
      '--token',
      'open sesame',
      '--device',
      'cuda',
    );
    const { url, runtime } = JSON.parse(line) as Record<string, string>;
    assert.match(url, /^ws:\/\/127\.0\.0\.1:\d+\/\?token=open%20sesame$/);
    assert.match(runtime, /^onnxruntime-node /);
    let socket: WebSocket | undefined;
    const dying = await connectFromNode(url, {
      openSocket: (address) => {
        socket = new WebSocket(address);
        return socket as never;
      },
    });
    const pending = dying.load(TINY_MODEL);
    socket?.terminate();
    await assert.rejects(pending, { code: 'worker_lost' });

    const client = await connectFromNode(url);
    await client.load(TINY_MODEL);
    const { features } = await client.encode(TINY_MODEL.name, diskImage());
    assert.equal(features.data.length, 256 * 64 * 64);
    const { provider, note } = await client.info();
    if (!provider.startsWith('cuda')) assert.match(note ?? '', /^cuda .* is not used: /); // a machine without that device
    await client.close();
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGTERM']);
    assert.equal(lines.length, 1);
  });

  it('runs the wasm build where it is asked to', async () => {
    const { child, line } = await start('--device', 'wasm');
    const client = await connectFromNode(line);
    const { runtime, provider } = await client.info();
    assert.match(`${runtime}, ${provider}`, /^onnxruntime-web .*, wasm \(simd, 1 thread\)$/);
    child.kill('SIGINT');
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGINT']);
    await assert.rejects(client.info(), { code: 'worker_lost' });
  });

  it('says what is wrong with its flags, and what is risky about them', async () => {
    const wrong = [
      ['--port', '70000'],
      ['--threads', '0'],
      ['--token', 'short'],
      ['--device', 'tpu'],
    ];
    for (const [k, { code, stderr }] of (await Promise.all(wrong.map((flag) => fails(...flag)))).entries()) {
      assert.equal(code, 2);
      assert.match(stderr, new RegExp(`^${wrong[k][0]} `));
    }
    const { code, stderr } = await fails('--host', '192.0.2.1'); // an address no machine has (RFC 5737)
    assert.equal(code, 1);
    assert.match(stderr, /Other machines can reach 192\.0\.2\.1[\s\S]*Cannot listen on 192\.0\.2\.1/);
  });
});
