import assert from 'node:assert/strict';
import { mirroredImage, mirroredMaps } from '../../src/model/mirrored.js';
import { tensor } from '../../src/ndimage/array.js';

describe('a mirror image', () => {
  it('has left and right exchanged, and its maps are turned back with their vectors', () => {
    const image = tensor(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), [1, 4, 3]);
    assert.deepEqual([...mirroredImage(image).data], [10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3]);
    assert.deepEqual(mirroredImage(mirroredImage(image)).data, image.data);
    const maps = tensor(
      Float32Array.from({ length: 10 }, (_, i) => i),
      [5, 1, 2],
    );
    const turned = mirroredMaps({ maps, cell: 2, inputSize: [2, 4] });
    assert.deepEqual([...turned.maps.data], [1, 0, 3, 2, 5, 4, 7, 6, -9, -8]);
  });
});
