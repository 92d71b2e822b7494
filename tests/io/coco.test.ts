import assert from 'node:assert/strict';
import { labelsToCoco } from '../../src/io/results/coco.js';
import { toCocoRle } from '../../src/ndimage/coco-rle.js';
import { masksFromLabels } from '../../src/ndimage/rle.js';
import { cocoToLabels, decodeCounts } from '../support/coco-reader.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

describe('COCO', () => {
  it('holds every label of every plane exactly', () => {
    const random = seededRandom(31);
    for (const shape of [
      [1, 1],
      [30, 23],
      [4, 15, 11],
    ])
      for (let i = 0; i < 20; i++) {
        const labels = randomLabels(random, shape, 7, 2 ** 32 - 1);
        assert.deepEqual(cocoToLabels(labelsToCoco(labels, { name: 'cells.tif' }), shape).data, labels.data);
      }
  });

  it('gives the run lengths of the whole image, though it looks only at the box', () => {
    const labels = randomLabels(seededRandom(1), [40, 50], 10, 300);
    const file = JSON.parse(labelsToCoco(labels, { name: 'a' }));
    for (const { label, segmentation, area, bbox } of file.annotations) {
      const mask = masksFromLabels(labels).get(label)!;
      assert.deepEqual(decodeCounts(segmentation.counts), toCocoRle(mask, [40, 50]).counts);
      const [top, left, bottom, right] = mask.box;
      assert.deepEqual([area, bbox], [mask.area, [left, top, right - left, bottom - top]]);
    }
  });

  it('carries scores and is one image per plane', () => {
    const labels = { data: Uint32Array.of(0, 3, 3, 0), shape: [2, 1, 2] };
    const file = JSON.parse(
      labelsToCoco(labels, { name: 'v.tif', objects: [{ id: 3, predictedIou: 0.5, stability: 0.75 }] }),
    );
    assert.deepEqual(
      file.images.map((image: { plane: number }) => image.plane),
      [0, 1],
    );
    assert.deepEqual(
      file.annotations.map((a: { id: number; image_id: number; label: number }) => [a.id, a.image_id, a.label]),
      [
        [1, 1, 3],
        [2, 2, 3],
      ],
    );
    assert.deepEqual([file.annotations[0].predicted_iou, file.annotations[0].stability_score], [0.5, 0.75]);
  });

  it('has a category for each class, and names, comments and flags as attributes', () => {
    const labels = { data: Uint32Array.of(1, 2, 3), shape: [1, 3] };
    const objects = [
      { id: 1, objectClass: 2, className: 'mitotic', name: 'A', comment: 'late, "bright"', flagged: true },
      { id: 2, objectClass: 9 },
      { id: 3 },
    ];
    const { categories, annotations } = JSON.parse(labelsToCoco(labels, { name: 'a', objects }));
    assert.deepEqual(categories, [
      { id: 1, name: 'object' },
      { id: 3, name: 'mitotic' },
      { id: 10, name: 'class 9' },
    ]);
    const told = annotations.map(({ category_id, attributes }: Record<string, unknown>) => [category_id, attributes]);
    const attributes = { name: 'A', comment: 'late, "bright"', flagged: true };
    assert.deepEqual(told, [
      [3, attributes],
      [10, undefined],
      [1, undefined],
    ]);
  });
});
