import assert from 'node:assert/strict';
import { checkZstd } from '../../src/io/compression/zstd.js';
import { unpackChunk } from '../../src/io/hdf5/filters.js';

describe('compressed blocks that are cut off', () => {
  it('zstd within a frame that is to be skipped', () => {
    const empty = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 1, 0, 0];
    const skipped = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7];
    const cutTo = (length: number) => Uint8Array.from([...empty, ...skipped.slice(0, length)]);
    for (const length of [0, 5, 8, 9]) checkZstd(cutTo(length), 100);
    for (const length of [6, 7])
      assert.throws(() => checkZstd(cutTo(length), 100), { code: 'invalid_image', message: /truncated/ });
  });

  it('LZF within a copy', async () => {
    const lzf = { id: 32000, label: 'lzf', parameters: [] };
    for (const bytes of [
      [0, 5, 0x20],
      [0, 5, 0xe0],
      [0, 5, 0xe0, 3],
    ])
      await assert.rejects(unpackChunk(Uint8Array.from(bytes), [lzf], 0, 40, 1, 'x'), {
        message: /ends within a copy/,
      });
  });
});
