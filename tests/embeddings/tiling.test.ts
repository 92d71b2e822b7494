import assert from 'node:assert/strict';
import { chooseTiling } from '../../src/embeddings/tiling.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('choice of tiling', () => {
  it('leaves images up to 1500 px whole', () => {
    for (const size of [
      [1, 1],
      [512, 512],
      [1500, 900],
    ] as const)
      assert.equal(chooseTiling({ size }), undefined);
    assert.deepEqual(chooseTiling({ size: [2048, 2048] }), { tileShape: [1024, 1024], halo: [128, 128] });
  });

  it('gives equal tiles, never larger than meant, at any size', () => {
    const random = seededRandom(9);
    for (let i = 0; i < 500; i++) {
      const size = [randomInteger(random, 1, 30_000), randomInteger(random, 1, 30_000)] as const;
      const objectDiameter = random() < 0.5 ? undefined : 2 + random() * 400;
      const choice = chooseTiling({ size, objectDiameter });
      if (!choice) continue;
      const { tiles, grid } = makeTiling(size, choice.tileShape, choice.halo);
      const sides = (axis: 0 | 1) => tiles.map(({ inner }) => inner[axis + 2] - inner[axis]);
      for (const axis of [0, 1] as const)
        assert.ok(Math.max(...sides(axis)) - Math.min(...sides(axis)) <= grid[axis], `${size} ${objectDiameter}`);
    }
  });

  it('shows objects at 5 to 10 percent of a tile and whole at its border, whatever their size', () => {
    for (const objectDiameter of [10, 12, 25, 60, 150]) {
      const { tileShape, halo } = chooseTiling({ size: [4096, 4096], objectDiameter })!;
      const fraction = objectDiameter / (tileShape[0] + 2 * halo[0]);
      assert.ok(fraction >= 0.05 && fraction <= 0.1, `${objectDiameter} px: ${fraction}`);
      assert.ok(halo[0] >= objectDiameter);
    }
    assert.equal(chooseTiling({ size: [2000, 2000], objectDiameter: 200 }), undefined);
    assert.ok(chooseTiling({ size: [512, 512], objectDiameter: 12 }), 'small objects need tiles in small images too');
  });

  it('cuts an image of small objects that is else left whole into tiles that enlarge them', () => {
    // Nuclei of 12 px: one spans between 5 and 10 % of a tile.
    const choice = chooseTiling({ size: [603, 1272], objectDiameter: 12 });
    assert.ok(choice);
    for (const axis of [0, 1]) {
      const share = 12 / (choice.tileShape[axis] + 2 * choice.halo[axis]);
      assert.ok(share >= 0.05 && share <= 0.1, `${share}`);
    }
  });
});
