import assert from 'node:assert/strict';
import { maskOutlines } from '../../src/ndimage/contour.js';
import { labelComponents } from '../../src/ndimage/label.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { rasterizePolygon } from '../../src/ndimage/rasterize.js';
import { maskFromBitmap, masksFromLabels } from '../../src/ndimage/rle.js';
import { labelsFromPicture, randomBitmap, randomDisks } from '../support/blobs.js';
import { seededRandom } from '../support/random.js';

/** All rings, holes included: enough for even-odd filling. */
const ringsOf = (mask: Mask) => maskOutlines(mask).flatMap(({ outer, holes }) => [outer, ...holes]);

function fromPicture(...rows: string[]) {
  const { data, shape } = labelsFromPicture(...rows);
  return maskFromBitmap(data, [shape[0], shape[1]]);
}

describe('ndimage/contour', () => {
  it('a rectangle has its four corners, clockwise', () => {
    assert.deepEqual(maskOutlines(fromPicture('....', '.111', '.111')), [
      {
        outer: [
          [1, 4],
          [3, 4],
          [3, 1],
          [1, 1],
        ],
        holes: [],
      },
    ]);
  });

  it('pixels that touch at a corner are polygons of their own; a hole belongs to the polygon around it', () => {
    assert.equal(maskOutlines(fromPicture('1.', '.1')).length, 2);
    const nested = maskOutlines(fromPicture('11111.11', '1...1.11', '1.1.1...', '1...1...', '11111...'));
    assert.deepEqual(
      nested.map(({ holes }) => holes.length),
      [1, 0, 0],
    );
  });

  it('rings that would touch themselves are split: two holes meeting at a corner, a bay closed at a corner', () => {
    const holes = maskOutlines(fromPicture('1111', '1.11', '11.1', '1111'));
    assert.equal(holes.length, 1);
    assert.equal(holes[0].holes.length, 2);
    const bay = maskOutlines(fromPicture('111.', '1.11', '1111'));
    assert.equal(bay.length, 1);
    assert.equal(bay[0].holes.length, 1);
  });

  it('filling the outline gives the mask back, and rings are simple, on random noise of every density', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = seededRandom(seed);
      const height = 1 + Math.floor(random() * 14);
      const width = 1 + Math.floor(random() * 14);
      const bitmap = randomBitmap(random, height, width, random());
      const mask = maskFromBitmap(bitmap, [height, width]);
      const outlines = maskOutlines(mask);
      assert.deepEqual(rasterizePolygon(ringsOf(mask), [height, width]), mask, `seed ${seed}`);
      assert.equal(outlines.length, labelComponents({ data: bitmap, shape: [height, width] }).count, `seed ${seed}`);
      let area = 0;
      for (const outline of outlines) {
        area += rasterizePolygon([outline.outer, ...outline.holes], [height, width]).area;
        for (const ring of [outline.outer, ...outline.holes]) {
          assert.equal(new Set(ring.map(String)).size, ring.length, `seed ${seed}: a ring passes a corner twice`);
          for (let i = 0; i < ring.length; i++) {
            const [a, b, c] = [ring[i], ring[(i + 1) % ring.length], ring[(i + 2) % ring.length]];
            assert.notEqual(a[0] === b[0], a[1] === b[1], 'edges are axis parallel');
            assert.notEqual(a[0] === b[0], b[0] === c[0], 'every vertex is a corner');
          }
        }
      }
      assert.equal(area, mask.area, `seed ${seed}: each polygon with its own holes covers its own part`);
    }
  });

  it('inverts on cell-like objects at their place in a large image', () => {
    const labels = randomDisks(seededRandom(9), [200, 300], 60, [3, 25]);
    for (const mask of masksFromLabels(labels).values())
      assert.deepEqual(rasterizePolygon(ringsOf(mask), [200, 300]), mask);
  });
});
