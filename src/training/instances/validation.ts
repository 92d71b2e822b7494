import { scoreSegmentation } from '../../evaluation/segmentation-accuracy.js';
import { InstanceDecoder } from '../../model/instance-decoder.js';
import type { OrtRuntime } from '../../model/runtime.js';
import type { Embedding } from '../../model/sam-tensors.js';
import type { LabelImage, Tensor } from '../../ndimage/array.js';
import { labelSizes } from '../../ndimage/label.js';
import { writeModel } from '../../onnx/write.js';
import { objectsOfMaps } from '../../segmentation/instances/instance-at.js';
import type { TaskOptions } from '../../task.js';
import type { Encoding, TrainingImage } from '../labelled-image.js';
import type { Weights } from '../parameters.js';
import { lightDecoderModel } from './light-decoder.js';

/** More images than these take longer to score than they tell. */
const MOST_IMAGES = 32;

/** Of fewer the embeddings are kept, 16 MB each. */
export const FEW_IMAGES = 16;

/**
 * Scores decoder weights as the decoder will be used: objects of whole images, compared with their labels. Many images are
 * encoded anew for each score, which costs two seconds each but no memory. Where only some objects are labelled, what is
 * found elsewhere does not count.
 *
 * @returns mean segmentation accuracy over the images
 */
export function instanceScore(runtime: OrtRuntime, encoder: Encoding, images: readonly TrainingImage[]) {
  const kept = new Map<TrainingImage, Promise<Embedding>>();
  const embed: Embed = (source, image, task) => {
    if (images.length >= FEW_IMAGES) return encoder.encode(image, { early: true, ...task });
    const known = kept.get(source) ?? encoder.encode(image, { early: true, ...task });
    kept.set(source, known);
    known.catch(() => kept.delete(source));
    return known;
  };
  return async (weights: Weights, { signal }: TaskOptions = {}): Promise<number> => {
    const finder = await objectFinder(runtime, weights);
    try {
      let sum = 0;
      const used = images.slice(0, MOST_IMAGES);
      for (const image of used) {
        signal?.throwIfAborted();
        sum += await accuracyOn(image, embed, finder, { signal });
      }
      return sum / used.length;
    } finally {
      await finder.release();
    }
  };
}

/** Finds all objects of an image with a decoder of such weights. */
export interface ObjectFinder {
  /** @param embedding with early features */
  find(embedding: Embedding, image: Tensor<Uint8Array>, task?: TaskOptions): Promise<LabelImage>;
  release(): Promise<void>;
}

export async function objectFinder(runtime: OrtRuntime, weights: Weights): Promise<ObjectFinder> {
  const decoder = await InstanceDecoder.create(runtime, writeModel(lightDecoderModel(weights)));
  return {
    async find(embedding, image, task = {}) {
      const [height, width] = image.shape;
      return objectsOfMaps(await decoder.run(embedding, image, task), [height, width]);
    },
    release: () => decoder.release(),
  };
}

type Embed = (source: TrainingImage, image: Tensor<Uint8Array>, task: TaskOptions) => Promise<Embedding>;

async function accuracyOn(
  source: TrainingImage,
  embed: Embed,
  finder: ObjectFinder,
  task: TaskOptions,
): Promise<number> {
  const { image, labels, partial } = await source.load(task);
  const all = await finder.find(await embed(source, image, task), image, task);
  return scoreSegmentation(labels, partial ? onLabelled(all, labels) : all).msa;
}

/** The found objects half of which at least is labelled: of the others nobody knows whether they are right. */
function onLabelled(found: LabelImage, labels: LabelImage): LabelImage {
  const known = new Map<number, number>();
  for (const [p, id] of found.data.entries()) if (labels.data[p] !== 0) known.set(id, (known.get(id) ?? 0) + 1);
  const sizes = labelSizes(found);
  const counts = (id: number) => 2 * (known.get(id) ?? 0) >= (sizes.get(id) ?? 0);
  return { ...found, data: found.data.map((id) => (id !== 0 && counts(id) ? id : 0)) };
}
