import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ServedFiles } from '../../src/cli/serve/served-files.js';
import { SamError } from '../../src/errors.js';
import { httpGet } from '../../src/io/http.js';
import { httpBytes } from '../../src/io/http-bytes.js';
import { httpStore } from '../../src/io/stores/http.js';
import type { Progress } from '../../src/task.js';
import { fasterTimers } from '../support/faster-timers.js';

const LENGTH = 40 * 1024 * 1024;
const file = new Uint8Array(LENGTH);
for (let i = 0; i < LENGTH; i += 4096) file[i] = (i / 4096) % 251;
const small = file.subarray(0, 100_000);

describe('files behind addresses', function () {
  this.timeout(60_000);
  fasterTimers();
  let server: Server;
  let url: string;
  /** What goes wrong next, first things first. */
  let troubles: ((...args: Parameters<RequestListener>) => void)[] = [];
  let ranges = true;
  const asked: (string | undefined)[] = [];

  before(async () => {
    server = createServer((request, response) => {
      asked.push(request.headers.range);
      const trouble = troubles.shift();
      if (trouble) return trouble(request, response);
      const body = request.url?.includes('small') ? small : file;
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
      if (from === undefined || !ranges) {
        response.writeHead(200, { 'content-length': body.length });
        return response.end(body);
      }
      const end = Math.min(Number(to) + 1, body.length);
      response.writeHead(206, {
        'content-range': `bytes ${from}-${end - 1}/${body.length}`,
        'content-length': end - Number(from),
      });
      return response.end(body.subarray(Number(from), end));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/big cells.png`;
  });
  after(() => server.close());
  beforeEach(() => {
    troubles = [];
    ranges = true;
  });

  const busy: RequestListener = (_, response) => response.writeHead(503, { 'retry-after': '0' }).end();
  const breaksOff: RequestListener = (_, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-65535/${LENGTH}`, 'content-length': 65_536 });
    response.write(file.subarray(0, 1000), () => response.destroy());
  };

  it('are asked for again when the server is busy or the connection breaks in the middle', async () => {
    troubles = [busy, breaksOff];
    const source = await httpBytes(url);
    assert.equal(source.size, LENGTH);
    troubles = [busy];
    assert.deepEqual(await source.read(4_096_000, 4097), file.slice(4_096_000, 4_100_097));
    troubles = [busy, busy, busy];
    await assert.rejects(source.read(4_096_000, 10), { code: 'not_found', message: /503.*try again later/ });
  });

  it('come in parts, each of which can be asked for again, with progress in between', async () => {
    const source = await httpBytes(url);
    asked.length = 0;
    const told: Progress[] = [];
    const whole = await source.read(0, LENGTH, { onProgress: (progress) => told.push(progress) });
    assert.deepEqual(whole, file);
    assert.equal(asked.length, 3);
    assert.ok(told.length > 5);
    assert.ok(
      told.every(({ done, total }, i) => total === LENGTH && done <= LENGTH && (i === 0 || done >= told[i - 1].done)),
    );
    assert.match(told[0].message, /big cells\.png/);
    const few: Progress[] = [];
    await source.read(70_000, 1000, { onProgress: (progress) => few.push(progress) });
    assert.equal(few.length, 0, 'small reads go without saying');
  });

  it('come whole, with progress, where the server knows no ranges', async () => {
    ranges = false;
    let last: Progress | undefined;
    const source = await httpBytes(url, { onProgress: (progress) => (last = progress) });
    assert.deepEqual(await source.read(LENGTH - 8192, 8192), file.slice(-8192));
    assert.deepEqual([last?.done, last?.total], [LENGTH, LENGTH]);
  });

  it('come whole where ranges are refused, whatever the server calls it', async () => {
    for (const status of [400, 405, 416, 501]) {
      troubles = [(_, response) => response.writeHead(status).end()];
      ranges = false;
      const source = await httpBytes(url.replace('big', 'small')).finally(() => {
        ranges = true;
      });
      assert.deepEqual(await source.read(0, source.size), small, `${status}`);
      troubles = [(_, response) => response.writeHead(status).end()];
      const store = httpStore(new URL('.', url));
      assert.deepEqual(await store.getRange?.('small cells.png', 8192, 4), file.slice(8192, 8196), `${status}`);
    }
  });

  it('may need a user and a password, which are in no message', async () => {
    const login = Buffer.from('ann ä:a@b:c').toString('base64');
    const guard: RequestListener = ({ headers }, response) => {
      const known = headers.authorization === `Basic ${login}`;
      response.writeHead(known ? 200 : 401).end(known ? 'pixels' : '');
    };
    const address = url.replace('//', '//ann%20%C3%A4:a%40b%3Ac@');
    troubles = [guard];
    assert.equal((await httpBytes(address)).size, 6);
    troubles = [guard];
    await assert.rejects(httpBytes(address.replace('ann', 'eve')), ({ message }: Error) => {
      assert.match(message, /401.*user:password@/);
      assert.doesNotMatch(message, /eve|a%40b/);
      return true;
    });
  });

  it('can be given up while waiting', async () => {
    troubles = [(_, response) => response.writeHead(503, { 'retry-after': '10' }).end()];
    const controller = new AbortController();
    const reading = httpBytes(url, { signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    await assert.rejects(reading, { name: 'AbortError' });
  });

  it('say which status they answered', async () => {
    troubles = [(_, response) => response.writeHead(403).end()];
    await assert.rejects(httpBytes(url), { code: 'not_found', message: /403.*login.*download/ });
    const failure = (text: string) => new SamError('storage', `It ${text}.`);
    await assert.rejects(httpGet('data:nonsense', { failure }), { code: 'storage', message: /It cannot be reached/ });
  });

  it('are handed on by the server of the annotator, with their ranges and nothing beside them', async () => {
    const files = new ServedFiles('secret');
    const place = files.add(url);
    assert.match(place, /^\/files\/[0-9a-f]{32}\/big%20cells\.png$/);
    const zarr = files.add(url.replace('big cells.png', 'screen.zarr'));
    assert.match(zarr, /screen\.zarr\/$/);
    const proxy = createServer((request, response) => {
      void files
        .answer({ url: new URL(request.url ?? '', 'http://x'), request, response })
        .catch(() => response.writeHead(404).end());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    try {
      const part = await fetch(origin + place, { headers: { range: 'bytes=8192-8195' } });
      assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 8192-8195/${LENGTH}`]);
      assert.deepEqual(new Uint8Array(await part.arrayBuffer()), file.slice(8192, 8196));
      const source = await httpBytes(origin + place);
      assert.deepEqual(await source.read(4_096_000, 4097), file.slice(4_096_000, 4_100_097));
      troubles = [(request, response) => response.writeHead(404).end(request.url)];
      assert.equal(await (await fetch(`${origin}${zarr}0/c/1`)).text(), '/screen.zarr/0/c/1');
      assert.equal((await fetch(`${origin}${zarr}..%2fother`)).status, 404);
    } finally {
      proxy.close();
    }
  });
});
