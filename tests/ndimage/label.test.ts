import assert from 'node:assert/strict';
import { labelComponents, labelSizes, mapLabels, relabelSequential, removeSmall } from '../../src/ndimage/label.js';
import { UnionFind } from '../../src/ndimage/union-find.js';
import { labelsFromPicture } from '../support/blobs.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** Flood fill from each unlabelled pixel in raster order. */
function floodFill(data: Uint32Array, shape: readonly number[], all: boolean): Uint32Array {
  const [depth, height, width] = shape.length === 2 ? [1, ...shape] : shape;
  const labels = new Uint32Array(data.length);
  let count = 0;
  for (let start = 0; start < data.length; start++) {
    if (data[start] === 0 || labels[start] !== 0) continue;
    labels[start] = ++count;
    const stack = [start];
    while (stack.length > 0) {
      const p = stack.pop()!;
      const z = Math.floor(p / (height * width));
      const y = Math.floor(p / width) % height;
      const x = p % width;
      for (let dz = -1; dz <= 1; dz++)
        for (let dy = -1; dy <= 1; dy++)
          for (let dx = -1; dx <= 1; dx++) {
            if (!all && Math.abs(dz) + Math.abs(dy) + Math.abs(dx) !== 1) continue;
            if (z + dz < 0 || z + dz >= depth || y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width)
              continue;
            const q = p + (dz * height + dy) * width + dx;
            if (data[q] === data[p] && labels[q] === 0) {
              labels[q] = count;
              stack.push(q);
            }
          }
    }
  }
  return labels;
}

describe('ndimage/label', () => {
  it('agrees with flood filling, numbers included, in 2D and 3D and both connectivities', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      const shape = [randomInteger(random, 1, 15), randomInteger(random, 1, 15)];
      if (seed % 2) shape.unshift(randomInteger(random, 1, 6));
      const values = randomInteger(random, 1, 4);
      const data = Uint32Array.from({ length: shape.reduce((a, b) => a * b) }, () =>
        random() < 0.5 ? randomInteger(random, 1, values + 1) : 0,
      );
      for (const connectivity of ['faces', 'all'] as const) {
        const expected = floodFill(data, shape, connectivity === 'all');
        const { labels, count } = labelComponents({ data, shape }, connectivity);
        assert.deepEqual(labels.data, expected, `seed ${seed}, ${connectivity}`);
        assert.equal(count, Math.max(0, ...expected));
      }
    }
  });

  it('a diagonal joins only with all neighbours', () => {
    const image = labelsFromPicture('1..', '.1.', '..1');
    assert.equal(labelComponents(image, 'faces').count, 3);
    assert.equal(labelComponents(image, 'all').count, 1);
  });

  it('refuses what is neither a plane nor a volume', () => {
    const data = new Uint32Array(4);
    for (const shape of [[4], [1, 1, 2, 2]])
      assert.throws(() => labelComponents({ data, shape }, 'all'), {
        code: 'invalid_argument',
        message: /2 or 3 axes, got the shape \[/,
      });
  });

  it('renumbers, counts and removes', () => {
    const labels = labelsFromPicture('99.', '5.2', '55.');
    assert.deepEqual(
      [...labelSizes(labels)],
      [
        [2, 1],
        [5, 3],
        [9, 2],
      ],
    );
    const { labels: dense, ids } = relabelSequential(labels);
    assert.deepEqual(ids, [2, 5, 9]);
    assert.deepEqual(dense, labelsFromPicture('33.', '2.1', '22.'));
    assert.deepEqual(removeSmall(labels, 2), labelsFromPicture('99.', '5..', '55.'));
    assert.deepEqual(mapLabels(labels, new Map([[9, 1]])), labelsFromPicture('11.', '...', '...'));
  });
});

describe('ndimage/union-find', () => {
  it('agrees with repeated renaming, and numbers sets by their smallest member', () => {
    const random = seededRandom(3);
    const sets = new UnionFind(5);
    while (sets.length < 200) sets.add();
    const names = Array.from({ length: 200 }, (_, i) => i);
    for (let k = 0; k < 150; k++) {
      const a = randomInteger(random, 0, 200);
      const b = randomInteger(random, 0, 200);
      sets.union(a, b);
      const [low, high] = [Math.min(names[a], names[b]), Math.max(names[a], names[b])];
      names.forEach((name, i) => {
        if (name === high) names[i] = low;
      });
    }
    const order = [...new Set(names)].sort((a, b) => a - b);
    assert.deepEqual(
      names.map((_, i) => sets.find(i)),
      names,
    );
    assert.deepEqual(
      [...sets.numbered(1)],
      names.map((name) => order.indexOf(name) + 1),
    );
  });
});
