import assert from 'node:assert/strict';
import { scoreSegmentation } from '../../src/evaluation/segmentation-accuracy.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { toHalf } from '../../src/ndimage/half.js';
import { encodeBand } from '../../src/segmentation/amg/band-logits.js';
import type { AmgCandidate, AmgState } from '../../src/segmentation/amg/state.js';
import { generateApg, initializeApg, promptPoints } from '../../src/segmentation/apg.js';
import { automaticSegmentation, rejectedPoints } from '../../src/segmentation/automatic.js';
import { labelsOf } from '../../src/segmentation/instances/generate.js';
import { SEED_THRESHOLDS } from '../../src/segmentation/instances/post-process.js';
import type { InstanceState } from '../../src/segmentation/instances/state.js';
import { contextOf } from '../support/embedding-source.js';
import { instanceGolden } from '../support/instance-golden.js';
import { nodeWorker, singleEmbedding } from '../support/node-engine.js';
import { oracleMaps, oracleSource } from '../support/oracle-maps.js';

function stateOf(maps: Float32Array, size: readonly [number, number]): InstanceState {
  const tile = { frame: [0, 0, ...size] as const, inputSize: size, cell: 1 };
  return { size, tiles: [{ ...tile, maps: { data: toHalf(maps), shape: [3, ...size] } }] };
}

describe('automatic prompt generation', function () {
  this.timeout(180_000);

  it('makes one point inside each core of 4 pixels and more, where micro-sam has one', () => {
    const { predictions, apg, shape } = instanceGolden();
    const maps = new Float32Array(3 * shape[0] * shape[1]);
    [predictions.foreground, predictions.center, predictions.boundary].forEach((map, c) => {
      maps.set(map, c * map.length);
    });
    const sizes = new Map<number, number>();
    for (const id of apg.components) if (id !== 0) sizes.set(id, (sizes.get(id) ?? 0) + 1);
    const points = promptPoints(stateOf(maps, shape), SEED_THRESHOLDS);
    const of = ([y, x]: YX) => apg.components[y * shape[1] + x];
    const large = [...sizes].filter(([, size]) => size >= 4).map(([id]) => id);
    assert.ok(large.length >= 4);
    assert.deepEqual(points.map(of).sort(), large.sort());
  });

  /** Squares of 40 cells on the 256 grid, each the only mask of its prompt. */
  const square = (at: YX, predictedIou: number, side = 40): { point: YX; candidate: Omit<AmgCandidate, 'prompt'> } => {
    const [y, x] = at;
    const logits = Float32Array.from({ length: (side + 6) ** 2 }, (_, i) => {
      const inside = (k: number) => k >= 3 && k < side + 3;
      return inside(Math.floor(i / (side + 6))) && inside(i % (side + 6)) ? 5 : -5;
    });
    const crop = [y - 3, x - 3, y + side + 3, x + side + 3] as const;
    const box = [y, x, y + side, x + side] as const;
    return {
      point: [y + 5, x + 5],
      candidate: { token: 1, predictedIou, stability: 1, box, logits: encodeBand(logits, crop) },
    };
  };
  const masksOf = (squares: readonly ReturnType<typeof square>[]): AmgState => ({
    size: [256, 256],
    pointsPerSide: 0,
    grids: 1,
    iouFloor: 0,
    stabilityFloor: 0,
    tiles: [
      {
        frame: [0, 0, 256, 256],
        inner: [0, 0, 256, 256],
        inputSize: [1024, 1024],
        candidates: squares.map(({ candidate }, prompt) => ({ ...candidate, prompt })),
        points: squares.map(({ point }) => point),
        bestIou: new Float32Array(squares.length),
      },
    ],
  });
  const apgOf = (squares: readonly ReturnType<typeof square>[]) => ({
    instances: { size: [256, 256] as const, tiles: [], diameter: 40 },
    masks: masksOf(squares),
    seeds: SEED_THRESHOLDS,
  });

  it('lays masks down by score, and says why others are left out', () => {
    const state = apgOf([
      square([20, 20], 0.9),
      square([24, 24], 0.8), // mostly under the first
      square([20, 57], 0.7), // a strip of it is under the first
      square([100, 100], 0.5),
      square([150, 150], 0.9, 4),
    ]);
    const result = generateApg(state);
    assert.deepEqual(
      result.objects.map(({ id, predictedIou }) => [id, predictedIou]),
      [
        [1, 0.9],
        [2, 0.7],
      ],
    );
    assert.deepEqual(result.rejected, [
      { point: [105, 105], reason: 'low score' },
      { point: [155, 155], reason: 'size' },
      { point: [29, 29], reason: 'duplicate' },
    ]);
    const labels = labelsOf(result.objects, [256, 256]);
    assert.equal(labels.data[30 * 256 + 58], 1, 'what two claim belongs to the better one');
    assert.equal(labels.data[30 * 256 + 80], 2);
    assert.deepEqual(rejectedPoints({ mode: 'apg', apg: state }), result.rejected);
    assert.equal(generateApg(state, { predIouThresh: 0.4 }).objects.length, 3);
    assert.equal(generateApg(state, { maxOverlap: 0.9 }).objects.length, 3);
    assert.equal(generateApg(state, { maxOverlap: 0 }).objects.length, 1);
  });

  it('takes of several masks the one that the maps show, not the one of the highest score', () => {
    const labels = { data: new Uint32Array(256 * 256), shape: [256, 256] };
    for (let y = 20; y < 60; y++) labels.data.fill(1, y * 256 + 20, y * 256 + 60);
    const [object, background] = [square([20, 20], 0.8), square([3, 3], 0.99, 240)];
    const far = square([150, 150], 0.9);
    const masks = masksOf([object, far]);
    const [tile] = masks.tiles;
    const state = {
      instances: stateOf(oracleMaps(labels).data, [256, 256]),
      masks: {
        ...masks,
        tiles: [{ ...tile, candidates: [...tile.candidates, { ...background.candidate, prompt: 0 }] }],
      },
      seeds: SEED_THRESHOLDS,
    };
    const { objects } = generateApg(state);
    assert.equal(objects.find(({ point }) => point[0] === 25)?.predictedIou, 0.8);
    const disagreeing = { ...state, masks: masksOf([{ ...far, point: [40, 40] }]) };
    assert.deepEqual(generateApg(disagreeing).rejected, [{ point: [40, 40], reason: 'disagrees with the maps' }]);
  });

  it('keeps the outline of the maps for objects that are too small for the mask decoder', () => {
    const labels = { data: new Uint32Array(256 * 256), shape: [256, 256] };
    for (let y = 20; y < 60; y++) labels.data.fill(1, y * 256 + 20, y * 256 + 60);
    const maps = stateOf(oracleMaps(labels).data, [256, 256]);
    const apgWith = (diameter: number) => ({
      instances: { ...maps, diameter },
      masks: masksOf([{ ...square([35, 35], 0.5), point: [40, 40] }]),
      seeds: SEED_THRESHOLDS,
    });
    const [small, large] = [generateApg(apgWith(7)), generateApg(apgWith(9))];
    assert.deepEqual(
      small.objects.map(({ mask, predictedIou }) => [mask.area, predictedIou]),
      [[1600, undefined]],
    );
    assert.deepEqual(small.rejected, []);
    assert.deepEqual(large, { objects: [], rejected: [{ point: [40, 40], reason: 'low score' }] });
  });

  it('outlines the objects of an image by the real model, whole and in tiles (thorough)', async () => {
    const { image, labels } = cellPhantom({ size: [256, 256], cells: 12 });
    const worker = await nodeWorker();
    const whole = { ...oracleSource(labels, singleEmbedding(worker, 'vit_t', image)) };
    const context = { worker, model: 'vit_t', plane: 0, embeddings: whole };
    const result = await automaticSegmentation(context, { mode: 'apg' });
    const { f1 } = scoreSegmentation(labels, result.labels);
    assert.ok(f1 > 0.8, `F1 ${f1}`);
    assert.ok(result.objects.every(({ predictedIou }) => predictedIou! >= 0.6));
    const refined = await automaticSegmentation(context, { mode: 'apg', refine: true, resume: result.state });
    assert.ok(refined.state.mode === 'apg' && (refined.state.apg.refined?.size ?? 0) > 0, 'boxes were asked for');
    assert.notDeepEqual(refined.labels.data, result.labels.data);
    assert.ok(scoreSegmentation(labels, refined.labels).f1 > 0.8);
    const tiling = makeTiling([256, 256], [128, 256], [24, 0]);
    const tiled = oracleSource(labels, contextOf(worker, image, tiling).embeddings, { tiling });
    const partial: number[] = [];
    const state = await initializeApg(
      { ...context, embeddings: tiled },
      { pointsPerBatch: 4, onPartial: (now) => partial.push(generateApg(now).objects.length) },
    );
    const found = labelsOf(generateApg(state).objects, [256, 256]);
    assert.ok(scoreSegmentation(labels, found).f1 > 0.7);
    assert.ok(partial.length > 1 && partial[0] <= partial.at(-1)!);
  });

  it('gives no object twice, be its maps in pieces', () => {
    const { labels } = cellPhantom({ size: [128, 128], cells: 5 });
    const points = promptPoints(stateOf(oracleMaps(labels).data, [128, 128]), SEED_THRESHOLDS);
    const ids = points.map(([y, x]) => labels.data[y * 128 + x]);
    assert.deepEqual(new Set(ids).size, ids.length);
  });
});
