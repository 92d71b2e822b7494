import assert from 'node:assert/strict';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { segmentBatch } from '../../src/segmentation/from-prompts.js';
import { withData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { nucleiIds, readGroundTruth } from '../support/ground-truth.js';
import { nodeWorker } from '../support/node-engine.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** Masks decoded along their edges only, against masks from all logits, on real nuclei. */
describe('masks by their edges', () => {
  withData('are those of all logits to a few pixels in ten thousand, and so are masks refined from them', async () => {
    const { pixels } = await readGroundTruth(nucleiIds()[3]);
    const context = contextOf(await nodeWorker(), pixels);
    const [height, width] = context.embeddings.size;
    const random = seededRandom(5);
    const at = () => [randomInteger(random, 0, height - 1), randomInteger(random, 0, width - 1)] as const;
    const prompts = Array.from({ length: 12 }, (_, i) => ({
      points: Array.from({ length: 1 + (i % 3) }, (_, k) => ({ at: at(), positive: k !== 1 })),
    }));
    const exact = await segmentBatch(context, prompts, { exactLogits: true });
    const edges = await segmentBatch(context, prompts);
    const refinedFrom = (all: typeof exact) =>
      segmentBatch(
        context,
        prompts.map((prompt, i) => ({ ...prompt, previous: all[i].lowRes })),
        { exactLogits: true },
      );
    const [fromExact, fromEdges] = [await refinedFrom(exact), await refinedFrom(edges)];
    exact.forEach((expected, i) => {
      assert.ok(maskIou(edges[i].mask, expected.mask) >= 0.9995, `mask ${i}`);
      assert.ok(Math.abs(edges[i].stability - expected.stability) <= 0.01, `stability ${i}`);
      assert.equal(edges[i].predictedIou, expected.predictedIou);
      const refined = maskIou(fromEdges[i].mask, fromExact[i].mask);
      assert.ok(refined >= 0.99, `refined mask ${i}: IoU ${refined}`);
    });
  });
});
