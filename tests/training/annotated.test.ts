import assert from 'node:assert/strict';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { tensor } from '../../src/ndimage/array.js';
import { labelSizes } from '../../src/ndimage/label.js';
import {
  type AnnotatedImage,
  annotatedData,
  LEAST_OBJECTS,
  type Sample,
  trainingImages,
} from '../../src/training/annotated.js';
import { objectSizesOf } from '../../src/training/labelled-image.js';

const SMALL: [number, number] = [120, 180];

const made = new Map<string, ReturnType<typeof cellPhantom>>();

function annotated(seed: number, size: [number, number] = [160, 240], cells = 16): AnnotatedImage {
  const key = `${[seed, ...size, cells]}`;
  const { image, labels } = made.get(key) ?? cellPhantom({ seed, size, cells });
  made.set(key, { image, labels, centers: [] });
  const rgb = new Uint8Array(size[0] * size[1] * 3);
  for (let p = 0; p < image.data.length; p++) rgb.fill(image.data[p] >> 8, 3 * p, 3 * p + 3);
  return { name: `image ${seed}`, image: tensor(rgb, [...size, 3]), labels: { ...labels, data: labels.data.slice() } };
}

const objects = (samples: readonly Sample[]) => samples.reduce((sum, { labels }) => sum + labelSizes(labels).size, 0);

describe('what is annotated, to be learned from', () => {
  it('keeps a strip of each of few images back, which training never sees, and the longer side whole', () => {
    for (const size of [
      [160, 240],
      [240, 160],
      [200, 200],
    ] as [number, number][])
      for (let seed = 1; seed <= 2; seed++) {
        const image = annotated(seed, size);
        const all = labelSizes(image.labels).size;
        const { training, heldBack, report } = annotatedData([image], { partial: true, minSize: 10 });
        assert.deepEqual([training.length, heldBack.length], [1, 1]);
        const [[h, w], [hh, hw]] = [training[0].labels.shape, heldBack[0].labels.shape];
        const across = size[1] >= size[0] ? 0 : 1;
        assert.equal([h, w][across] + [hh, hw][across], size[across], 'the two do not overlap');
        assert.equal([h, w][1 - across], size[1 - across]);
        assert.equal([hh, hw][1 - across], size[1 - across]);
        assert.deepEqual([report.trained, report.heldBack], [objects(training), objects(heldBack)]);
        const share = report.heldBack / all;
        assert.ok(share > 0.08 && share < 0.45, `${report.heldBack} of ${all}`);
        assert.ok(report.trained + report.heldBack <= all, 'no object is on both sides');
        assert.ok(training[0].partial && heldBack[0].partial);
        assert.equal(training[0].image.data.length, h * w * 3);
      }
  });

  it('keeps strips of so many images back as it is told, spread over them, and trains on the others whole', () => {
    const images = Array.from({ length: 11 }, (_, i) => annotated(i + 1, SMALL));
    const { training, heldBack } = annotatedData(images, { partial: false, mostStrips: 4 });
    const cut = heldBack.map(({ name }) => images.findIndex((image) => image.name === name));
    assert.deepEqual(cut, [2, 5, 8, 10]);
    for (const [i, { labels }] of training.entries())
      assert.equal(labels.data.length === SMALL[0] * SMALL[1], !cut.includes(i), `image ${i}`);
    assert.equal(annotatedData(images, { partial: false }).heldBack.length, 11);
  });

  it('says how large the objects are, unless there are too few', async () => {
    const disc = (radius: number) => {
      const side = 2 * radius + 3;
      const labels = Uint32Array.from({ length: side * side }, (_, p) =>
        Math.hypot(Math.floor(p / side) - radius - 1, (p % side) - radius - 1) <= radius ? 1 : 0,
      );
      return {
        name: '',
        kind: '',
        partial: false,
        image: tensor(new Uint8Array(3 * side * side), [side, side, 3]),
        labels: tensor(labels, [side, side]),
      };
    };
    const sizes = await objectSizesOf(trainingImages(Array.from({ length: 51 }, (_, i) => disc(5 + i))));
    assert.ok(
      Math.abs((sizes?.small ?? 0) - 34) < 1 && Math.abs((sizes?.largest ?? 0) - 108) < 1,
      JSON.stringify(sizes),
    );
    assert.equal(await objectSizesOf(trainingImages(Array.from({ length: 19 }, () => disc(8)))), undefined);
  });

  it('keeps whole images of many back', () => {
    const images = Array.from({ length: 16 }, (_, i) => annotated(i + 1, SMALL));
    const { training, heldBack } = annotatedData(images, { partial: false });
    assert.deepEqual([training.length, heldBack.length], [14, 2]);
    assert.deepEqual(
      annotatedData(images, { partial: false }).heldBack[0].name,
      heldBack[0].name,
      'the same each time',
    );
    assert.equal(annotatedData(images, { partial: false, keepBack: false }).training.length, 16);
  });

  it('cuts a large image as the model meets it, and leaves parts without objects out', () => {
    const image = annotated(3, [300, 500], 20);
    const { training, heldBack } = annotatedData([image], { partial: false, window: [160, 160], minSize: 1 });
    for (const { labels } of [...training, ...heldBack]) {
      assert.ok(labels.shape[0] <= 160 && labels.shape[1] <= 160);
      assert.ok(labelSizes(labels).size > 0);
    }
  });

  it('says what is left out and why, and what is too little', () => {
    const empty = { ...annotated(5), name: 'empty' };
    const none = { ...empty, labels: { ...empty.labels, data: new Uint32Array(empty.labels.data.length) } };
    const specks = annotated(6);
    specks.labels.data.fill(900, 0, 3);
    const { report } = annotatedData([specks, none], { partial: true });
    assert.equal(report.images, 1);
    assert.ok(
      report.leftOut.some((text) => /^empty: it has no object$/.test(text)),
      report.leftOut.join('; '),
    );
    assert.ok(
      report.leftOut.some((text) => /1 object of fewer than 25 pixels/.test(text)),
      report.leftOut.join('; '),
    );
    const few = annotated(7, [160, 160], LEAST_OBJECTS);
    assert.ok(
      annotatedData([few], { partial: true }).report.leftOut.some((text) => /not be measured/.test(text)),
      'nothing can be spared',
    );
    assert.throws(
      () => annotatedData([annotated(8, [160, 160], 1)], { partial: true }),
      /^SamError: There is 1 annotated object /,
    );
    assert.throws(() => annotatedData([annotated(8, [160, 160], LEAST_OBJECTS - 1)], { partial: true }), {
      code: 'invalid_argument',
      message: /at least 5/,
    });
    assert.throws(() => annotatedData([], { partial: true }), { code: 'invalid_argument' });
  });
});
