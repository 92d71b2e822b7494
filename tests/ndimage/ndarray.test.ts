import assert from 'node:assert/strict';
import { fromNdarray, toNdarray } from '../../src/ndimage/ndarray.js';

describe('ndarray', () => {
  const tensor = () => ({ data: Uint16Array.from({ length: 12 }, (_, i) => i), shape: [3, 4] });

  it('views share the data and the order of axes', () => {
    const image = tensor();
    const view = toNdarray(image);
    assert.equal(view.get(2, 1), 9);
    view.set(2, 1, 77);
    assert.equal(image.data[9], 77);
  });

  it('slices, steps and transposes come back packed', () => {
    const view = toNdarray(tensor());
    assert.deepEqual(fromNdarray(view.transpose(1, 0)), {
      data: Uint16Array.of(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11),
      shape: [4, 3],
    });
    assert.deepEqual(fromNdarray(view.lo(1, 1).hi(2, 2)), { data: Uint16Array.of(5, 6, 9, 10), shape: [2, 2] });
    assert.deepEqual(fromNdarray(view.step(2, -1)), { data: Uint16Array.of(3, 2, 1, 0, 11, 10, 9, 8), shape: [2, 4] });
  });

  it('a tensor survives the way there and back', () => {
    assert.deepEqual(fromNdarray(toNdarray(tensor())), tensor());
  });
});
