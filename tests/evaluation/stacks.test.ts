import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { resolveModel } from '../../src/model/registry.js';
import type { LabelImage, Size, Tensor } from '../../src/ndimage/array.js';
import { fullMask, translateMask } from '../../src/ndimage/rle.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { dataItems, dataPath, withData } from '../support/data.js';
import { nodeWorker } from '../support/node-engine.js';
import { dividingPhantom, volumePhantom } from '../support/phantom-stack.js';
import { stackContext } from '../support/stack-source.js';
import { trackAccuracy } from '../support/track-accuracy.js';
import { objectOf, volumeAccuracy } from '../support/volume-accuracy.js';
import { volumeIou } from '../support/volume-iou.js';

/** Planes `first` to `first + count - 1` of a stack in one file. */
async function planesOf(file: string, first: number, count: number): Promise<Tensor> {
  const source = await openImage(new Uint8Array(readFileSync(dataPath(file))), { name: path.basename(file) });
  const planes: Tensor[] = [];
  for (let plane = first; plane < first + count; plane++)
    planes.push(await readPlane(source, plane, { channels: [0] }));
  const [height, width] = planes[0].shape;
  const data = new Float32Array(count * height * width);
  planes.forEach((plane, i) => {
    data.set(plane.data, i * height * width);
  });
  return { data, shape: [count, height, width] };
}

const asLabels = ({ data, shape }: Tensor): LabelImage => ({ data: Uint32Array.from(data), shape });

describe('how well objects are followed', function () {
  this.timeout(300_000); // planes are encoded, which takes its time on a busy machine
  let worker: SamWorker;
  before(async () => {
    worker = await nodeWorker();
    await worker.load(resolveModel('vit_t'));
  });

  it('the IoU of a volume counts pixels over all planes', () => {
    const square = fullMask([10, 10]);
    const a = new Map([
      [0, square],
      [1, square],
    ]);
    const b = new Map([
      [1, translateMask(square, 0, 5)],
      [2, square],
    ]);
    assert.equal(volumeIou(a, a), 1);
    assert.equal(volumeIou(a, b), 50 / 350);
    assert.equal(volumeIou(new Map(), new Map()), 0);
  });

  it('through a volume: every slice with its box is the bound, and one box comes near it (thorough)', async () => {
    const { image, labels } = volumePhantom({ planes: 5, size: [128, 160] });
    const projections = ['soft_mask', 'mask'] as const;
    const options = { projections, iouThreshold: 0.5, boxExtension: 0.05 };
    const { slices, upperBound, iou } = await volumeAccuracy(stackContext(worker, image), labels, 2, options);
    assert.equal(slices, objectOf(labels, 2).size);
    assert.ok(upperBound > 0.8, `bound ${upperBound}`);
    assert.deepEqual(Object.keys(iou), [...projections]);
    assert.ok(iou.soft_mask! > upperBound - 0.15, `${iou.soft_mask}, bound ${upperBound}`);
  });

  it('through time: says where a track first leaves its cell (thorough)', async () => {
    const frames = 4;
    const { image, labels } = dividingPhantom({ planes: frames, size: [128, 160] });
    const context = stackContext(worker, image);
    const size: Size = [128, 160];
    const truth = objectOf(labels, 2);
    const other = objectOf(labels, 3);
    const well = await trackAccuracy(context, truth, frames, size, { projection: 'mask' });
    assert.equal(well.failsAt, undefined);
    assert.ok(well.seg > 0.6, `SEG ${well.seg}`);
    // Against a truth that goes on in another cell, what was followed is wrong from there on.
    const elsewhere = new Map([...truth].map(([frame, mask]) => [frame, frame < 2 ? mask : other.get(frame)!]));
    const lost = await trackAccuracy(context, elsewhere, frames, size, { projection: 'mask' });
    assert.equal(lost.failsAt, 2);
    assert.deepEqual(
      lost.frames.map(({ jaccard }) => jaccard > 0),
      [true, true, false, false],
    );
    const mean = lost.frames.reduce((sum, { jaccard }) => sum + jaccard, 0) / frames;
    assert.ok(Math.abs(lost.seg - mean) < 1e-12);
  });

  withData(
    'a nucleus of a plant is followed from one box nearly as well as with a box in every slice (thorough)',
    async () => {
      const item = dataItems().find(({ id }) => id === 'plantseg-1135_mini')!;
      const pixels = await planesOf(item.file, 46, 4);
      const labels = asLabels(await planesOf(item.labels!, 46, 4));
      const whole = [...new Set(labels.data)]
        .filter((id) => id > 0)
        .map((id) => ({ id, masks: objectOf(labels, id) }))
        .filter(({ masks }) => masks.size === 4)
        .map(({ id, masks }) => ({ id, volume: [...masks.values()].reduce((sum, { area }) => sum + area, 0) }))
        .sort((a, b) => b.volume - a.volume);
      const options = { projections: ['soft_mask'] as const, iouThreshold: 0.5, boxExtension: 0.05 };
      const { upperBound, iou } = await volumeAccuracy(stackContext(worker, pixels), labels, whole[0].id, options);
      assert.ok(upperBound > 0.7, `bound ${upperBound}`);
      assert.ok(iou.soft_mask! > upperBound - 0.25, `${iou.soft_mask}, bound ${upperBound}`);
    },
  );

  withData('a T98G cell is followed from the box of its first frame (thorough)', async () => {
    const item = dataItems().find(({ id }) => id === 'usiigaci-t98g-f0')!;
    const read = async (folder: string, name: (frame: string) => string) => {
      const planes = await Promise.all(
        ['000', '001', '002'].map((frame) => planesOf(path.join(folder, name(frame)), 0, 1)),
      );
      const [, height, width] = planes[0].shape;
      const data = new Float32Array(planes.length * height * width);
      planes.forEach((plane, i) => {
        data.set(plane.data, i * height * width);
      });
      return { data, shape: [planes.length, height, width] };
    };
    const pixels = await read(item.file, (frame) => `t${frame}.tif`);
    const truth = objectOf(asLabels(await read(item.labels!, (frame) => `man_track${frame}.tif`)), 36);
    const size: Size = [pixels.shape[1], pixels.shape[2]];
    const { seg, failsAt } = await trackAccuracy(stackContext(worker, pixels), truth, 3, size, { projection: 'mask' });
    assert.equal(failsAt, undefined);
    assert.ok(seg > 0.7, `SEG ${seg}`);
  });
});
