import assert from 'node:assert/strict';
import { execFileSync, fork } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { strToU8, zipSync } from 'fflate';
import { SamError } from '../../src/errors.js';
import { memoryBytes } from '../../src/io/bytes.js';
import { blobStore } from '../../src/io/stores/blobs.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { httpStore } from '../../src/io/stores/http.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { deleteAll, listKeys, prefixStore } from '../../src/io/stores/prefix.js';
import { archiveStore, zipFiles } from '../../src/io/stores/zip.js';
import { zarritaStore } from '../../src/io/zarr/zarrita-store.js';
import { openZipArchive } from '../../src/io/zip-archive.js';
import { storeContract } from '../contracts/store.js';
import { oddFolderStore, oddFolders } from '../support/odd-folders.js';

const withCode = (code: string) => (error: unknown) => error instanceof SamError && error.code === code;
const zipStore = async (archive: Uint8Array) => archiveStore(await openZipArchive(memoryBytes(archive, 'zip')));
const newFolder = () => mkdtempSync(path.join(os.tmpdir(), 'stores-'));

storeContract('memory', async () => ({ store: memoryStore() }));

storeContract('folder', async () => {
  const folder = newFolder();
  return {
    store: folderStore(folder),
    reopen: async () => folderStore(folder),
    close: async () => rmSync(folder, { recursive: true }),
  };
});

for (const kind of oddFolders)
  storeContract(`folder ${kind}`, async () => {
    const folder = newFolder();
    const open = await oddFolderStore(kind, folder);
    const root = path.join(folder, 'root');
    return {
      store: open(root),
      reopen: async () => open(root),
      close: async () => rmSync(folder, { recursive: true }),
    };
  });

storeContract('part of another store', async () => {
  const whole = memoryStore('whole', [['elsewhere/k', Uint8Array.of(1)]]);
  return { store: prefixStore(whole, 'deep/inside'), reopen: async () => prefixStore(whole, 'deep/inside/') };
});

/** The store as a module that a process of its own can import. */
async function bundledStore(folder: string): Promise<string> {
  const outfile = path.join(folder, 'fs.mjs');
  await build({ entryPoints: ['src/io/stores/fs.ts'], bundle: true, platform: 'node', format: 'esm', outfile });
  return outfile;
}

describe('folder store', () => {
  let folder: string;
  beforeEach(() => {
    folder = newFolder();
  });
  afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });

  it('is empty, not broken, when the folder does not exist yet', async () => {
    const store = folderStore(path.join(folder, 'new', 'place'));
    assert.equal(await store.get('a'), undefined);
    assert.deepEqual(await listKeys(store), []);
    await store.set('a', Uint8Array.of(1));
    assert.deepEqual(readdirSync(path.join(folder, 'new', 'place')), ['a']);
  });

  it('says what to do when the folder cannot be written', async function () {
    if (process.getuid?.() === 0) {
      // Root may write anywhere: a file where a folder must be gives the same path through the code.
      writeFileSync(path.join(folder, 'taken'), '');
      await assert.rejects(folderStore(path.join(folder, 'taken')).set('a/b', Uint8Array.of(1)), withCode('storage'));
      return;
    }
    this.timeout(5000);
    chmodSync(folder, 0o500);
    await assert.rejects(folderStore(folder).set('a', Uint8Array.of(1)), /permission denied/);
  });

  it('keeps the old value and leaves nothing behind when the system refuses to write on', async function () {
    if (process.platform === 'win32') this.skip();
    const bundle = await bundledStore(folder);
    const script = path.join(folder, 'writer.mjs');
    writeFileSync(
      script,
      `import { folderStore } from ${JSON.stringify(bundle)};
       const store = folderStore(process.argv[2]);
       await store.set('k', new Uint8Array(1000).fill(7));
       await store.set('k', new Uint8Array(10_000_000)).catch((error) => console.log(error.code, error.details.reason));`,
    );
    // A file size limit of about 1 MB with its signal ignored: the write fails half way, as on a full disk.
    const place = path.join(folder, 'limited');
    const said = execFileSync('bash', ['-c', `trap '' XFSZ; ulimit -f 1000; exec node ${script} ${place}`]);
    assert.equal(said.toString().trim(), 'storage EFBIG');
    assert.deepEqual(readdirSync(place), ['k']);
    assert.deepEqual(await folderStore(place).get('k'), new Uint8Array(1000).fill(7));
  });

  it('removes temporary files of dead writers when they are old, and never lists them', async () => {
    writeFileSync(path.join(folder, '.partial-1-0'), 'old');
    writeFileSync(path.join(folder, '.partial-2-0'), 'in use');
    const long = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(path.join(folder, '.partial-1-0'), long, long);
    const store = folderStore(folder);
    await store.set('k', Uint8Array.of(1));
    assert.deepEqual(readdirSync(folder).sort(), ['.partial-2-0', 'k']);
    assert.deepEqual(await listKeys(store), ['k']);
  });

  it('without hard links, gives up what a killed writer has claimed, when it is old', async () => {
    const store = (await oddFolderStore('without hard links', folder))(path.join(folder, 'claims'));
    const claim = path.join(folder, 'claims', '.partial-new');
    mkdirSync(claim, { recursive: true });
    assert.equal(await store.create('new', Uint8Array.of(1)), false, 'somebody is writing it');
    assert.equal(await store.get('new'), undefined);
    const before = new Date(Date.now() - 120_000);
    utimesSync(claim, before, before);
    assert.equal(await store.create('new', Uint8Array.of(2)), true);
    assert.deepEqual(readdirSync(path.join(folder, 'claims')), ['new']);
  });

  it('shows the old or the new value, whole, when the writer is killed', async () => {
    const repeats = Number(process.env.REPEATS ?? 6);
    const program = `
      const { folderStore } = await import(process.argv[1]);
      const store = folderStore(process.argv[2]);
      for (let i = 0; ; i++) {
        await store.set('k', new Uint8Array(300_000 + (i % 256)).fill(i % 256));
        if (i === 0) process.send('started');
      }`;
    const bundle = await bundledStore(folder);
    const script = path.join(folder, 'writer.mjs');
    writeFileSync(script, program.replace('process.argv[1]', JSON.stringify(bundle)));
    for (let i = 0; i < repeats; i++) {
      const place = path.join(folder, `run-${i}`);
      const child = fork(script, [place]);
      await new Promise((resolve) => child.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      const value = await folderStore(place).get('k');
      assert.ok(value && value.length === 300_000 + value[0], `run ${i}: ${value?.length} bytes of ${value?.[0]}`);
      assert.equal(new Set(value).size, 1);
      assert.deepEqual(await listKeys(folderStore(place)), ['k']);
    }
  });
});

describe('HTTP store', () => {
  const files: Record<string, string> = { '/data/a b/zarr.json': '{}', '/data/chunk': '0123456789' };
  const asked: { url?: string; range?: string }[] = [];
  let server: Server;
  let base: string;
  let failures = 0;
  before(async () => {
    server = createServer((request, response) => {
      asked.push({ url: request.url, range: request.headers.range });
      const url = new URL(request.url!, 'http://x');
      const name = decodeURIComponent(url.pathname);
      if (failures > 0) {
        failures--;
        response.writeHead(503).end();
        return;
      }
      if (name.startsWith('/data/page')) response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
      else if (name.startsWith('/data/secret')) response.writeHead(403).end();
      else if (!(name in files)) response.writeHead(404).end();
      else if (request.headers.range && !url.searchParams.has('norange')) {
        const body = Buffer.from(files[name]);
        const [, first, last] = /bytes=(\d*)-(\d*)/.exec(request.headers.range)!;
        const backwards = first === '' && !url.searchParams.has('nosuffix');
        const start = backwards ? body.length - Number(last) : Number(first);
        const end = backwards || last === '' ? body.length : Math.min(body.length, Number(last) + 1);
        response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${body.length}` });
        response.end(body.subarray(start, end));
      } else response.writeHead(200).end(files[name]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data/`;
  });
  after(() => server.close());

  const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

  it('reads values and ranges, and keeps the query of the base address', async () => {
    const store = httpStore(`${base}?token=1`);
    assert.equal(text(await store.get('a b/zarr.json')), '{}');
    assert.equal(asked.at(-1)?.url, '/data/a%20b/zarr.json?token=1');
    assert.equal(text(await store.getRange!('chunk', 2, 3)), '234');
    assert.equal(asked.at(-1)?.range, 'bytes=2-4');
    assert.equal(text(await store.getRange!('chunk', -4, 2)), '67');
    assert.equal(await store.get('missing'), undefined);
  });

  it('cuts ranges itself when the server ignores them', async () => {
    const store = httpStore(`${base}?norange`);
    assert.equal(text(await store.getRange!('chunk', 2, 3)), '234');
    assert.equal(text(await store.getRange!('chunk', -2, 2)), '89');
  });

  it('asks again where a server takes the last bytes for the first', async () => {
    const store = httpStore(`${base}?nosuffix`);
    assert.equal(text(await store.getRange!('chunk', -4, 2)), '67');
    assert.equal(asked.at(-1)?.range, 'bytes=6-7');
    assert.equal(text(await store.getRange!('chunk', -40, 3)), '012');
  });

  it('takes a start page served for an unknown path as missing', async () => {
    assert.equal(await httpStore(base).get('page/zarr.json'), undefined);
  });

  it('tells a forbidden chunk from a missing one', async () => {
    assert.equal(await httpStore(base).get('secret/zarr.json'), undefined);
    await assert.rejects(httpStore(base).get('secret/c/0'), withCode('storage'));
    assert.equal(await httpStore(base, { forbiddenIsMissing: true }).get('secret/c/0'), undefined);
  });

  it('tries again when the server is busy, and gives up with a typed error', async () => {
    failures = 1;
    assert.equal(text(await httpStore(base).get('chunk')), '0123456789');
    failures = 3;
    await assert.rejects(httpStore(base).get('chunk'), withCode('storage'));
  });

  it('can be cancelled, and cannot be written or listed', async () => {
    await assert.rejects(httpStore(base).get('chunk', { signal: AbortSignal.abort() }), { name: 'AbortError' });
    await assert.rejects(httpStore(base).set('k', Uint8Array.of(1)), withCode('unsupported'));
    await assert.rejects(listKeys(httpStore(base)), withCode('unsupported'));
  });
});

describe('read-only stores over files', () => {
  it('a zip archive gives its members', async () => {
    const store = await zipStore(zipSync({ 'a/b.txt': strToU8('hello'), c: strToU8('x'.repeat(9000)), d: {} }));
    assert.equal(new TextDecoder().decode(await store.get('a/b.txt')), 'hello');
    assert.equal((await store.get('c'))?.length, 9000);
    assert.equal(await store.get('nope'), undefined);
    assert.deepEqual(await listKeys(store), ['a/b.txt', 'c']);
    await assert.rejects(store.set('c', Uint8Array.of(1)), withCode('unsupported'));
  });

  it('refuses what is no zip, whole or cut', async () => {
    await assert.rejects(zipStore(strToU8('no zip at all')), withCode('invalid_image'));
    const whole = zipSync({ a: strToU8('hello') });
    for (let length = 0; length < whole.length; length += 7)
      await assert.rejects(zipStore(whole.subarray(0, length)), withCode('invalid_image'));
  });

  it('writes archives that it reads', async () => {
    const archive = await zipFiles([
      { name: 'labels.tif', bytes: Uint8Array.of(1, 2, 3) },
      { name: 'tables/objects.csv', bytes: strToU8('label,area\n') },
    ]);
    const store = await zipStore(archive);
    assert.deepEqual(await store.get('labels.tif'), Uint8Array.of(1, 2, 3));
    assert.equal(new TextDecoder().decode(await store.get('tables/objects.csv')), 'label,area\n');
  });

  it('dropped files are read by their path, in parts too', async () => {
    const store = blobStore(new Map([['cells.zarr/0/c/0', new Blob(['0123456789'])]]));
    assert.equal(new TextDecoder().decode(await store.getRange!('cells.zarr/0/c/0', -3, 2)), '78');
    assert.deepEqual(await listKeys(store, 'cells'), ['cells.zarr/0/c/0']);
  });
});

describe('store helpers', () => {
  it('deletes everything below a prefix and nothing else', async () => {
    const store = memoryStore(
      'm',
      ['a/1', 'a/2', 'b'].map((key) => [key, Uint8Array.of(1)] as const),
    );
    await deleteAll(store, 'a/');
    assert.deepEqual(await listKeys(store), ['b']);
  });

  it('answers zarrita ranges with and without getRange', async () => {
    const whole = memoryStore('m', [['k', Uint8Array.of(0, 1, 2, 3, 4)]]);
    const { getRange: _, ...plain } = whole;
    for (const store of [zarritaStore(whole), zarritaStore(plain)]) {
      assert.deepEqual(await store.getRange('/k', { offset: 1, length: 2 }), Uint8Array.of(1, 2));
      assert.deepEqual(await store.getRange('/k', { suffixLength: 2 }), Uint8Array.of(3, 4));
    }
  });
});
