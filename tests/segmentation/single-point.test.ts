import assert from 'node:assert/strict';
import type { LabelImage, Size, Tensor, YX } from '../../src/ndimage/array.js';
import { makeTiling, type Tiling } from '../../src/ndimage/blocking.js';
import { innermostPixel } from '../../src/ndimage/distance.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { masksFromLabels } from '../../src/ndimage/rle.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import { segmentBatch, segmentFromBox, segmentFromPoints } from '../../src/segmentation/from-prompts.js';
import { hasData, withData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { nodeWorker } from '../support/node-engine.js';
import { oracleSource } from '../support/oracle-maps.js';

/** Side of a tile, in pixels. */
const TILE = 512;
const positive = ([y, x]: YX) => ({ at: [y + 0.5, x + 0.5], positive: true }) as const;

describe('a single point', () => {
  describe('on cells in phase contrast, where an instance decoder knows them', () => {
    let pixels: Tensor;
    let labels: LabelImage;
    let clicks: readonly { readonly at: YX; readonly cell: Mask }[];

    before(async () => {
      if (!hasData) return;
      ({ pixels, labels } = await readGroundTruth('usiigaci-set12'));
      const inFirstTile = ({ area, box }: Mask) =>
        area >= 60 && box[0] > 0 && box[1] > 0 && box[2] < TILE && box[3] < TILE;
      const cells = [...masksFromLabels(labels).values()].filter(inFirstTile);
      clicks = cells.slice(0, 8).map((cell) => ({ at: innermostPixel(cell) as YX, cell }));
      assert.ok(clicks.length >= 5, `${clicks.length}`);
    });

    async function contextWith(pointsByInstances: boolean, tiling?: Tiling): Promise<SegmentContext> {
      const context = contextOf(await nodeWorker(), pixels, tiling);
      const { instanceMaps } = oracleSource(labels, context.embeddings, { tiling });
      return { ...context, embeddings: { ...context.embeddings, instanceMaps, pointsByInstances } };
    }

    const meanIou = async (context: SegmentContext) => {
      const found = await segmentBatch(
        context,
        clicks.map(({ at }) => ({ points: [positive(at)] })),
      );
      return found.reduce((sum, { mask }, i) => sum + maskIou(mask, clicks[i].cell), 0) / clicks.length;
    };

    withData('means the object that it finds there, and leaves the choice', async () => {
      const alone = await meanIou(await contextWith(false));
      const guided = await contextWith(true);
      assert.ok(alone < 0.6, `${alone}: else these are no longer hard`);
      const better = await meanIou(guided);
      assert.ok(better > 0.7, `${better}`);
      const { candidates } = await segmentFromPoints(guided, [positive(clicks[0].at)]);
      assert.deepEqual(
        candidates.map(({ token }) => token).sort(),
        [0, 1, 2, 3],
        'all three masks of the point are offered beside it',
      );
    });

    withData('means it in tiles, too', async () => {
      const better = await meanIou(await contextWith(true, makeTiling(labels.shape as Size, [TILE, TILE], [64, 64])));
      assert.ok(better > 0.7, `${better}`);
    });

    withData(
      'means what the mask decoder believes in where there is no such object, or more than a point',
      async () => {
        const [alone, guided] = [await contextWith(false), await contextWith(true)];
        const background: YX[] = [];
        for (let p = 0; p < labels.data.length && background.length < 3; p += 5003)
          if (labels.data[p] === 0) background.push([Math.floor(p / labels.shape[1]), p % labels.shape[1]]);
        for (const at of background) {
          const point = [positive(at)];
          assert.deepEqual(await segmentFromPoints(guided, point), await segmentFromPoints(alone, point));
        }
        const { box } = clicks[0].cell;
        assert.deepEqual(await segmentFromBox(guided, box), await segmentFromBox(alone, box));
        const two = [positive(clicks[0].at), { ...positive(clicks[1].at), positive: false }];
        assert.deepEqual(await segmentFromPoints(guided, two), await segmentFromPoints(alone, two));
      },
    );
  });
});
