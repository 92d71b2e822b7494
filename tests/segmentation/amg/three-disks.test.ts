import assert from 'node:assert/strict';
import { SamError } from '../../../src/errors.js';
import { overlapsOf } from '../../../src/evaluation/matching.js';
import { segmentationAccuracy } from '../../../src/evaluation/segmentation-accuracy.js';
import { type LabelImage, type Size, tensor, type YXYX } from '../../../src/ndimage/array.js';
import { makeTiling } from '../../../src/ndimage/blocking.js';
import { maskIou } from '../../../src/ndimage/mask-sets.js';
import { generateLabels, generateMasks } from '../../../src/segmentation/amg/generate.js';
import { deepenAmg, initializeAmg } from '../../../src/segmentation/amg/initialize.js';
import type { AmgState } from '../../../src/segmentation/amg/state.js';
import type { SegmentContext } from '../../../src/segmentation/context.js';
import { contextOf } from '../../support/embedding-source.js';
import { nodeWorker } from '../../support/node-engine.js';

/** micro-sam's own acceptance case: disks of radius 29, 33 and 35 on the diagonal of a black square. */
function threeDisks(side: number): LabelImage {
  const data = new Uint32Array(side * side);
  [29, 33, 35].forEach((radius, i) => {
    const centre = ((i + 1) * side) / 4;
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) if (Math.hypot(y - centre, x - centre) < radius) data[y * side + x] = i + 1;
  });
  return { data, shape: [side, side] };
}

async function contextFor(labels: LabelImage, tiled = false): Promise<SegmentContext> {
  const pixels = tensor(
    Uint8Array.from(labels.data, (id) => (id > 0 ? 255 : 0)),
    labels.shape,
  );
  const tiling = tiled ? makeTiling(labels.shape as unknown as Size, [512, 512], [96, 96]) : undefined;
  return contextOf(await nodeWorker(), pixels, tiling);
}

const accuracy = (labels: LabelImage, found: LabelImage) => segmentationAccuracy(overlapsOf(labels, found), 0.75);

/** Fewer points than by default, for speed: the disks are more than twice as wide as these lie apart. */
const GRID = { pointsPerSide: 12, pointsPerBatch: 48 };

describe('automatic mask generation', function () {
  this.timeout(300_000);
  const labels = threeDisks(256);
  let context: SegmentContext;
  let state: AmgState;
  const partial: { candidates: number; objects: number }[] = [];
  const progress: number[] = [];

  before(async () => {
    context = await contextFor(labels);
    state = await initializeAmg(context, {
      ...GRID,
      onPartial: (now) =>
        partial.push({ candidates: now.tiles[0].candidates.length, objects: generateLabels(now).objects.length }),
      onProgress: ({ done, total }) => progress.push(done / total),
    });
  });

  it('finds three disks and nothing else', () => {
    const found = generateLabels(state);
    assert.equal(accuracy(labels, found.labels), 1);
    assert.equal(found.objects.length, 3);
    for (const { id, mask, point } of found.objects) {
      assert.equal(found.labels.data.filter((value) => value === id).length, mask.area);
      assert.equal(found.labels.data[Math.floor(point[0]) * 256 + Math.floor(point[1])], id);
    }
  });

  it('gives the same again, also from a copied state', () => {
    const first = generateLabels(state);
    const other = generateLabels(state, { predIouThresh: 0.7, stabilityScoreThresh: 0.7 });
    assert.deepEqual(generateLabels(state), first);
    const copy = structuredClone(state);
    assert.deepEqual(generateLabels(copy), first);
    assert.deepEqual(generateLabels(copy, { predIouThresh: 0.7, stabilityScoreThresh: 0.7 }), other);
  });

  it('hands out what is there after each batch, and progress to the end', () => {
    assert.equal(partial.length, 3);
    assert.deepEqual(
      partial.map(({ candidates }) => candidates),
      partial.map(({ candidates }) => candidates).sort((a, b) => a - b),
    );
    assert.ok(partial[0].objects < partial[2].objects);
    assert.equal(partial[2].candidates, state.tiles[0].candidates.length);
    assert.deepEqual(progress, [1 / 3, 2 / 3, 1]);
  });

  it('sorts out by size without the network', () => {
    const areas = generateLabels(state).objects.map(({ mask }) => mask.area);
    const [small, , large] = [...areas].sort((a, b) => a - b);
    assert.equal(generateLabels(state, { minObjectSize: small + 1 }).objects.length, 2);
    // Without its largest disk, and the background that is larger still.
    assert.equal(generateLabels(state, { maxObjectSize: large - 1 }).objects.length, 2);
  });

  it('says so when thresholds lie below what was kept', () => {
    for (const thresholds of [{ predIouThresh: 0.5 }, { stabilityScoreThresh: 0.1 }])
      assert.throws(
        () => generateLabels(state, thresholds),
        (error: unknown) =>
          error instanceof SamError && error.code === 'invalid_argument' && /0\.6/.test(error.message),
      );
  });

  it('looks at a region only', async () => {
    const region: YXYX = [40, 40, 88, 88];
    const part = await initializeAmg(context, { ...GRID, region });
    assert.equal(part.tiles[0].points.length, 4);
    const found = generateLabels(part);
    assert.deepEqual(
      found.objects.map(({ mask }) => labels.data[mask.box[0] * 256 + 64]),
      [1],
    );
    const outside = await initializeAmg(context, { region: [0, 0, 1, 1] });
    assert.equal(generateLabels(outside).objects.length, 0);
  });

  it('goes on from what is there: only points in between are run (thorough)', async () => {
    let prompts = 0;
    const counted: SegmentContext = {
      ...context,
      worker: {
        ...context.worker,
        decodeCandidates: (...args) => {
          prompts += args[2].batch;
          return context.worker.decodeCandidates(...args);
        },
      },
    };
    const region: YXYX = [40, 40, 88, 88];
    const first = await initializeAmg(counted, { ...GRID, region });
    prompts = 0;
    const deeper = await deepenAmg(counted, first, { region, iouFloor: 0.4, stabilityFloor: 0.4 });
    const [before] = first.tiles;
    const [after] = deeper.tiles;
    assert.equal(prompts, after.points.length - before.points.length);
    assert.ok(prompts > 0);
    assert.deepEqual(after.points.slice(0, before.points.length), before.points);
    assert.deepEqual(after.candidates.slice(0, before.candidates.length), before.candidates);
    assert.equal(after.bestIou.length, after.points.length);
    assert.equal(new Set(after.points.map(String)).size, after.points.length, 'no point twice');
    for (const { prompt } of after.candidates.slice(before.candidates.length))
      assert.ok(prompt >= before.points.length);
    assert.equal(deeper.grids, 2);
    const found = generateLabels(deeper, { predIouThresh: 0.5, stabilityScoreThresh: 0.95 });
    assert.ok(found.objects.some(({ mask }) => labels.data[mask.box[0] * 256 + 64] === 1));
    const all = { ...deeper, grids: 8 };
    assert.equal(await deepenAmg(counted, all), all);
  });

  it('stops when asked to', async () => {
    const controller = new AbortController();
    let last = 0;
    const run = initializeAmg(context, {
      pointsPerBatch: 8,
      signal: controller.signal,
      onProgress: ({ done }) => {
        last = done;
        controller.abort();
      },
    });
    await assert.rejects(run);
    assert.equal(last, 8);
  });

  it('finds them in tiles, each once, also the one that four tiles share (thorough)', async () => {
    const large = threeDisks(1024);
    const context = await contextFor(large, true);
    const encoded: (number | undefined)[] = [];
    const embeddings: SegmentContext['embeddings'] = {
      ...context.embeddings,
      embedding: (at, task) => {
        if (!encoded.includes(at.tile)) encoded.push(at.tile);
        return context.embeddings.embedding(at, task);
      },
    };
    const tiles = await initializeAmg({ ...context, embeddings }, { pointsPerSide: 8, first: [3, 1] });
    assert.deepEqual(encoded, [3, 1, 0, 2]);
    assert.equal(tiles.tiles.length, 4);
    const found = generateLabels(tiles);
    assert.equal(accuracy(large, found.labels), 1);
    assert.equal(found.objects.length, 3);
    const masks = generateMasks(tiles).map(({ mask }) => mask);
    for (const [i, a] of masks.entries())
      for (const b of masks.slice(i + 1)) assert.ok(maskIou(a, b) <= 0.5, 'a duplicate across tiles');
  });
});
