import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { openFile } from '../../src/io/node-open.js';
import { readLabelImage } from '../../src/io/results/label-image.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { volumePhantom } from './phantom-stack.js';

/** The volume that the docs' scripts annotate: three slices, an object at row 24, column 21. */
const VOLUME = volumePhantom({ seed: 11, size: [96, 128], planes: 3 });

export async function writeVolume(file: string): Promise<void> {
  await writeFile(file, await encodeTiff(VOLUME.image, { axes: 'zyx' }));
}

/** The label image has that object alone, in every slice where it is. */
export async function checkVolumeLabels(file: string): Promise<void> {
  const source = await openFile(file);
  const { data } = await readLabelImage(source);
  await source.close();
  const object = VOLUME.labels.data[(96 + 24) * 128 + 21];
  assert.ok(object > 0);
  let [both, either] = [0, 0];
  data.forEach((label, p) => {
    assert.ok(label < 2);
    const [ours, truth] = [label > 0, VOLUME.labels.data[p] === object];
    if (ours && truth) both++;
    if (ours || truth) either++;
  });
  // Where the object is; how well models outline is measured on real images.
  assert.ok(both / either > 0.5, `IoU ${both / either}`);
}
