import assert from 'node:assert/strict';
import type { LabelImage } from '../../../src/ndimage/array.js';
import { automaticVolume } from '../../../src/segmentation/automatic.js';
import { anchorPoints, propagateObjects } from '../../../src/segmentation/volume/propagate-objects.js';
import { nodeWorker } from '../../support/node-engine.js';
import { oracleSource } from '../../support/oracle-maps.js';
import { volumePhantom } from '../../support/phantom-stack.js';
import { stackContext } from '../../support/stack-source.js';
import { objectOf } from '../../support/volume-accuracy.js';

/** A box of voxels of every id. */
function blocks(
  shape: readonly [number, number, number],
  ...boxes: readonly (readonly [number, number, number, number, number, number])[]
): LabelImage {
  const data = new Uint32Array(shape[0] * shape[1] * shape[2]);
  boxes.forEach(([z0, y0, x0, z1, y1, x1], i) => {
    for (let z = z0; z < z1; z++)
      for (let y = y0; y < y1; y++)
        data.fill(i + 1, (z * shape[1] + y) * shape[2] + x0, (z * shape[1] + y) * shape[2] + x1);
  });
  return { data, shape };
}

describe('objects followed through a volume', function () {
  this.timeout(240_000);

  it('start in the slice where they are largest', () => {
    const linked = blocks([4, 20, 30], [0, 2, 2, 2, 8, 8], [1, 2, 10, 2, 12, 20], [2, 5, 12, 4, 9, 16]);
    assert.deepEqual(
      anchorPoints(linked).map(({ plane }) => plane),
      [0, 1, 2],
    );
    for (const { plane, at } of anchorPoints(linked))
      assert.notEqual(linked.data[(plane * 20 + at[0]) * 30 + at[1]], 0);
  });

  it('are found by maps, outlined and followed by the real model; the mode ais merges the slices instead (thorough)', async () => {
    const { image, labels } = volumePhantom({ size: [128, 160], planes: 5 });
    const worker = await nodeWorker();
    const stack = stackContext(worker, image);
    const [depth, height, width] = labels.shape;
    const planes = Array.from({ length: depth }, (_, z) => ({
      data: labels.data.slice(z * height * width, (z + 1) * height * width),
      shape: [height, width],
    }));
    const context = { ...stack, embeddings: { ...stack.embeddings, ...oracleSource(planes, stack.embeddings) } };
    const truth = new Set(labels.data);
    truth.delete(0);
    const options = { merge: { gapClosing: 0, minExtent: 2 } };
    const merged = await automaticVolume(context, depth, { ...options, mode: 'ais' });
    assert.ok(overlap(labels, merged.labels, [...truth]) > 0.85, 'the maps are those of the labels');
    let partial = 0;
    const followed = await automaticVolume(context, depth, { ...options, mode: 'apg', onFollowed: () => partial++ });
    assert.ok(partial >= truth.size - 2 && partial <= truth.size + 1, `${partial} objects`);
    const share = overlap(labels, followed.labels, [...truth]);
    assert.ok(share > 0.5, `mean IoU ${share}`);
  });

  it('can be cancelled', async () => {
    const linked = blocks([2, 20, 30], [0, 2, 2, 2, 8, 8]);
    const context = { worker: {} as never, model: 'x', embeddings: {} as never };
    await assert.rejects(propagateObjects(context, linked, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });
});

/** Mean over the true objects of the best 3D IoU. */
function overlap(truth: LabelImage, found: LabelImage, ids: readonly number[]): number {
  const best = ids.map((id) => {
    const area = [...objectOf(truth, id).values()].reduce((sum, mask) => sum + mask.area, 0);
    const both = new Map<number, number>();
    for (let p = 0; p < truth.data.length; p++)
      if (truth.data[p] === id && found.data[p] !== 0) both.set(found.data[p], (both.get(found.data[p]) ?? 0) + 1);
    const [other, common] = [...both].sort((a, b) => b[1] - a[1])[0] ?? [0, 0];
    const size = found.data.reduce((sum, value) => sum + (value === other ? 1 : 0), 0);
    return common / (area + size - common);
  });
  return best.reduce((a, b) => a + b, 0) / best.length;
}
