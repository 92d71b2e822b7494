import assert from 'node:assert/strict';
import type { Mask } from '../../src/ndimage/mask.js';
import { cropMask, maskIou } from '../../src/ndimage/mask-sets.js';
import { maskFromLabels, translateMask } from '../../src/ndimage/rle.js';
import { segmentFromPoints } from '../../src/segmentation/from-prompts.js';
import { withData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { nodeWorker } from '../support/node-engine.js';

describe('small objects', () => {
  withData('are found by one point once their size is known', async () => {
    const { pixels, labels } = await readGroundTruth('dsb-cb4df20a83b2');
    const [top, left, side] = [150, 420, 256];
    const channels = pixels.shape[2] ?? 1;
    const data = new Uint8Array(side * side * channels);
    for (let y = 0; y < side; y++)
      for (let i = 0; i < side * channels; i++)
        data[y * side * channels + i] = pixels.data[((top + y) * pixels.shape[1] + left) * channels + i];
    const context = contextOf(await nodeWorker(), { data, shape: [side, side, channels] });
    const nucleus = maskFromLabels(labels, 4); // around (272, 544)
    assert.equal(cropMask(nucleus, [top, left, top + side, left + side]).area, nucleus.area);
    const point = { at: [272.5 - top, 544.5 - left], positive: true } as const;
    const iou = (mask: Mask) => maskIou(translateMask(mask, top, left), nucleus);
    const unknown = await segmentFromPoints(context, [point]);
    const surest = unknown.candidates.reduce((a, b) => (b.predictedIou > a.predictedIou ? b : a));
    assert.ok(iou(surest.mask) < 0.1, 'else this image is no longer a hard one');
    assert.ok(unknown.mask.area < 0.5 * side * side, 'the background is not offered first all the same');
    assert.ok(iou((await segmentFromPoints(context, [point], { objectDiameter: 12 })).mask) > 0.6);
    // A model that has learned from objects of up to 20 px does not take the background for one.
    const embeddings = { ...context.embeddings, objectSizes: { small: 12, largest: 20 } };
    const { mask, candidates } = await segmentFromPoints({ ...context, embeddings }, [point]);
    assert.ok(iou(mask) > 0.6, `${iou(mask)}`);
    assert.ok(
      candidates.some((other) => iou(other.mask) < 0.1),
      'what is too large can still be chosen',
    );
    // What is stated goes before what is known.
    const stated = await segmentFromPoints({ ...context, embeddings }, [point], { objectDiameter: 120 });
    assert.ok(iou(stated.mask) < 0.1, `${iou(stated.mask)}`);
  });
});
