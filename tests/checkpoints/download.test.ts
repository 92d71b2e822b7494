import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DownloadOptions, download as downloadWhole } from '../../src/checkpoints/download.js';
import { Xxh128 } from '../../src/checkpoints/xxh128.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import type { Progress } from '../../src/task.js';
import { fasterTimers } from '../support/faster-timers.js';

const PART = 1 << 18;
const LENGTH = 2 * PART + 12_345;

const download = (store: Store, url: string, options: DownloadOptions = {}) =>
  downloadWhole(store, url, { partBytes: PART, ...options });

function fileOf(seed: number, length = LENGTH): Uint8Array {
  const file = new Uint8Array(length);
  for (let i = 0; i < length; i += 1021) file[i] = (i / 1021 + seed) % 251;
  return file;
}

describe('a checkpoint at an address', function () {
  this.timeout(120_000);
  fasterTimers();
  let server: Server;
  let origin: string;
  let url: string;
  /** What is there, and how the server behaves. */
  let file: Uint8Array;
  let version: string;
  let ranges: boolean;
  /** What goes wrong next, first things first. */
  let troubles: RequestListener[];
  let asked: (string | undefined)[];

  before(async () => {
    server = createServer((request, response) => {
      if (request.url === '/moved.pt') return response.writeHead(302, { location: '/model.pt' }).end();
      if (request.url !== '/model.pt') return response.writeHead(404).end();
      asked.push(request.headers.range);
      const trouble = troubles.shift();
      if (trouble) return trouble(request, response);
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
      if (from === undefined || !ranges) return response.writeHead(200, { 'content-length': file.length }).end(file);
      if (Number(from) >= file.length)
        return response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
      const some = file.subarray(Number(from), Number(to) + 1);
      response.writeHead(206, {
        'content-range': `bytes ${from}-${Number(from) + some.length - 1}/${file.length}`,
        'content-length': some.length,
        etag: version,
      });
      return response.end(some);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    url = `${origin}/model.pt`;
  });
  after(() => server.close());
  beforeEach(() => {
    [file, version, ranges, troubles, asked] = [fileOf(1), '"1"', true, [], []];
  });

  const refuses: RequestListener = (_, response) => response.writeHead(503, { 'retry-after': '0' }).end();
  const breaksOff: RequestListener = (_, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-${PART - 1}/${LENGTH}`, 'content-length': PART });
    response.write(file.subarray(0, 1000), () => response.destroy());
  };
  const partsAsked = () => asked.map((range) => Math.floor(Number(/\d+/.exec(range ?? '')?.[0]) / PART));
  const hashOf = (bytes: Uint8Array) => {
    const hash = new Xxh128();
    hash.update(bytes);
    return hash.digest();
  };
  async function same(from: string, store = memoryStore(), xxh128?: string) {
    const source = await download(store, from, { xxh128 });
    assert.equal(source.size, file.length);
    assert.ok(Buffer.from(await source.read(0, file.length)).equals(Buffer.from(file)));
    assert.deepEqual(await source.read(PART - 3, 7), file.slice(PART - 3, PART + 4));
    await source.discard();
    assert.deepEqual(await listKeys(store), []);
  }

  it('is fetched in parts with progress, checked by its hash, and discarded', async () => {
    const steps: Progress[] = [];
    await download(memoryStore(), url, { xxh128: hashOf(file), onProgress: (step) => steps.push(step) });
    assert.deepEqual(partsAsked(), [0, 1, 2]);
    const loading = steps.filter(({ message }) => message === 'Loading model.pt');
    assert.ok(loading.length >= 3 && loading.at(-1)?.done === LENGTH);
    assert.ok(loading.every(({ done, total }, i) => done <= total && done >= (loading[i - 1]?.done ?? 0)));
    assert.deepEqual(
      [steps.at(-1)?.message, steps.at(-1)?.done, steps.at(-1)?.total],
      ['Checking model.pt', LENGTH, LENGTH],
    );
    await same(url);
  });

  it('goes on where it broke off, also in another process later', async () => {
    const store = memoryStore();
    troubles = [breaksOff];
    const gone = download(store, url, {
      onProgress: ({ done }) => {
        if (done >= PART && troubles.length === 0) troubles = [breaksOff, refuses, breaksOff];
      },
    });
    await assert.rejects(gone, { code: 'not_found', message: /broke off.*the next attempt resumes from there/ });
    const before = (await listKeys(store)).length;
    assert.ok(before >= 2, 'a part and what it is of');
    asked = [];
    troubles = [];
    await same(url, store, hashOf(file));
    assert.ok(!partsAsked().includes(0), `asked for ${partsAsked()}`);
  });

  it('goes on after Cancel', async () => {
    const store = memoryStore();
    const controller = new AbortController();
    const stop = ({ done }: Progress) => done > PART && controller.abort();
    await assert.rejects(download(store, url, { signal: controller.signal, onProgress: stop }));
    asked = [];
    await same(url, store);
    assert.deepEqual(partsAsked(), [1, 2]);
  });

  it('is begun anew where another file lies there meanwhile, a shorter one too', async () => {
    for (const next of [fileOf(2), fileOf(3, PART >> 1)]) {
      const store = memoryStore();
      file = fileOf(1);
      version = '"1"';
      const stop = new AbortController();
      const halfway = ({ done }: Progress) => done > PART && stop.abort();
      await assert.rejects(download(store, url, { signal: stop.signal, onProgress: halfway }));
      file = next;
      version = '"2"';
      const source = await download(store, url, { xxh128: hashOf(file) });
      assert.equal(source.size, file.length);
    }
    const restless: RequestListener = (request, response) => {
      version = `"${Math.random()}"`;
      troubles = [restless];
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
      const some = file.subarray(from, from + PART);
      const range = `bytes ${from}-${from + some.length - 1}/${file.length}`;
      response.writeHead(206, { 'content-range': range, 'content-length': some.length, etag: version }).end(some);
    };
    file = fileOf(1);
    troubles = [restless];
    await assert.rejects(download(memoryStore(), url), { code: 'not_found', message: /changes while it is fetched/ });
  });

  it('comes in one piece where the server knows no ranges, and by way of a redirection', async () => {
    await same(`${origin}/moved.pt`);
    ranges = false;
    await same(url, memoryStore(), hashOf(file));
    await same(`${origin}/moved.pt`);
  });

  it('is refused, and nothing of it kept, if its hash is another', async () => {
    const store = memoryStore();
    const wanted = hashOf(file);
    file = fileOf(1);
    file[PART + 5] ^= 1;
    await assert.rejects(download(store, url, { xxh128: wanted }), {
      code: 'model_unavailable',
      message: new RegExp(`model\\.pt is damaged or another file: its xxh128 is [0-9a-f]{32}, expected ${wanted}`),
    });
    assert.deepEqual(await listKeys(store), []);
    file = fileOf(4, 100);
    await assert.rejects(download(store, url, { xxh128: wanted }), { code: 'model_unavailable' });
  });

  it('that is not there is told', async () => {
    await assert.rejects(download(memoryStore(), `${origin}/nothing.pt`), {
      code: 'not_found',
      message: /answered 404 Not Found; check the address/,
    });
  });

  it('that nobody asked for again in a week is removed', async () => {
    const store = memoryStore();
    const about = { size: 10, version: '', begun: Date.now() - 8 * 24 * 3_600_000 };
    await store.set('downloads/old/about', new TextEncoder().encode(JSON.stringify(about)));
    await store.set('downloads/old/0', new Uint8Array(10));
    const source = await download(store, url);
    assert.ok(!(await listKeys(store)).some((key) => key.startsWith('downloads/old/')));
    await source.discard();
  });
});
