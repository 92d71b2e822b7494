import { readFileSync } from 'node:fs';
import { readPlane } from '../../src/io/image.js';
import { openFile } from '../../src/io/node-open.js';
import { toImage } from '../../src/model/intensity.js';
import { type Tensor, tensor } from '../../src/ndimage/array.js';
import type { LabelledImage, TrainingImage } from '../../src/training/labelled-image.js';
import { dataPath } from '../support/data.js';

/** A line of the manifest of images to train with. */
interface Row {
  readonly set: string;
  readonly image: string;
  readonly labels: string;
  readonly shape: readonly number[];
  readonly objects: number;
  readonly partial?: boolean;
}

export interface OpenImage extends TrainingImage {
  readonly set: string;
}

/**
 * The openly licensed images to train with: one in sixteen, by the hash of its name, is held back to score on. Images of
 * fewer than two objects teach little and are left out.
 */
export function openImages(part: 'train' | 'held'): OpenImage[] {
  const rows: Row[] = JSON.parse(readFileSync(dataPath('training/manifest.json'), 'utf8'));
  return rows
    .filter(({ objects, image }) => objects >= 2 && (hashOf(image) % 16 === 0) === (part === 'held'))
    .map((row) => ({
      name: row.image,
      set: setOf(row),
      kind: `${setOf(row)} ${row.shape.join('x')}`,
      load: loader(row),
    }));
}

/** Both stages of the competition show the same kinds. */
function setOf({ set }: Row): string {
  return set === 'dsb2018_stage1_test' ? 'dsb2018' : set;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 2166136261;
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 16777619) >>> 0;
  return hash;
}

/** Mosaics ask for many images again; so many of them are kept. */
const KEPT = 400;
const kept = new Map<string, LabelledImage>();

function loader(row: Row): TrainingImage['load'] {
  return async () => {
    const known = kept.get(row.image);
    if (known) return known;
    const image = toImage(await planeOf(row.image));
    const { data, shape } = await planeOf(row.labels);
    const labels = tensor(Uint32Array.from(data), shape.slice(0, 2));
    const loaded = { image, labels, partial: Boolean(row.partial) };
    kept.set(row.image, loaded);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value as string);
    return loaded;
  };
}

async function planeOf(file: string): Promise<Tensor> {
  const source = await openFile(dataPath(`training/${file}`));
  try {
    return await readPlane(source, 0);
  } finally {
    await source.close();
  }
}
