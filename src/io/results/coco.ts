import type { LabelImage, Size } from '../../ndimage/array.js';
import { type CocoRle, encodeCounts, toCocoRle } from '../../ndimage/coco-rle.js';
import { threeAxes } from '../../ndimage/label.js';
import type { Mask } from '../../ndimage/mask.js';
import { masksFromLabels, translateMask } from '../../ndimage/rle.js';
import type { ObjectFacts } from './geojson.js';

/**
 * Objects as COCO annotations with run lengths in pycocotools' compressed form. Every plane of a stack is an image of
 * the file; the label of an object is its `label`, as annotation ids have to be unique over all planes. Category 1 is that of
 * objects without a class, class k is category k + 1; name, comment and flag are `attributes`, as CVAT writes them.
 */
export function labelsToCoco(
  labels: LabelImage,
  { name, objects = [] }: { name: string; objects?: readonly ObjectFacts[] },
): string {
  const [planes, height, width] = threeAxes(labels.shape);
  const facts = new Map(objects.map((object) => [object.id, object]));
  const images = [];
  const annotations: string[] = [];
  for (let plane = 0; plane < planes; plane++) {
    images.push({ id: plane + 1, file_name: name, width, height, ...(labels.shape.length === 3 && { plane }) });
    for (const [label, mask] of masksFromLabels(labels, plane)) {
      const [top, left, bottom, right] = mask.box;
      const { predictedIou, stability, name: called, comment, flagged, objectClass } = facts.get(label) ?? {};
      const attributes = { ...(called && { name: called }), ...(comment && { comment }), ...(flagged && { flagged }) };
      annotations.push(
        JSON.stringify({
          id: annotations.length + 1,
          image_id: plane + 1,
          category_id: categoryOf(objectClass),
          label,
          segmentation: { size: [height, width], counts: encodeCounts(imageRuns(mask, [height, width]).counts) },
          area: mask.area,
          bbox: [left, top, right - left, bottom - top],
          iscrowd: 0,
          ...(predictedIou !== undefined && { predicted_iou: predictedIou }),
          ...(stability !== undefined && { stability_score: stability }),
          ...(Object.keys(attributes).length > 0 && { attributes }),
        }),
      );
    }
  }
  const head = JSON.stringify({ images, categories: categoriesOf(objects) });
  return `${head.slice(0, -1)},"annotations":[\n${annotations.join(',\n')}\n]}\n`;
}

const categoryOf = (objectClass: number | undefined) => (objectClass === undefined ? 1 : objectClass + 1);

/** 'object' always, and the classes in use. */
function categoriesOf(objects: readonly ObjectFacts[]): { id: number; name: string }[] {
  const names = new Map([[1, 'object']]);
  for (const { objectClass, className } of objects)
    if (objectClass !== undefined) names.set(categoryOf(objectClass), className ?? `class ${objectClass}`);
  return [...names].sort(([a], [b]) => a - b).map(([id, name]) => ({ id, name }));
}

/** Run lengths over the whole image, at the cost of the mask's box only. */
function imageRuns(mask: Mask, size: Size): CocoRle {
  const [top, left, bottom, right] = mask.box;
  const boxHeight = bottom - top;
  const cropped = toCocoRle(translateMask(mask, -top, -left), [boxHeight, right - left]);
  const counts: number[] = [];
  let end = 0; // of what is described so far, in the column-major order of the image
  let position = 0; // in that of the box
  cropped.counts.forEach((count, i) => {
    const stop = position + count;
    while (i % 2 === 1 && position < stop) {
      const y = position % boxHeight;
      const length = Math.min(boxHeight - y, stop - position);
      const start = (left + Math.floor(position / boxHeight)) * size[0] + top + y;
      if (start === end && counts.length > 0) counts.push((counts.pop() ?? 0) + length);
      else counts.push(start - end, length);
      end = start + length;
      position += length;
    }
    position = stop;
  });
  const rest = size[0] * size[1] - end;
  if (rest > 0) counts.push(rest);
  return { size, counts };
}
