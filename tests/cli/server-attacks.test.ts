import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type Attack, allAttacks } from '../support/attacks.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/**
 * What programs and pages that should not ask may send to the server, as written on the wire: each is refused with a
 * status of its own, none ends the process, gives a file away or leaves one open.
 */
const SECRET = 'private key of somebody';

describe('attacks on the annotator server', () => {
  let folder: string;
  let server: RunningServer;
  let zarr: string;
  let image: string;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-attack-'));
    await writeFile(path.join(folder, 'id_rsa'), SECRET);
    await mkdir(path.join(folder, 'private'));
    await writeFile(path.join(folder, 'private', 'key'), SECRET);
    const zarrFolder = path.join(folder, 'cells.zarr');
    await mkdir(path.join(zarrFolder, 'inner'), { recursive: true });
    await writeFile(path.join(zarrFolder, '.zattrs'), '{}');
    await writeFile(path.join(zarrFolder, 'inner', '0'), 'chunk');
    await symlink(path.join(folder, 'id_rsa'), path.join(zarrFolder, 'link'));
    await symlink(path.join(folder, 'private'), path.join(zarrFolder, 'away'));
    await symlink('../id_rsa', path.join(zarrFolder, 'up'));
    await symlink('loop', path.join(zarrFolder, 'loop'));
    await symlink('inner', path.join(zarrFolder, 'within'));
    execFileSync('mkfifo', [path.join(zarrFolder, 'pipe')]);
    await writeFile(path.join(zarrFolder, 'locked'), SECRET);
    await chmod(path.join(zarrFolder, 'locked'), 0);
    // A sibling whose name begins with that of the folder.
    await mkdir(path.join(folder, 'cells.zarr-private'));
    await writeFile(path.join(folder, 'cells.zarr-private', 'key'), SECRET);
    await writeFile(path.join(folder, 'cells.tif'), new Uint8Array(4_000_000).fill(7));
    const files = [path.join(folder, 'cells.tif'), zarrFolder];
    server = await startServer(['--no-worker', '--port', '0', '-o', path.join(folder, 'out'), ...files], {
      command: 'image_series_annotator',
    });
    const settings = await fetch(`${server.origin}/settings.json`, { headers: authorized() });
    [image, zarr] = (await settings.json()).files.map(({ url }: { url: string }) => new URL(url).pathname);
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const authorized = () => ({ authorization: `Bearer ${server.token}` });

  it('answers each of more than 150 requests as it should, and lives', async () => {
    const attacks = allAttacks({ image, zarr, host: new URL(server.origin).host, authorization: authorized() });
    assert.ok(attacks.length >= 150, `${attacks.length} requests`);
    const wrong: string[] = [];
    for (const attack of attacks) {
      const { status, text } = await send(server.origin, attack);
      if (!attack.expect.includes(status)) wrong.push(`${attack.name}: ${attack.target} answered ${status}`);
      if (text.includes(SECRET)) wrong.push(`${attack.name}: ${attack.target} gave the secret away`);
      if (server.child.exitCode !== null) assert.fail(`${attack.name} ended the server: ${server.output.stderr}`);
    }
    assert.deepEqual(wrong, []);
    assert.equal((await fetch(server.url)).status, 200);
  });

  it('answers files of the pages as it does those of the user: ranges, methods, links', async () => {
    const page = '/plugin/main.js';
    const size = (await stat(path.join('dist', page))).size;
    for (const [range, status] of [
      ['bytes=5-2', 416],
      [`bytes=${size}-`, 416],
      ['bytes=0-9', 206],
    ] as const)
      assert.equal(
        (await send(server.origin, { name: range, target: page, headers: { range }, expect: [] })).status,
        status,
      );
  });

  it('ends a socket that does not show the token: by what it sends, or that it sends nothing of use', async () => {
    const fin = (opcode: number) => Buffer.from([0x80 | opcode]);
    const masked = (opcode: Buffer, text: string) => {
      const body = Buffer.from(text);
      const length = Buffer.alloc(9);
      length[0] = 0x80 | 127;
      length.writeBigUInt64BE(BigInt(body.length), 1);
      return Buffer.concat([opcode, length, Buffer.alloc(4), body]);
    };
    const text = fin(1);
    const begun = Buffer.from([0x01]);
    const continued = Buffer.from([0x00]);
    const announced = (length: bigint) => {
      const header = Buffer.from([0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      header.writeBigUInt64BE(length, 2);
      return header;
    };
    const frames: Readonly<Record<string, Uint8Array>> = {
      'not masked': Buffer.concat([text, Buffer.from([2]), Buffer.from('{}')]),
      'a frame of 2^63 bytes': announced(2n ** 63n - 1n),
      'a frame of 8 GB': announced(2n ** 33n),
      'a reserved opcode': masked(fin(3), 'x'),
      'reserved bits': masked(Buffer.from([0xf1]), 'x'),
      'a piece of nothing': masked(continued, 'x'),
      'pieces without end': Buffer.concat([masked(begun, 'x'), ...Array(3000).fill(masked(continued, 'x'))]),
      'a long ping': masked(fin(9), 'x'.repeat(126)),
      'pings without end': Buffer.concat(Array(3000).fill(masked(fin(9), 'x'))),
      'no UTF-8': Buffer.concat([text, Buffer.from([0x82, 0, 0, 0, 0, 0xff, 0xfe])]),
      'no JSON': masked(text, '{"token":'),
      'no object': masked(text, '"token"'),
      null: masked(text, 'null'),
      'an array': masked(text, '[]'),
      'a token that is no text': masked(text, '{"token":{"length":32}}'),
      'the prototype': masked(text, '{"__proto__":{"token":"x"}}'),
      'another token': masked(text, `{"token":"${'0'.repeat(32)}","image":"x"}`),
      'a long hello': masked(text, `{"token":"${'0'.repeat(100_000)}"}`),
    };
    for (const target of ['/leases', '/ws'])
      for (const [name, bytes] of Object.entries(frames)) {
        await closedSocket(server.origin, target, bytes);
        assert.equal(server.child.exitCode, null, `${name} to ${target} ended the server: ${server.output.stderr}`);
      }
    assert.equal((await fetch(server.url)).status, 200);
  });

  it('answers others while clients send their requests a byte at a time', async () => {
    const { hostname, port } = new URL(server.origin);
    const slow = Array.from({ length: 200 }, () => net.connect(Number(port), hostname));
    for (const socket of slow) socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nX-Slow: ');
    assert.equal((await fetch(server.url)).status, 200);
    for (const socket of slow) socket.destroy();
  });

  it('gives no file away that takes the place of another between the look and the opening', async () => {
    const inner = path.join(folder, 'cells.zarr', 'moving');
    const other = path.join(folder, 'moved');
    await mkdir(inner, { recursive: true });
    for (const place of [inner, path.join(folder, 'private')]) await writeFile(path.join(place, 'key'), 'chunk');
    await writeFile(path.join(folder, 'private', 'key'), SECRET);
    let isOver = false;
    const swapping = (async () => {
      while (!isOver) {
        await rename(inner, other);
        await symlink(path.join(folder, 'private'), inner);
        await new Promise((resolve) => setImmediate(resolve));
        await unlink(inner);
        await rename(other, inner);
      }
    })();
    try {
      for (let i = 0; i < 30; i++) {
        const texts = Array.from({ length: 10 }, async () => (await fetch(`${server.origin}${zarr}moving/key`)).text());
        for (const text of await Promise.all(texts)) assert.notEqual(text, SECRET);
      }
    } finally {
      isOver = true;
      await swapping;
    }
    assert.equal(await (await fetch(`${server.origin}${zarr}moving/key`)).text(), 'chunk');
  });

  it('says of each answer that it is what its type says, and who may frame the page', async () => {
    for (const target of ['/', '/plugin/index.html', '/plugin/main.js', image, '/nowhere', '/settings.json']) {
      const { headers } = await fetch(server.origin + target);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', target);
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', target);
    }
    for (const target of [image, '/nowhere', '/settings.json', '/plugin/nowhere.html'])
      assert.match((await fetch(server.origin + target)).headers.get('content-security-policy') ?? '', /sandbox/);
    assert.equal((await fetch(`${server.origin}/plugin/worker.js`)).headers.get('content-security-policy'), null);
    assert.match((await fetch(server.origin)).headers.get('content-security-policy') ?? '', /frame-ancestors 'self'/);
  });

  it('answers 304 for what the client has, and the whole for what has changed', async () => {
    const etag = (await fetch(server.origin + image)).headers.get('etag') ?? '';
    const again = (headers: Record<string, string>) =>
      send(server.origin, { name: 'etag', target: image, headers, expect: [] });
    assert.equal((await again({ 'if-none-match': etag })).status, 304);
    assert.equal((await again({ range: 'bytes=0-9', 'if-range': etag })).status, 206);
    assert.equal((await again({ range: 'bytes=0-9', 'if-range': '"another"' })).status, 200);
  });

  it('closes the file of every download that breaks off', async function () {
    if (process.platform !== 'linux') this.skip();
    for (let i = 0; i < 20; i++)
      for (const target of [image, '/ort/ort-wasm-simd-threaded.wasm']) await breakOff(server.origin, target);
    const open = async () => {
      const folder = `/proc/${server.child.pid}/fd`;
      const links = await Promise.all(
        (await readdir(folder)).map((fd) => readlink(path.join(folder, fd)).catch(() => '')),
      );
      return links.filter((link) => /cells\.tif|\.wasm/.test(link));
    };
    for (let tries = 0; tries < 50 && (await open()).length > 0; tries++) await new Promise((r) => setTimeout(r, 100));
    assert.deepEqual(await open(), []);
  });

  it('ends an answer whose file became shorter meanwhile, instead of letting the client wait', async () => {
    const { hostname, port, host } = new URL(server.origin);
    const socket = net.connect(Number(port), hostname);
    let received = 0;
    socket.write(`GET ${image} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await new Promise((resolve) => socket.once('readable', resolve));
    await writeFile(path.join(folder, 'cells.tif'), new Uint8Array(10));
    socket.on('data', (chunk) => {
      received += chunk.length;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    assert.ok(received < 4_000_000);
  });

  it('keeps work where only the user can read it', async () => {
    const dataHome = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-data-'));
    const autosaveDir = path.join(dataHome, 'new', 'autosave');
    const first = await startServer(['--no-worker', '--port', '0'], { dataHome, autosaveDir });
    const token = path.join(dataHome, 'micro-sam', 'token');
    assert.equal((await stat(autosaveDir)).mode & 0o777, 0o700);
    assert.equal((await stat(token)).mode & 0o777, 0o600);
    await first.stop();
    const second = await startServer(['--no-worker', '--port', '0'], { dataHome, autosaveDir });
    assert.equal(second.token, first.token, 'an open page finds the server again after a restart');
    await second.stop();
    await chmod(token, 0o644);
    const third = await startServer(['--no-worker', '--port', '0'], { dataHome, autosaveDir });
    assert.notEqual(third.token, first.token, 'a token that others could read is void');
    assert.equal((await stat(token)).mode & 0o777, 0o600);
    await third.stop();
    await rm(dataHome, { recursive: true });
  });

  it('opens the browser without the token among its arguments', async function () {
    if (process.platform !== 'linux') this.skip();
    const bin = path.join(folder, 'bin');
    const said = path.join(folder, 'said');
    await mkdir(bin);
    await writeFile(path.join(bin, 'xdg-open'), `#!/bin/sh\necho "$@" > ${said}.part && mv ${said}.part ${said}\n`, {
      mode: 0o755,
    });
    const env = { PATH: `${bin}:${process.env.PATH}`, DISPLAY: ':0' };
    const other = await startServer(['--no-worker', '--port', '0'], { open: true, env });
    let address: string | undefined;
    while (address === undefined) {
      address = await readFile(said, 'utf8').catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const page = new URL(address.trim());
    assert.equal(page.protocol, 'file:');
    assert.ok(!address.includes(other.token));
    assert.equal((await stat(page)).mode & 0o777, 0o600);
    assert.ok((await readFile(page, 'utf8')).includes(JSON.stringify(other.url)));
    await other.stop();
    await assert.rejects(stat(page), { code: 'ENOENT' });
  });
});

/** Sends a request exactly as written and reads until the server ends the connection. */
function send(origin: string, { method = 'GET', target, headers = {}, body = '' }: Attack) {
  const { hostname, port, host } = new URL(origin);
  const lines = Object.entries({ host, connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}`);
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const socket = net.connect(Number(port), hostname);
    let text = '';
    socket.setTimeout(30_000, () => socket.destroy(new Error(`${method} ${target} was not answered`)));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // The rest of a request that was refused is not read.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text }));
    socket.write(Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1'));
  });
}

/** Opens a WebSocket, sends bytes of its own making and waits until the server ends the connection. */
function closedSocket(origin: string, target: string, frames: Uint8Array): Promise<void> {
  const { hostname, port, host } = new URL(origin);
  const socket = net.connect(Number(port), hostname);
  const headers = [`Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
  socket.write(`GET ${target} HTTP/1.1\r\n${[...headers, key].join('\r\n')}\r\n\r\n`);
  socket.once('data', () => socket.write(frames));
  socket.on('error', () => undefined); // reset, as it should be
  socket.on('data', (data) => {
    if (data.includes(0x88)) socket.end(); // told that it is over
  });
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Reads the beginning of an answer and goes away. */
async function breakOff(origin: string, target: string): Promise<void> {
  const { hostname, port, host } = new URL(origin);
  const socket = net.connect(Number(port), hostname);
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.destroy();
}
