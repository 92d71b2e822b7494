import assert from 'node:assert/strict';
import { setImmediate as breathe } from 'node:timers/promises';
import type { ImageSource } from '../../src/io/image.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { PlanesAhead } from '../../src/presenter/image/planes-ahead.js';

const PLANES = 30;

/** A stack whose plane z is full of z, and the planes that were read of it. */
function stack(): { source: ImageSource; reads: number[] } {
  const data = Uint8Array.from({ length: PLANES * 16 }, (_, i) => Math.floor(i / 16));
  const source = openNdarray({ data, shape: [PLANES, 4, 4], axes: 'zyx', name: 'stack' });
  const reads: number[] = [];
  const readRegion: ImageSource['readRegion'] = (region, options) => {
    reads.push(region.z ?? 0);
    return source.readRegion(region, options);
  };
  return { source: { ...source, readRegion }, reads };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await breathe();
}

describe('planes read ahead', () => {
  it('gives the plane that was asked for and then reads its neighbours in the direction of travel', async () => {
    const { source, reads } = stack();
    const planes = new PlanesAhead(source);
    assert.equal((await planes.read(10, [0])).data[0], 10);
    await settle();
    assert.deepEqual(reads, [10, 11, 12, 9, 13, 14]);
    reads.length = 0;
    assert.equal((await planes.read(9, [0])).data[0], 9);
    await settle();
    assert.deepEqual(reads, [8, 7, 6, 5], '9 and 10 were at hand');
  });

  it('stops reading ahead when another plane is asked for, and stays within the stack', async () => {
    const { source, reads } = stack();
    const planes = new PlanesAhead(source);
    const passed = planes.read(3, [0]);
    await planes.read(PLANES - 1, [0]);
    await passed;
    await settle();
    assert.deepEqual(reads, [3, PLANES - 1, PLANES - 2]);
  });

  it('asks again for a plane that could not be read', async () => {
    const { source } = stack();
    let fail = true;
    const readRegion: ImageSource['readRegion'] = (region, options) =>
      fail ? Promise.reject(new Error('gone')) : source.readRegion(region, options);
    const planes = new PlanesAhead({ ...source, readRegion });
    await assert.rejects(planes.read(2, [0]), /gone/);
    fail = false;
    assert.equal((await planes.read(2, [0])).data[0], 2);
  });
});
