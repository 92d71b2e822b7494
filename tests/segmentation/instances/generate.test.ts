import assert from 'node:assert/strict';
import { scoreSegmentation } from '../../../src/evaluation/segmentation-accuracy.js';
import { cellPhantom } from '../../../src/io/phantom/phantom.js';
import { type LabelImage, tensor, type YXYX } from '../../../src/ndimage/array.js';
import { makeTiling } from '../../../src/ndimage/blocking.js';
import { toHalf } from '../../../src/ndimage/half.js';
import { labelComponents } from '../../../src/ndimage/label.js';
import { maskIou } from '../../../src/ndimage/mask-sets.js';
import { translateMask } from '../../../src/ndimage/rle.js';
import { watershed } from '../../../src/ndimage/watershed.js';
import type { SegmentContext } from '../../../src/segmentation/context.js';
import { growSeeds, seedsInBlocks } from '../../../src/segmentation/instances/blocks.js';
import { generateInstances, labelsOf } from '../../../src/segmentation/instances/generate.js';
import { initializeInstances } from '../../../src/segmentation/instances/initialize.js';
import { pixelMaps } from '../../../src/segmentation/instances/pixel-maps.js';
import { foregroundMask, seedMask } from '../../../src/segmentation/instances/post-process.js';
import { type InstanceState, MICRO_SAM_SETTINGS } from '../../../src/segmentation/instances/state.js';
import { instanceGolden } from '../../support/instance-golden.js';
import { oracleMaps, oracleSource } from '../../support/oracle-maps.js';

const NO_EMBEDDING = {
  embedding: () => Promise.reject(new Error('The embedding itself is not needed.')),
};

function contextOf(embeddings: ReturnType<typeof oracleSource>): SegmentContext {
  return { worker: {} as SegmentContext['worker'], model: 'oracle', plane: 0, embeddings };
}

/** Maps at the pixels of the image itself. */
function stateOf(labels: LabelImage): InstanceState {
  const [height, width] = labels.shape;
  const maps = oracleMaps(labels);
  const tile = { frame: [0, 0, height, width] as YXYX, inputSize: [height, width] as const, cell: 1 };
  return { size: [height, width], tiles: [{ ...tile, maps: { ...maps, data: toHalf(maps.data) } }] };
}

describe('segmentation by an instance decoder', function () {
  this.timeout(60_000);

  it('is tested with the maps that micro-sam trains on', () => {
    const { labels, targets, shape } = instanceGolden();
    const got = oracleMaps(tensor(Uint32Array.from(labels), shape)).data;
    const wanted = [targets.foreground, targets.center, targets.boundary];
    const count = shape[0] * shape[1];
    wanted.forEach((map, c) => {
      const wrong = map.findIndex((value, p) => !(Math.abs(got[c * count + p] - value) < 1e-5));
      assert.equal(wrong, -1, `map ${c}, pixel ${wrong}`);
    });
  });

  it('gives the labels back from their own maps, each object with a pixel inside', () => {
    const { labels } = cellPhantom({ size: [300, 400], cells: 24 });
    const objects = generateInstances(stateOf(labels));
    const { msa } = scoreSegmentation(labels, labelsOf(objects, [300, 400]));
    assert.ok(msa > 0.93, `mean segmentation accuracy ${msa}`);
    assert.deepEqual(
      objects.map(({ id }) => id),
      objects.map((_, i) => i + 1),
    );
    const found = labelsOf(objects, [300, 400]);
    for (const { id, point } of objects) assert.equal(found.data[point[0] * 400 + point[1]], id);
  });

  it('gives the same whatever was smoothed before of the same maps', () => {
    const { labels } = cellPhantom({ size: [256, 256], cells: 14 });
    const asked = [
      MICRO_SAM_SETTINGS,
      { ...MICRO_SAM_SETTINGS, smoothing: { foreground: 1, distance: 0.8 } },
      { ...MICRO_SAM_SETTINGS, smoothing: { foreground: 0.5, distance: 0.8 } },
      MICRO_SAM_SETTINGS,
    ];
    const fresh = asked.map((settings) => generateInstances({ ...stateOf(labels), diameter: 30 }, settings));
    assert.notDeepEqual(fresh[0], fresh[1]);
    const state = stateOf(labels);
    const measured = { ...state, diameter: 30 };
    asked.forEach((settings, i) => {
      assert.deepEqual(generateInstances(i === 0 ? state : measured, settings), fresh[i], `asked ${i + 1}`);
    });
  });

  it('leaves out what is too small or too large', () => {
    const { labels } = cellPhantom({ size: [256, 256], cells: 14 });
    const state = stateOf(labels);
    const areas = generateInstances(state).map(({ mask }) => mask.area);
    const [least, most] = [Math.min(...areas), Math.max(...areas)];
    const fewer = generateInstances(state, { minObjectSize: least + 1, maxObjectSize: most - 1 });
    assert.deepEqual(
      fewer.map(({ mask }) => mask.area),
      areas.filter((area) => area > least && area < most),
    );
  });

  it('is one flooding, be it done at once or block by block', () => {
    const { labels } = cellPhantom({ size: [230, 220], cells: 20 });
    const state = stateOf(labels);
    const maps = pixelMaps(state, [0, 0, 230, 220]);
    for (const connectivity of ['all', 'faces'] as const) {
      // Wide open, so that seeds lie across borders and corners of blocks, too.
      const thresholds = { centre: 0.9, boundary: 0.95, foreground: 0.5 };
      const seeds = labelComponents(seedMask(maps, thresholds), connectivity).labels;
      const whole = watershed(maps.boundary, seeds, foregroundMask(maps, 0.5));
      const seedsOf = (box: YXYX) => seedMask(pixelMaps(state, box), thresholds);
      const inBlocks = seedsInBlocks(state.size, seedsOf, 0, connectivity, 64);
      assert.equal(inBlocks.count, new Set(seeds.data).size - 1);
      const flood = (box: YXYX, inside: LabelImage) => {
        const part = pixelMaps(state, box);
        return { labels: watershed(part.boundary, inside, foregroundMask(part, 0.5)), heights: part.boundary };
      };
      const grown = growSeeds(state.size, inBlocks, 128, flood, 64);
      const painted = labelsOf(
        grown.map(({ mask }, i) => ({ id: i + 1, mask })),
        state.size,
      );
      assert.equal(scoreSegmentation(whole, painted).msa, 1);
    }
  });

  it('of a large image is done in blocks (thorough)', () => {
    const { labels } = cellPhantom({ size: [128, 128], cells: 6 });
    const { tiles } = stateOf(labels);
    const [height, width] = [2100, 2000];
    const at = (y: number, x: number) => ({ ...tiles[0], frame: [y, x, y + 128, x + 128] as YXYX });
    const state: InstanceState = { size: [height, width], tiles: [at(0, 0), at(1480, 1480), at(1972, 1872)] };
    const alone = generateInstances(stateOf(labels), { smoothing: 'micro-sam' });
    const found = generateInstances(state, { smoothing: 'micro-sam' });
    assert.equal(found.length, 3 * alone.length);
    for (const { mask } of alone)
      for (const [y, x] of [
        [0, 0],
        [1480, 1480],
        [1972, 1872],
      ])
        assert.ok(found.some((other) => maskIou(other.mask, translateMask(mask, y, x)) > 0.8));
  });

  it('has no seams between tiles: objects across borders are whole, and there is one of each', async () => {
    const { labels } = cellPhantom({ size: [400, 440], cells: 40 });
    const alone = await initializeInstances(contextOf(oracleSource(labels, NO_EMBEDDING)), { enlarge: false });
    const tiling = makeTiling([400, 440], [140, 150], [48, 48]);
    const steps: number[] = [];
    const source = oracleSource(labels, NO_EMBEDDING, { tiling, noise: 0.02, cell: 4 });
    const tiled = await initializeInstances(contextOf(source), {
      first: [4],
      onPartial: ({ tiles }) => steps.push(tiles.length),
    });
    assert.deepEqual(steps, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(tiled.tiles[0].frame, tiling.tiles[4].outer, 'what is on screen comes first');
    const [a, b] = [generateInstances(alone), generateInstances(tiled)];
    assert.equal(b.length, a.length);
    for (const { mask } of a)
      assert.ok(
        b.some((other) => maskIou(other.mask, mask) > 0.85),
        `at ${mask.box}`,
      );
  });

  it('looks closer where objects are small: in enlarged parts, blended', async () => {
    // 12 px in an image of 1200: 10 px in the encoder's frame.
    const { labels: large } = cellPhantom({ size: [600, 1000], cells: 32 });
    const small = tensor(
      Uint32Array.from({ length: 150 * 1200 }, (_, p) => {
        const [y, x] = [Math.floor(p / 1200) * 4, (p % 1200) * 4];
        return x < 1000 ? large.data[y * 1000 + x] : 0;
      }),
      [150, 1200],
    );
    const source = oracleSource(small, NO_EMBEDDING);
    const state = await initializeInstances(contextOf(source));
    assert.ok(source.asked.length > 2, `${source.asked.length} parts`);
    assert.ok(source.asked.slice(1).every(([, left, , right]) => right - left <= 600));
    const once = await initializeInstances(contextOf(oracleSource(small, NO_EMBEDDING)), { enlarge: false });
    const score = (s: InstanceState) => scoreSegmentation(small, labelsOf(generateInstances(s), [150, 1200])).msa;
    assert.ok(score(state) > score(once) + 0.05, `${score(state)} after ${score(once)}`);
  });

  it('does not look closer than pixels are: a small picture of specks takes one run, an empty one a few (thorough)', async () => {
    const runs = async (labels: LabelImage) => {
      const source = oracleSource(labels, NO_EMBEDDING);
      await initializeInstances(contextOf(source));
      return source.asked.length;
    };
    const specks = (side: number) =>
      tensor(
        Uint32Array.from({ length: side * side }, (_, p) => (p % 8 < 2 && Math.floor(p / side) % 8 < 2 ? 1 + p : 0)),
        [side, side],
      );
    const empty = (side: number) => tensor(new Uint32Array(side * side), [side, side]);
    assert.equal(await runs(specks(64)), 1);
    assert.equal(await runs(empty(96)), 1);
    assert.ok((await runs(empty(1200))) <= 10);
  });

  it('keeps to a region', async () => {
    const { labels } = cellPhantom({ size: [300, 350], cells: 20 });
    const tiling = makeTiling([300, 350], [100, 120], [32, 32]);
    const source = oracleSource(labels, NO_EMBEDDING, { tiling, cell: 4 });
    const state = await initializeInstances(contextOf(source), { region: [10, 10, 100, 100] });
    assert.deepEqual(source.asked, [tiling.tiles[0].outer]);
    for (const { mask } of generateInstances(state)) assert.ok(mask.box[2] <= 132 && mask.box[3] <= 152);
  });

  it('needs a model with an instance decoder', async () => {
    const { instanceMaps: _, ...without } = oracleSource(cellPhantom({ size: [64, 64] }).labels, NO_EMBEDDING);
    await assert.rejects(initializeInstances(contextOf({ ...without } as ReturnType<typeof oracleSource>)), {
      code: 'unsupported',
    });
  });

  it('can smooth as micro-sam does, whatever the size', () => {
    const { labels } = cellPhantom({ size: [256, 256], cells: 14 });
    const state = { ...stateOf(labels), diameter: 7 };
    const parity = generateInstances(state, MICRO_SAM_SETTINGS);
    assert.deepEqual(
      parity,
      generateInstances(state, { smoothing: { foreground: 1, distance: 1.6 }, minObjectSize: 0 }),
    );
    assert.notDeepEqual(parity, generateInstances(state, { minObjectSize: 0 }));
  });
});
