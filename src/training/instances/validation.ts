import { scoreSegmentation } from '../../evaluation/segmentation-accuracy.js';
import type { ImageEncoder } from '../../model/image-encoder.js';
import { InstanceDecoder } from '../../model/instance-decoder.js';
import { SAM_ENCODER_INPUT } from '../../model/model-spec.js';
import type { OrtRuntime } from '../../model/runtime.js';
import { writeModel } from '../../onnx/write.js';
import { generateInstances, labelsOf, medianDiameter } from '../../segmentation/instances/generate.js';
import { tileOf } from '../../segmentation/instances/initialize.js';
import { type InstanceState, MICRO_SAM_SETTINGS } from '../../segmentation/instances/state.js';
import type { TaskOptions } from '../../task.js';
import type { TrainingImage } from '../labelled-image.js';
import type { Weights } from '../parameters.js';
import { lightDecoderModel } from './light-decoder.js';

/** More images than these take longer to score than they tell. */
const MOST_IMAGES = 32;

/**
 * Scores decoder weights as the decoder will be used: objects of whole images, compared with their labels. Images are
 * encoded anew for each score, which costs two seconds each but no memory.
 *
 * @returns mean segmentation accuracy over the images
 */
export function instanceScore(runtime: OrtRuntime, encoder: ImageEncoder, images: readonly TrainingImage[]) {
  return async (weights: Weights, { signal }: TaskOptions = {}): Promise<number> => {
    const file = writeModel(lightDecoderModel(weights));
    const decoder = await InstanceDecoder.create(runtime, file, SAM_ENCODER_INPUT);
    try {
      let sum = 0;
      const used = images.slice(0, MOST_IMAGES);
      for (const image of used) {
        signal?.throwIfAborted();
        sum += await accuracyOn(image, encoder, decoder, { signal });
      }
      return sum / used.length;
    } finally {
      await decoder.release();
    }
  };
}

async function accuracyOn(
  source: TrainingImage,
  encoder: ImageEncoder,
  decoder: InstanceDecoder,
  task: TaskOptions,
): Promise<number> {
  const { image, labels } = await source.load(task);
  const [height, width] = labels.shape;
  const maps = await decoder.run(await encoder.encode(image, { early: true, ...task }), image, task);
  const first: InstanceState = { size: [height, width], tiles: [tileOf(maps, [0, 0, height, width])] };
  const diameter = medianDiameter(generateInstances(first, MICRO_SAM_SETTINGS));
  const found = generateInstances({ ...first, diameter });
  return scoreSegmentation(labels, labelsOf(found, [height, width])).msa;
}
