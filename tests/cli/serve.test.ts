import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseRange } from '../../src/cli/serve/send-file.js';
import { serverStore } from '../../src/io/stores/server.js';
import { storeContract } from '../contracts/store.js';
import { type RunningServer, startServer } from '../support/start-server.js';

describe('annotator server', () => {
  let folder: string;
  let server: RunningServer;
  const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) % 251);

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-serve-'));
    await writeFile(path.join(folder, 'cells é.tif'), bytes);
    await writeFile(path.join(folder, 'secret.txt'), 'not served');
    server = await startServer(['--no-worker', '--port', '0', path.join(folder, 'cells é.tif')]);
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const settings = async () => {
    const response = await fetch(`${server.origin}/settings.json`, {
      headers: { authorization: `Bearer ${server.token}` },
    });
    assert.equal(response.status, 200);
    return response.json();
  };

  it('prints the address as the last line of stdout, and the page is there', async () => {
    assert.equal(server.output.stdout.trimEnd().split('\n').at(-1), server.url);
    const page = await fetch(server.url);
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
    assert.equal(page.headers.get('cross-origin-opener-policy'), 'same-origin');
    assert.equal(page.headers.get('cross-origin-embedder-policy'), 'require-corp');
  });

  it('serves programs with the types browsers insist on', async () => {
    for (const [file, type] of [
      ['/host/host.js', /javascript/],
      ['/plugin/worker.js', /javascript/],
      ['/ort/ort-wasm-simd-threaded.wasm', /^application\/wasm$/],
      ['/ort/ort-wasm-simd-threaded.mjs', /javascript/],
      ['/host/host.css', /^text\/css/],
      ['/models/sam.onnx', /octet-stream/],
    ] as const) {
      const response = await fetch(server.origin + file, { method: 'HEAD' });
      assert.equal(response.status, 200, file);
      assert.match(response.headers.get('content-type') ?? '', type, file);
    }
  });

  it('gives the named file by an address that cannot be guessed, whole and in ranges', async () => {
    const { files } = await settings();
    assert.equal(files.length, 1);
    assert.equal(files[0].name, 'cells é.tif');
    assert.match(files[0].url, /\/files\/[0-9a-f]{32}\//);
    assert.deepEqual(new Uint8Array(await (await fetch(files[0].url)).arrayBuffer()), bytes);
    const part = await fetch(files[0].url, { headers: { range: 'bytes=100-199' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), 'bytes 100-199/5000');
    assert.deepEqual(new Uint8Array(await part.arrayBuffer()), bytes.slice(100, 200));
    const beyond = await fetch(files[0].url, { headers: { range: 'bytes=5000-' } });
    assert.equal(beyond.status, 416);
  });

  it('gives nothing else of the disk', async () => {
    const { files } = await settings();
    const address = new URL(files[0].url).pathname;
    const id = address.split('/')[2];
    for (const target of [
      `/files/${id}/x/../secret.txt`,
      `/files/${id}/x/..%2fsecret.txt`,
      `/files/${id}/x/%2e%2e/secret.txt`,
      '/files/00000000-0000-0000-0000-000000000000/secret.txt',
      '/../package.json',
      '/plugin/..%2f..%2fpackage.json',
      '/cli/micro-sam.js',
      '/.build',
      '/plugin/%00',
    ]) {
      const { status, body } = await rawGet(server.origin, target);
      assert.ok(status === 404 || status === 400 || status === 403, `${target} answered ${status}`);
      assert.doesNotMatch(body, /not served|"scripts"/, target);
    }
  });

  it('asks for the token, refuses other hosts and other origins', async () => {
    const get = (url: string, headers: Record<string, string>) => rawGet(server.origin, url, headers);
    const authorization = `Bearer ${server.token}`;
    assert.equal((await get('/settings.json', {})).status, 401);
    assert.equal((await get('/settings.json', { authorization: 'Bearer wrong' })).status, 401);
    assert.equal((await get('/autosave/', {})).status, 401);
    assert.equal((await get('/settings.json', { authorization, host: 'evil.example' })).status, 403);
    assert.equal((await get('/settings.json', { authorization, origin: 'http://evil.example' })).status, 403);
    assert.equal((await get('/settings.json', { authorization })).status, 200);
  });

  it('lets any page read what ImJoy installs the plugin from, and nothing else', async () => {
    const get = (target: string) => fetch(server.origin + target, { headers: { origin: 'https://imjoy.io' } });
    for (const target of ['/plugin/micro-sam.imjoy.html', '/manifest.imjoy.json']) {
      const response = await get(target);
      assert.equal(response.headers.get('access-control-allow-origin'), '*');
      assert.ok(!(await response.text()).includes(server.token));
    }
    for (const target of ['/', '/plugin/index.html', '/plugin/main.js', '/plugin/../settings.json', '/files/'])
      assert.equal((await get(target)).status, 403, target);
  });

  it('does not save a value whose sender died in the middle', async () => {
    const { hostname, port } = new URL(server.origin);
    const socket = net.connect(Number(port), hostname);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(
      `PUT /autosave/half HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${server.token}\r\nContent-Length: 1000\r\n\r\nonly a part`,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(await readdir(server.autosaveDir), []);
  });

  it('says so when the port is taken, and ends', async () => {
    const { port } = new URL(server.origin);
    await assert.rejects(startServer(['--no-worker', '--port', port]), /code 1[\s\S]*Port \d+ is taken/);
  });

  it('says what is wrong with the command line, and ends with 2', async () => {
    await assert.rejects(startServer(['--port', 'http']), /code 2[\s\S]*--port takes a number/);
    await assert.rejects(startServer(['package.json', '-k', '*.tif']), /code 2[\s\S]*--key .* give one folder/);
    await assert.rejects(startServer(['no-such-file.tif']), /code 2[\s\S]*There is no file/);
    await assert.rejects(startServer(['--colour']), /code 2[\s\S]*colour/);
  });

  it('ends with 0 when told to', async () => {
    const other = await startServer(['--no-worker']);
    assert.equal(await other.stop('SIGINT'), 0);
  });

  it('reads Range headers as RFC 9110 has them', () => {
    assert.deepEqual(parseRange('bytes=0-9', 100), [0, 9]);
    assert.deepEqual(parseRange('bytes=90-', 100), [90, 99]);
    assert.deepEqual(parseRange('bytes=-10', 100), [90, 99]);
    assert.deepEqual(parseRange('bytes=50-400', 100), [50, 99]);
    assert.equal(parseRange('bytes=100-', 100), 'invalid');
    assert.equal(parseRange('bytes=9-5', 100), 'invalid');
    assert.equal(parseRange('bytes=-0', 100), 'invalid');
    assert.equal(parseRange('lines=1-2', 100), undefined);
    assert.equal(parseRange(undefined, 100), undefined);
  });
});

describe('autosave folder over HTTP', () => {
  let server: RunningServer;
  let count = 0;
  before(async () => {
    server = await startServer(['--no-worker', '--port', '0']);
  });
  after(() => server.stop());

  storeContract('server', async () => {
    // Each test its own corner of the folder: the contract asks for an empty store.
    const corner = `${server.origin}/autosave/test-${count++}`;
    const whole = serverStore({ url: `${server.origin}/autosave/`, token: server.token });
    const store = serverStore({ url: corner, token: server.token });
    const prefix = corner.slice(corner.lastIndexOf('/') + 1);
    return {
      store: {
        ...store,
        async *list(below = '') {
          for await (const key of whole.list(`${prefix}/${below}`)) yield key.slice(prefix.length + 1);
        },
      },
    };
  });

  it('says plainly that the server is gone', async () => {
    const gone = serverStore({ url: 'http://127.0.0.1:9/autosave/', token: 'x' });
    await assert.rejects(gone.set('k', new Uint8Array(1)), { code: 'storage', message: /does not answer/ });
  });
});

/** A request sent exactly as written: fetch would tidy the path and refuse to set Host. */
function rawGet(origin: string, target: string, headers: Record<string, string> = {}) {
  const { hostname, port, host } = new URL(origin);
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const request = http.get({ hostname, port, path: target, headers: { host, ...headers } }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('error', reject);
  });
}

describe('micro-sam serve', () => {
  it('listens on this machine only, unless told', async () => {
    const own = await startServer(['--no-worker', '--port', '0'], { command: 'serve' });
    const { port } = new URL(own.url);
    try {
      assert.match(own.url, /^http:\/\/127\.0\.0\.1:\d+\/\?token=/);
      const others = Object.values(os.networkInterfaces()).flatMap((list = []) =>
        list.filter(({ internal }) => !internal),
      );
      for (const { address, family } of others)
        if (family === 'IPv4') await assert.rejects(fetch(`http://${address}:${port}/`), address);
    } finally {
      await own.stop();
    }
    const open = await startServer(['--no-worker', '--port', '0', '--host', '0.0.0.0'], { command: 'serve' });
    try {
      assert.match(open.output.stderr, /Other machines reach this server.*not encrypted/);
      const other = new URL(open.url).port;
      assert.equal((await fetch(`http://127.0.0.1:${other}/`)).status, 200);
      assert.equal((await fetch(`http://127.0.0.1:${other}/settings.json`)).status, 401);
      assert.equal((await rawGet(`http://127.0.0.1:${other}`, '/', { host: `evil.example:${other}` })).status, 403);
    } finally {
      await open.stop();
    }
    await assert.rejects(
      startServer(['--no-worker', '--host', '192.0.2.1'], { command: 'serve' }),
      /not an address of this machine/,
    );
  });
});
