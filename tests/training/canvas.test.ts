import assert from 'node:assert/strict';
import { cropped, reexposed, scaled, turned } from '../../src/training/augment.js';
import { CANVAS_SIDE, FINETUNING_SHARES, makeCanvas, planCanvases } from '../../src/training/canvas.js';
import type { LabelledImage, TrainingImage } from '../../src/training/labelled-image.js';
import { medianDiameter } from '../../src/training/labelled-image.js';
import { Random } from '../../src/training/random.js';
import { discs } from '../support/discs.js';

const source = (name: string, kind: string, sample: LabelledImage): TrainingImage => ({
  name,
  kind,
  load: async () => sample,
});

function assertTogether({ image, labels }: Pick<LabelledImage, 'image' | 'labels'>): void {
  const apart = labels.data.findIndex((id, p) => image.data[3 * p] !== (id === 0 ? 0 : 100 + (id % 100)));
  assert.equal(apart, -1);
}

describe('augmentation', () => {
  const sample = discs(60, 5, 15);

  it('turns and crops image and labels together', () => {
    for (let seed = 0; seed < 12; seed++) {
      const random = new Random(seed);
      const changed = cropped(turned(sample, random), [40, 31], random);
      assert.deepEqual(changed.labels.shape, [40, 31]);
      assertTogether(changed);
    }
  });

  it('scales objects as it scales the image', () => {
    const before = medianDiameter(sample.labels) as number;
    const after = medianDiameter(scaled(sample, [150, 150]).labels) as number;
    assert.ok(Math.abs(after / before - 2.5) < 0.1, `${before} → ${after}`);
  });

  it('changes grey levels in all channels alike where it adds no noise of its own, and never the labels', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { image, labels } = reexposed(sample, new Random(seed));
      assert.equal(labels, sample.labels);
      assert.ok(image.data.every((value, i) => i % 3 !== 0 || value === image.data[i + 1]));
    }
  });
});

describe('training canvases', () => {
  const small = discs(64, 6, 16);
  const images = [
    ...Array.from({ length: 64 }, (_, i) => source(`a${i}`, 'many', small)),
    ...Array.from({ length: 4 }, (_, i) => source(`b${i}`, 'few', discs(200, 20, 50))),
  ];

  it('balance kinds by the root of their numbers and use every image in turn', () => {
    const used = planCanvases(images, 400, new Random(1)).flatMap((plan) => plan.sources);
    const share = used.filter((one) => one.kind === 'few').length / used.length;
    assert.ok(Math.abs(share - 0.2) < 0.04, `${share}`);
    const counts = images.slice(0, 64).map((image) => used.filter((one) => one === image).length);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
  });

  it('are the same for the same seed', async () => {
    const plans = planCanvases(images, 6, new Random(3));
    assert.deepEqual(
      planCanvases(images, 6, new Random(3)).map(({ seed }) => seed),
      plans.map(({ seed }) => seed),
    );
    const [first, second] = [await makeCanvas(plans[0]), await makeCanvas(plans[0])];
    assert.deepEqual(first.size, second.size);
    assert.equal(Buffer.compare(first.image.data, second.image.data), 0);
  });

  it('show whole images as the encoder will meet them, and mosaics with objects of 16 to 110 pixels', async () => {
    const whole = await makeCanvas({ layout: 'whole', sources: [images[0]], seed: 1 });
    assert.deepEqual(whole.size, [CANVAS_SIDE, CANVAS_SIDE]);
    assert.ok(Math.abs((medianDiameter(whole.labels) as number) - 12 * 16) < 10);
    for (let seed = 0; seed < 2; seed++) {
      const canvas = await makeCanvas({ layout: 'mosaic2', sources: images.slice(0, 4), seed });
      const diameter = medianDiameter(canvas.labels) as number;
      assert.ok(diameter > 14 && diameter < 120, `${diameter}`);
      const ids = new Set(canvas.labels.data);
      assert.ok(ids.size > 4);
    }
  });

  it('of few images also show them smaller than the encoder will meet them', async () => {
    const layouts = planCanvases(images, 50, new Random(1), {}, FINETUNING_SHARES).map(({ layout }) => layout);
    for (const [layout, share] of FINETUNING_SHARES)
      assert.equal(layouts.filter((one) => one === layout).length, Math.round(50 * share), layout);
    for (let seed = 0; seed < 3; seed++) {
      const { size } = await makeCanvas({ layout: 'shrunk', sources: [images[0]], seed });
      assert.ok(Math.max(...size) >= 0.25 * CANVAS_SIDE && Math.max(...size) <= 0.6 * CANVAS_SIDE, `${size}`);
    }
  });

  it('know where the annotated part ends', async () => {
    for (let seed = 0; seed < 3; seed++) {
      const { size, labels } = await makeCanvas({ layout: 'zoomed', sources: [images[0]], seed });
      const beyond = labels.data.findIndex(
        (id, p) => id !== 0 && (Math.floor(p / CANVAS_SIDE) >= size[0] || p % CANVAS_SIDE >= size[1]),
      );
      assert.equal(beyond, -1);
    }
  });
});
