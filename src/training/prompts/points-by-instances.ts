import { evaluatePrompts } from '../../evaluation/iterative-prompting.js';
import { STANDARD_SETTINGS } from '../../evaluation/prompts-from-ground-truth.js';
import { InstanceDecoder } from '../../model/instance-decoder.js';
import { createMaskDecoder } from '../../model/mask-decoder.js';
import type { ModelSpec, ObjectSizes } from '../../model/model-spec.js';
import type { OrtRuntime } from '../../model/runtime.js';
import type { Size } from '../../ndimage/array.js';
import type { OnnxModel } from '../../onnx/model.js';
import { writeModel } from '../../onnx/write.js';
import type { PromptContext } from '../../segmentation/context.js';
import type { TaskOptions } from '../../task.js';
import { lightDecoderModel } from '../instances/light-decoder.js';
import type { Encoding, TrainingImage } from '../labelled-image.js';
import type { Weights } from '../parameters.js';

/** What points are scored with. */
export interface ScoredNetworks {
  /** How its networks want to be fed. */
  readonly model: Pick<ModelSpec, 'decoderLayout' | 'encoderInput'>;
  /** Gives early features. */
  readonly encoder: Encoding;
  readonly decoder: OnnxModel;
  readonly instances: Weights;
  readonly objectSizes?: ObjectSizes;
}

const [ONE_POINT] = STANDARD_SETTINGS;
/** More images and objects take longer than they tell. */
const MOST_IMAGES = 16;
const MOST_OBJECTS = 24;
/** Smaller objects are hardly seen, in pixels. */
const LEAST_AREA = 20;
/** Mean IoU of objects clicked in their middle, on images that nothing was learned from. */
export interface PointScores {
  /** The mask decoder alone. */
  readonly alone: number;
  /** Where a point means the instance decoder's object under it. */
  readonly byInstances: number;
}

/** A gain that is less may be chance, and costs a run of both decoders. */
const WORTHWHILE = 0.01;

/** For `ModelSpec.pointsByInstances`. */
export function pointsHadBetterMeanInstances({ alone, byInstances }: PointScores): boolean {
  return byInstances >= alone + WORTHWHILE;
}

/**
 * What the instance decoder tells of a single point. Where few images taught the mask decoder, that is often much; where the
 * instance decoder does not know the objects, it is less than nothing.
 */
export async function scorePointsByInstances(
  runtime: OrtRuntime,
  { model, encoder, decoder, instances, objectSizes }: ScoredNetworks,
  images: readonly TrainingImage[],
  task: TaskOptions = {},
): Promise<PointScores> {
  const masks = await createMaskDecoder(runtime, writeModel(decoder), model.decoderLayout);
  const maps = await InstanceDecoder.create(runtime, writeModel(lightDecoderModel(instances)));
  const worker: PromptContext['worker'] = { decode: (_, ...request) => masks.decode(...request) };
  const scored = images.slice(0, MOST_IMAGES);
  const sums = { alone: 0, byInstances: 0 };
  try {
    for (const source of scored) {
      const { image, labels } = await source.load(task);
      const embedding = await encoder.encode(image, { ...task, early: true });
      const scoreOf = async (pointsByInstances: boolean) => {
        const embeddings: PromptContext['embeddings'] = {
          size: labels.shape as Size,
          resize: model.encoderInput.resize,
          ...(objectSizes && { objectSizes }),
          pointsByInstances,
          embedding: async () => embedding,
          instanceMaps: () => maps.run(embedding, image, task),
        };
        const objects = { random: () => 0, minSize: LEAST_AREA, maxObjects: MOST_OBJECTS, signal: task.signal };
        const context = { worker, model: '', plane: 0, embeddings };
        return (await evaluatePrompts(context, labels, ONE_POINT, objects)).meanIou;
      };
      sums.alone += await scoreOf(false);
      sums.byInstances += await scoreOf(true);
    }
  } finally {
    await masks.dispose();
    await maps.release();
  }
  return { alone: sums.alone / scored.length, byInstances: sums.byInstances / scored.length };
}
