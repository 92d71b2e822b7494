import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { joinNumbers, startModel } from '../../src/cli/model-in-use.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { tensor } from '../../src/ndimage/array.js';
import { TINY_MODEL } from '../support/tiny-model.js';

describe('flags of commands that run the model', () => {
  it('take several numbers where they may, and leave the rest alone', () => {
    assert.deepEqual(
      joinNumbers(['-i', 'a b', '--pixel_size', '0.3', '.13', '0.13', '--halo', '64', 'b.tif', '-n', '3']),
      ['-i', 'a b', '--pixel_size=0.3,.13,0.13', '--halo=64', 'b.tif', '-n', '3'],
    );
    assert.deepEqual(joinNumbers(['--tile_shape', '512', '256', '128']), ['--tile_shape=512,256', '128']);
    assert.deepEqual(joinNumbers(['--halo']), ['--halo=']);
  });

  it('state the size of a pixel, whatever the file says', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'micro-sam-engine-'));
    const file = path.join(folder, 'volume.tif');
    const pixelSize = { z: 2, y: 1, x: 1, unit: 'µm' };
    writeFileSync(file, await encodeTiff(tensor(new Uint8Array(2 * 4 * 4), [2, 4, 4]), { pixelSize }));
    const sizeWith = async (flag?: string) => {
      const engine = await startModel({ pixel_size: flag });
      const source = await engine.open(file);
      await source.close();
      await engine.close();
      return source.pixelSize;
    };
    assert.equal((await sizeWith())?.z, 2);
    assert.deepEqual(await sizeWith('0.3,0.12,0.13'), { z: 0.3, y: 0.12, x: 0.13, unit: 'µm' });
    assert.deepEqual(await sizeWith('0.5'), { y: 0.5, x: 0.5, unit: 'µm' });
    for (const wrong of ['0,1,1', 'a', '1,1,1,1', '']) await assert.rejects(sizeWith(wrong), /--pixel_size takes/);
    rmSync(folder, { recursive: true });
  });

  it('tell which device did the work, and why not the one that was asked for', async () => {
    const told: string[] = [];
    const { error } = console;
    console.error = (text: string) => void told.push(text);
    try {
      for (const device of ['cuda', 'cpu']) {
        const engine = await startModel({ device });
        await engine.worker.load(TINY_MODEL);
        await engine.close();
      }
    } finally {
      console.error = error;
    }
    const [cuda, cpu] = told.filter((text) => text.startsWith('Computed by'));
    assert.match(cuda, /^Computed by onnxruntime-node \S+ on (cuda|cpu.*cuda .*is not used: )/); // some machines have one
    assert.match(cpu, /^Computed by onnxruntime-node \S+ on cpu/);
  });
});
