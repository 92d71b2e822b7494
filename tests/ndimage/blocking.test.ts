import assert from 'node:assert/strict';
import { makeTiling, tileAt, tilesMeeting } from '../../src/ndimage/blocking.js';
import { boxContains } from '../../src/ndimage/boxes.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('ndimage/blocking', () => {
  it('inner boxes partition the image and outer boxes grow them by the halo inside it', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed);
      const size = [randomInteger(random, 1, 40), randomInteger(random, 1, 40)] as const;
      const tiling = makeTiling(
        size,
        [randomInteger(random, 1, 45), randomInteger(random, 1, 45)],
        [randomInteger(random, 0, 9), randomInteger(random, 0, 9)],
      );
      for (let y = 0; y < size[0]; y++) {
        for (let x = 0; x < size[1]; x++) {
          const owners = tiling.tiles.flatMap(({ inner }, i) => (boxContains(inner, [y, x]) ? [i] : []));
          assert.deepEqual(owners, [tileAt(tiling, [y + 0.9, x + 0.1])], `seed ${seed} at ${y}, ${x}`);
        }
      }
      for (const { inner, outer } of tiling.tiles)
        for (let i = 0; i < 4; i++) {
          const grown = inner[i] + (i < 2 ? -1 : 1) * tiling.halo[i % 2];
          assert.equal(outer[i], Math.min(Math.max(grown, 0), size[i % 2]));
        }
    }
  });

  it('positions outside go to the nearest tile', () => {
    const tiling = makeTiling([100, 100], [40, 50], [5, 5]);
    assert.equal(tileAt(tiling, [-1, 200]), 1);
    assert.equal(tileAt(tiling, [100, 100]), 5);
  });

  it('tells which tiles a box meets', () => {
    const tiling = makeTiling([100, 100], [40, 50], [5, 5]);
    assert.deepEqual(tilesMeeting(tiling, [0, 0, 40, 50]), [0]);
    assert.deepEqual(tilesMeeting(tiling, [39, 10, 41, 51]), [0, 1, 2, 3]);
    assert.deepEqual(tilesMeeting(tiling, [-20, -20, 200, 200]), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(tilesMeeting(tiling, [100, 0, 120, 50]), []);
  });

  it('refuses shapes that are no sizes', () => {
    assert.throws(() => makeTiling([10, 10], [0, 5], [0, 0]), {
      code: 'invalid_argument',
      message: /tile shape .* got \[0, 5\]/,
    });
    assert.throws(() => makeTiling([10, 10], [5, 5], [-1, 0]), /halo/);
  });
});
