import assert from 'node:assert/strict';
import { componentAt } from '../../src/ndimage/component.js';
import { distanceToEdge } from '../../src/ndimage/distance.js';
import { labelComponents } from '../../src/ndimage/label.js';
import { maskContains, maskFromBitmap, maskToBitmap } from '../../src/ndimage/rle.js';
import { randomInteger, seededRandom } from '../support/random.js';

const [HEIGHT, WIDTH] = [13, 17] as const;

describe('parts and depths of masks', () => {
  it('the part that holds a pixel is what labelling finds there', () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = seededRandom(seed);
      const bitmap = Uint8Array.from({ length: HEIGHT * WIDTH }, () => Number(random() < 0.55));
      const mask = maskFromBitmap(bitmap, [HEIGHT, WIDTH], [3, 5]);
      const { labels } = labelComponents({ data: bitmap, shape: [HEIGHT, WIDTH] });
      for (let k = 0; k < 20; k++) {
        const [y, x] = [randomInteger(random, 0, HEIGHT), randomInteger(random, 0, WIDTH)];
        const part = maskToBitmap(componentAt(mask, [y + 3.5, x + 5.5]), [HEIGHT, WIDTH], [3, 5]);
        const label = labels.data[y * WIDTH + x];
        const expected = Array.from(labels.data, (other) => Number(label > 0 && other === label));
        assert.deepEqual([...part], expected, `seed ${seed}, (${y}, ${x})`);
      }
    }
  });

  it('the distance to the edge is that to the nearest pixel of the other side', () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = seededRandom(seed);
      const mask = maskFromBitmap(
        Uint8Array.from({ length: HEIGHT * WIDTH }, () => Number(random() < 0.5)),
        [HEIGHT, WIDTH],
      );
      const [y, x] = [randomInteger(random, 0, HEIGHT), randomInteger(random, 0, WIDTH)];
      const inside = maskContains(mask, y, x);
      let nearest = Infinity;
      for (let row = -1; row <= HEIGHT; row++)
        for (let column = -1; column <= WIDTH; column++)
          if (maskContains(mask, row, column) !== inside) nearest = Math.min(nearest, Math.hypot(row - y, column - x));
      assert.ok(Math.abs(distanceToEdge(mask, [y + 0.5, x + 0.5]) - nearest) < 1e-5, `seed ${seed}`);
    }
  });
});
