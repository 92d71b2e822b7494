import { encoderWithEarlyFeatures } from '../../model/early-features.js';
import { encoderDelta, encoderWithDelta } from '../../model/encoder-delta.js';
import { ImageEncoder } from '../../model/image-encoder.js';
import type { ModelSpec } from '../../model/model-spec.js';
import type { OrtRuntime } from '../../model/runtime.js';
import type { Embedding } from '../../model/sam-tensors.js';
import type { Tensor } from '../../ndimage/array.js';
import type { OnnxModel } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import type { TaskOptions } from '../../task.js';
import { EARLY } from '../instances/feature-cache.js';
import { FEW_IMAGES, instanceScore } from '../instances/validation.js';
import type { Encoding, TrainingImage } from '../labelled-image.js';
import type { Weights } from '../parameters.js';
import { trainableDecoder, withWeights } from '../prompts/mask-decoder.js';
import { type PromptScores, promptScores, scoreOfPrompts } from '../prompts/validation.js';
import type { JointWeights } from './joint-objective.js';

type Traits = Pick<ModelSpec, 'encoderInput' | 'earlyFeatures'>;

/** The encoder of a file with other weights in it; gives early features too. */
export async function changedEncoder(
  runtime: OrtRuntime,
  file: Uint8Array,
  { encoderInput, earlyFeatures }: Traits,
  weights: Weights,
): Promise<ImageEncoder> {
  const changed = encoderWithDelta(file, writeModel(encoderDelta(readModel(file), weights)));
  const { bytes, outputs } = encoderWithEarlyFeatures(changed, EARLY, earlyFeatures);
  return ImageEncoder.create(runtime, bytes, encoderInput, outputs);
}

/**
 * Scores the encoder, or its late part, with both decoders as they will be used: images are encoded with the encoder as it is
 * now.
 *
 * @param encoder the file that the weights were taken from
 * @param before what objects prompted score before any training
 * @returns the mean of the accuracy of objects found at once (`instanceScore`) and of objects prompted (`scoreOfPrompts`)
 */
export function jointScore(
  runtime: OrtRuntime,
  encoder: Uint8Array,
  { encoderInput, earlyFeatures }: Traits,
  decoder: OnnxModel,
  images: readonly TrainingImage[],
  before: (task: TaskOptions) => Promise<PromptScores>,
) {
  return async (weights: JointWeights, task: TaskOptions = {}): Promise<number> => {
    const current = await changedEncoder(runtime, encoder, { encoderInput, earlyFeatures }, weights.encoder);
    try {
      const encoding = images.length < FEW_IMAGES ? encodingOnce(current) : current;
      const found = await instanceScore(runtime, encoding, images)(weights.instances, task);
      const trained = withWeights(trainableDecoder(decoder, new Set()), weights.decoder);
      const prompted = await promptScores(runtime, encoding, images)(trained, task);
      return (found + scoreOfPrompts(prompted, await before(task))) / 2;
    } finally {
      await current.release();
    }
  };
}

/** The same image, which is one tensor where few are kept back, is encoded once for both scores. */
function encodingOnce(encoder: ImageEncoder): Encoding {
  const known = new Map<Tensor<Uint8Array>, Promise<Embedding>>();
  return {
    encode(image, task) {
      const embedding = known.get(image) ?? encoder.encode(image, { ...task, early: true });
      known.set(image, embedding);
      return embedding;
    },
  };
}
