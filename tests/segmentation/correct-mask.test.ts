import assert from 'node:assert/strict';
import type { Embedding, SamPrompts } from '../../src/model/sam-tensors.js';
import type { Size, YX } from '../../src/ndimage/array.js';
import { distanceToEdge } from '../../src/ndimage/distance.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { subtractMasks } from '../../src/ndimage/mask-sets.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { maskContains, maskToBitmap } from '../../src/ndimage/rle.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import { correctMask, isNearEdge, refineMask, segmentNear } from '../../src/segmentation/correct-mask.js';
import type { PromptPoint } from '../../src/segmentation/image-prompt.js';
import { takesFrame } from '../../src/segmentation/tiled.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { seededRandom } from '../support/random.js';

/** Whatever a model may answer, here some disks at random, a correction keeps its promises. */
const SIZE: Size = [64, 64];
const FRAME = [0, 0, 64, 64] as const;

describe('a corrected mask', function () {
  this.timeout(300_000); // a busy machine
  const disk = (y: number, x: number, radius: number) => rasterizeStroke([[y, x]], radius, SIZE);

  it('obeys all points, changes in one piece only, and never becomes the whole image', () => keepsPromises(0, 3));

  it('keeps these promises whatever the model answers (thorough)', () => keepsPromises(3, 16));

  async function keepsPromises(firstSeed: number, end: number): Promise<void> {
    for (let seed = firstSeed; seed < end; seed++) {
      const random = seededRandom(seed);
      const context = randomModel(random);
      const within = () => 8 + 48 * random();
      let mask = disk(within(), within(), 4 + 8 * random());
      const points: PromptPoint[] = [];
      for (let click = 0; click < 4; click++) {
        const at: YX = [within(), within()];
        if (points.some((point) => Math.hypot(point.at[0] - at[0], point.at[1] - at[1]) < 6)) continue;
        const added = { at, positive: !maskContains(mask, at[0], at[1]) };
        points.push(added);
        const { mask: after } = await correctMask(context, mask, added, points);
        const said = `seed ${seed}, click ${click}`;
        for (const point of points) assert.equal(maskContains(after, ...point.at), point.positive, said);
        const [more, less] = [subtractMasks(after, mask), subtractMasks(mask, after)];
        assert.equal((added.positive ? less : more).area, 0, said);
        assert.equal(takesFrame(after, FRAME), false, said);
        mask = after;
      }
    }
  }

  it('without an answer of use, is changed at the click and no farther than the edge: along it, by one pixel', async () => {
    const context = modelOf(() => []);
    const mask = disk(32, 32, 12);
    for (let y = 14; y < 50; y += 5)
      for (const positive of [true, false]) {
        const x = 32 + Math.round(Math.sqrt(Math.max(0, 144 - (y + 0.5 - 32) ** 2))) - (positive ? 0 : 2);
        const at: YX = [y + 0.3, x + 0.9];
        if (maskContains(mask, ...at) === positive) continue;
        const { mask: after } = await correctMask(context, mask, { at, positive }, [{ at, positive }]);
        const change = positive ? subtractMasks(after, mask) : subtractMasks(mask, after);
        const reach = distanceToEdge(mask, at);
        assert.ok(maskContains(change, ...at));
        assert.equal(Math.abs(after.area - mask.area), change.area);
        if (reach < 1.5) assert.equal(change.area, 1, `at ${at}`);
        const [top, left, bottom, right] = change.box;
        assert.ok(Math.max(bottom - top, right - left) <= 2 * reach, `${change.box} around ${at}`);
      }
  });

  it('is the mask itself where the mask obeys the click, without asking the model', async () => {
    const context = randomModel(() => assert.fail('asked'));
    const mask = disk(30, 30, 10);
    for (const point of [
      { at: [30, 30] as YX, positive: true },
      { at: [50, 50] as YX, positive: false },
    ])
      assert.equal((await correctMask(context, mask, point, [point])).mask, mask);
  });

  it('refined, obeys all points or stays as it was', async () => {
    for (let seed = 0; seed < 5; seed++) {
      const random = seededRandom(seed);
      const mask = disk(32, 32, 10);
      const points: PromptPoint[] = [
        { at: [32, 32], positive: true },
        { at: [10 + 5 * random(), 32], positive: false },
      ];
      const { mask: refined } = await refineMask(randomModel(random), mask, points);
      for (const { at, positive } of points) assert.equal(maskContains(refined, ...at), positive);
      assert.equal(takesFrame(refined, FRAME), false);
    }
  });

  it("next to a plane with a mask, prefers what is like that plane's", async () => {
    const neighbour = disk(32, 32, 10);
    const answers = [disk(32, 32, 9), disk(32, 32, 20), disk(32, 32, 3)];
    const context = modelOf(() => answers.map((mask, i) => ({ mask, iou: 0.7 + 0.05 * i })));
    const [best] = await segmentNear(context, neighbour, [{ at: [32, 32], positive: true }]);
    assert.ok(Math.abs(best.mask.area - answers[0].area) < 20, `${best.mask.area}`);
  });

  it('is cut by a point near its edge, not by one in its core', () => {
    const mask = disk(32, 32, 15);
    assert.deepEqual(
      [isNearEdge(mask, [32, 32]), isNearEdge(mask, [32, 44]), isNearEdge(mask, [32, 55])],
      [false, true, false],
    );
  });

  function randomModel(random: () => number): SegmentContext {
    return modelOf(() =>
      Array.from({ length: 3 }, () => {
        const everything = random() < 0.2;
        const mask = everything ? disk(32, 32, 60) : disk(64 * random(), 64 * random(), 2 + 25 * random());
        return { mask, iou: random() };
      }),
    );
  }
});

/** A model that answers every prompt with three masks; the single-mask token is empty. */
function modelOf(answer: () => readonly { mask: Mask; iou: number }[]): SegmentContext {
  const embedding = { inputSize: [1024, 1024], originalSize: SIZE } as Pick<Embedding, 'inputSize' | 'originalSize'>;
  const decode = async (_: string, __: Embedding, { batch }: SamPrompts) => {
    const logits = new Float32Array(batch * 4 * 65536).fill(-5);
    const iou = new Float32Array(batch * 4);
    for (let row = 0; row < batch; row++)
      for (const [k, { mask, iou: score }] of answer().entries()) {
        const at = row * 4 + k + 1;
        iou[at] = score;
        const bitmap = maskToBitmap(mask, SIZE);
        for (let p = 0; p < 65536; p++) if (bitmap[(p >> 10) * 64 + ((p & 255) >> 2)]) logits[at * 65536 + p] = 5;
      }
    return { logits, iou, tokens: [0, 1, 2, 3], rows: Int32Array.from({ length: batch }, (_, row) => row) };
  };
  return {
    worker: { decode } as Pick<SamWorker, 'decode'> as SamWorker,
    model: 'none',
    plane: 0,
    embeddings: { size: SIZE, embedding: async () => embedding as Embedding },
  };
}
