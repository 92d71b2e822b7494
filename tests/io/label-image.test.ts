import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { openImage } from '../../src/io/open.js';
import { readLabelImage } from '../../src/io/results/label-image.js';

describe('reading a label image', () => {
  const read = async (data: Float32Array | Uint16Array | Int32Array, shape: number[], axes: string) =>
    readLabelImage(await openImage({ data, shape, axes, name: 'labels' }));

  it('keeps numbers and shape, of planes and of stacks, whatever type holds them', async () => {
    const plane = await read(Float32Array.of(0, 70_000, 3, 0, 0, 1), [2, 3], 'yx');
    assert.deepEqual(plane, { data: Uint32Array.of(0, 70_000, 3, 0, 0, 1), shape: [2, 3] });
    const stack = await read(Int32Array.of(1, 0, 0, 2), [2, 1, 2], 'zyx');
    assert.deepEqual(stack, { data: Uint32Array.of(1, 0, 0, 2), shape: [2, 1, 2] });
  });

  it('refuses what is not a label image, and says why', async () => {
    const refused = (pattern: RegExp) => (error: unknown) =>
      error instanceof SamError && error.code === 'invalid_image' && pattern.test(error.message);
    await assert.rejects(read(Float32Array.of(0, 0.5), [1, 2], 'yx'), refused(/whole numbers.* there is 0\.5/));
    await assert.rejects(read(Int32Array.of(0, -1), [1, 2], 'yx'), refused(/there is -1/));
    await assert.rejects(read(new Uint16Array(12), [2, 2, 3], 'yxc'), refused(/3 channels/));
  });
});
