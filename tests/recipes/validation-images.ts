import type { LabelImage, Tensor } from '../../src/ndimage/array.js';
import { dataItems, dataPath } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { middle, readStack } from '../support/real-stacks.js';
import { type OpenImage, openImages } from './training-data.js';

/** Images that nothing was trained on, in sets that are scored each for itself. */
export interface ValidationImage {
  readonly set: string;
  readonly name: string;
  readonly load: () => Promise<{ readonly pixels: Tensor; readonly labels: LabelImage }>;
}

/** Of other sources than the images to train with, or of other fields of theirs; by the beginning of their names. */
const SETS: Readonly<Record<string, string>> = {
  'dsb-': 'nuclei',
  'stardist-img2d': 'nuclei, other source',
  'usiigaci-set': 'phase contrast',
  'omnipose-': 'bacteria',
  'axon-': 'SEM axons',
  'gala-': 'EM neurites',
  'neuroproof-': 'EM neurites',
  'plantseg-': 'plant cells',
};

/** The images beside the project, then those that were held back of the images to train with. */
export function validationImages(): ValidationImage[] {
  const own = dataItems().flatMap(({ id, file, labels }): ValidationImage[] => {
    const set = Object.entries(SETS).find(([prefix]) => id.startsWith(prefix))?.[1];
    if (!set || !labels) return [];
    const stack = ['EM neurites', 'plant cells'].includes(set);
    return [{ set, name: id, load: stack ? () => middleSlice(file, labels) : () => readGroundTruth(id) }];
  });
  const held = someOfEachSet(openImages('held')).map(({ set, name, load }) => ({
    set: `held: ${set}`,
    name,
    load: async () => {
      const { image, labels } = await load();
      return { pixels: image, labels };
    },
  }));
  return [...own, ...held];
}

/** So many tell enough of a set. */
const MOST = 12;

function someOfEachSet(images: readonly OpenImage[]): OpenImage[] {
  const before = (image: OpenImage, index: number) =>
    images.slice(0, index).filter(({ set }) => set === image.set).length;
  return images.filter((image, index) => before(image, index) < MOST);
}

async function middleSlice(file: string, labels: string) {
  const [pixels, { data, shape }] = await Promise.all([sliceOf(file), sliceOf(labels)]);
  return { pixels, labels: { data: Uint32Array.from(data), shape } };
}

async function sliceOf(file: string): Promise<Tensor> {
  const { data, shape } = middle(await readStack(dataPath(file)), 1);
  return { data, shape: shape.slice(1) } as Tensor;
}
