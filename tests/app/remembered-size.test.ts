import assert from 'node:assert/strict';
import { recallSize, rememberSize } from '../../src/app/remembered-size.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';

describe('tiles and sizes of an image', () => {
  const tiling = { tileShape: [128, 96], halo: [12, 12] } as const;

  it('are there again under its signature, and only there', async () => {
    const store = memoryStore();
    await rememberSize(store, 'sampled:12ab', { tiling, objectDiameter: 12 });
    await rememberSize(store, '34cd', { tiling: 'none' });
    const pixelSize = { z: 2, y: 0.5, x: 0.5, unit: 'µm' };
    await rememberSize(store, '78ab', { pixelSize });
    assert.deepEqual(await recallSize(store, '78ab'), { pixelSize });
    assert.deepEqual(await recallSize(store, 'sampled:12ab'), { tiling, objectDiameter: 12 });
    assert.deepEqual(await recallSize(store, '34cd'), { tiling: 'none' });
    assert.deepEqual(await recallSize(store, '56ef'), {});
  });

  it('leave nothing behind once they are automatic again', async () => {
    const store = memoryStore();
    await rememberSize(store, '12ab', { objectDiameter: 12, tiling: null });
    assert.equal((await listKeys(store)).length, 1);
    await rememberSize(store, '12ab', { objectDiameter: null, tiling: null });
    assert.deepEqual(await listKeys(store), []);
  });

  it('say their version; those of the first do not, and those of a newer program stay', async () => {
    const store = memoryStore();
    await rememberSize(store, '12ab', { objectDiameter: 12 });
    const [key] = await listKeys(store);
    const stored = async () => JSON.parse(new TextDecoder().decode(await store.get(key)));
    assert.deepEqual(await stored(), { version: 1, objectDiameter: 12 });
    await store.set(key, new TextEncoder().encode('{"objectDiameter":9}'));
    assert.deepEqual(await recallSize(store, '12ab'), { objectDiameter: 9 });
    const newer = { version: 2, objectDiameter: 12, tiling: { sides: 'many' } };
    await store.set(key, new TextEncoder().encode(JSON.stringify(newer)));
    assert.deepEqual(await recallSize(store, '12ab'), {});
    await rememberSize(store, '12ab', { objectDiameter: 7 });
    await rememberSize(store, '12ab', {});
    assert.deepEqual(await stored(), newer);
  });

  it('are automatic where what is stored is damaged', async () => {
    const store = memoryStore();
    await rememberSize(store, '12ab', { objectDiameter: 12 });
    const [key] = await listKeys(store);
    for (const text of [
      '',
      '{"objectDiameter":',
      '{"objectDiameter":-3}',
      '{"tiling":{"tileShape":[1]}}',
      '{"pixelSize":{"y":0,"x":1,"unit":"nm"}}',
      '[]',
    ]) {
      await store.set(key, new TextEncoder().encode(text));
      assert.deepEqual(await recallSize(store, '12ab'), {}, text);
    }
  });
});
