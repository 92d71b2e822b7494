import { labelComponents } from '../../src/ndimage/label.js';
import { mergeSlices } from '../../src/segmentation/volume/merge.js';
import { dataItems, dataPath, hasData } from '../support/data.js';
import { everyNth, readStack } from '../support/real-stacks.js';
import { type Figure, reported } from './figure.js';

/**
 * How well the true cross-sections of objects are joined over z, by the distance of the slices: slices are left out, and
 * each threshold of overlap is scored by the adjusted Rand index of the pixels of objects (Hubert and Arabie 1985).
 */
const ITEMS: Readonly<Record<string, string>> = {
  'gala-train': 'gala',
  'plantseg-1135_mini': 'plant_nuclei',
  'qcanet-8cell': 'mouse_embryo',
  'plantseg-sample_ovule': 'ovule_cells',
};
const STEPS = [1, 2, 3, 4, 6];
const OVERLAPS = [0.05, 0.1, 0.2, 0.2685, 0.35, 0.5];

export default async function run(): Promise<Figure[]> {
  if (!hasData) return [];
  const figures: Figure[] = [];
  for (const [id, name] of Object.entries(ITEMS)) {
    const item = dataItems().find((candidate) => candidate.id === id);
    if (!item?.labels) throw new Error(`No labelled item ${id}.`);
    const whole = await readStack(dataPath(item.labels));
    for (const step of STEPS) {
      const { data, shape } = everyNth(whole, step);
      const [depth, height, width] = shape;
      const area = height * width;
      const truth = Uint32Array.from(data);
      const slices = new Uint32Array(truth.length);
      for (let z = 0; z < depth; z++) {
        const cut = { data: truth.slice(z * area, (z + 1) * area), shape: [height, width] };
        slices.set(labelComponents(cut, 'all').labels.data, z * area);
      }
      for (const minOverlap of OVERLAPS) {
        const merged = mergeSlices({ data: slices, shape }, { minOverlap });
        const figure = `merge_${name}_every_${step}_overlap_${minOverlap}`;
        figures.push(reported(figure, adjustedRand(truth, merged.data), 'adjusted Rand index'));
      }
    }
  }
  return figures;
}

/** Of the pixels that are objects in the reference: 1 if the partitions agree, 0 if they do so by chance. */
function adjustedRand(reference: Uint32Array, found: ArrayLike<number>): number {
  const [both, ofReference, ofFound] = [
    new Map<string, number>(),
    new Map<number, number>(),
    new Map<number, number>(),
  ];
  let pixels = 0;
  const count = <K>(counts: Map<K, number>, key: K) => counts.set(key, (counts.get(key) ?? 0) + 1);
  reference.forEach((a, i) => {
    if (a === 0) return;
    pixels++;
    count(both, `${a} ${found[i]}`);
    count(ofReference, a);
    count(ofFound, found[i]);
  });
  const pairs = (counts: Map<unknown, number>) => [...counts.values()].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
  const [same, a, b] = [pairs(both), pairs(ofReference), pairs(ofFound)];
  const byChance = (a * b) / ((pixels * (pixels - 1)) / 2);
  return (same - byChance) / ((a + b) / 2 - byChance);
}
