import assert from 'node:assert/strict';
import { fullMask, maskFromBitmap, translateMask } from '../../src/ndimage/rle.js';
import { masksToLabels } from '../../src/segmentation/masks-to-labels.js';
import { labelsFromPicture } from '../support/blobs.js';

describe('segmentation/masks-to-labels', () => {
  const large = fullMask([2, 4]);
  const small = translateMask(fullMask([2, 2]), 0, 3);

  it('larger masks keep their pixels, or smaller ones lie on top', () => {
    assert.deepEqual(masksToLabels([small, large], [2, 6]), labelsFromPicture('11112.', '11112.'));
    assert.deepEqual(
      masksToLabels([small, large], [2, 6], { exclusive: false }),
      labelsFromPicture('11122.', '11122.'),
    );
  });

  it('a mask that falls apart becomes several objects, small ones go, ids have no gaps', () => {
    const torn = maskFromBitmap([1, 0, 1, 1, 0, 1, 1, 1], [1, 8]);
    assert.deepEqual(masksToLabels([torn], [1, 8]), labelsFromPicture('1.22.333'));
    assert.deepEqual(masksToLabels([torn], [1, 8], { minSize: 2 }), labelsFromPicture('..11.222'));
    assert.deepEqual(masksToLabels([], [1, 3]), labelsFromPicture('...'));
  });
});
