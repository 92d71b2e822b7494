import { type PromptSetting, promptFromObject, STANDARD_SETTINGS } from '../../evaluation/prompts-from-ground-truth.js';
import { createMaskDecoder, type MaskDecoder } from '../../model/mask-decoder.js';
import type { OrtRuntime } from '../../model/runtime.js';
import type { Embedding } from '../../model/sam-tensors.js';
import { buildPrompts } from '../../model/transforms.js';
import { MaskUpsampler } from '../../model/upsample.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskIou } from '../../ndimage/mask-sets.js';
import { masksFromLabels } from '../../ndimage/rle.js';
import type { OnnxModel } from '../../onnx/model.js';
import { writeModel } from '../../onnx/write.js';
import type { TaskOptions } from '../../task.js';
import type { Encoding, TrainingImage } from '../labelled-image.js';
import { Random } from '../random.js';

/** More take longer to score than they tell. */
const MOST_IMAGES = 32;
const MOST_OBJECTS = 16;
/** Of all images together, but a few of each in any case. */
const MOST_IN_ALL = 64;
const FEWEST_OBJECTS = 4;

interface ScoredImage {
  readonly embedding: Embedding;
  readonly objects: readonly Mask[];
}

/** Mean IoU over objects and images. */
export interface PromptScores {
  readonly point: number;
  readonly box: number;
}

/** What is gained by clicks may not cost more than this by boxes, which are good before any training. */
const MOST_LOST_BY_BOX = 0.01;

/**
 * @param before of the model that the training goes on from
 * @returns the mean of both ways; less than what was before where boxes have become worse by more than a hundredth, so that
 *   such weights are never the best
 */
export function scoreOfPrompts({ point, box }: PromptScores, before: PromptScores): number {
  const lost = before.box - MOST_LOST_BY_BOX - box;
  const mean = (point + box) / 2;
  return lost > 0 ? Math.min(mean, (before.point + before.box) / 2 - lost) : mean;
}

/**
 * Scores a mask decoder as it will be used: objects of whole images, each from its innermost point (the mask that the
 * decoder believes most in) and from its box.
 *
 * @returns for a decoder its scores. Images are encoded once (4 MB each).
 */
export function promptScores(runtime: OrtRuntime, encoder: Encoding, images: readonly TrainingImage[]) {
  let prepared: Promise<ScoredImage[]> | undefined;
  return async (model: OnnxModel, task: TaskOptions = {}): Promise<PromptScores> => {
    prepared ??= prepare(encoder, images.slice(0, MOST_IMAGES), task).catch((error: unknown) => {
      prepared = undefined;
      throw error;
    });
    const scored = await prepared;
    const decoder = await createMaskDecoder(runtime, writeModel(model));
    try {
      const mean = async (setting: PromptSetting) => {
        let sum = 0;
        for (const image of scored) sum += await iouOn(image, setting, decoder, task);
        return sum / scored.length;
      };
      return { point: await mean(POINT), box: await mean(BOX) };
    } finally {
      await decoder.dispose();
    }
  };
}

async function prepare(
  encoder: Encoding,
  images: readonly TrainingImage[],
  { signal }: TaskOptions,
): Promise<ScoredImage[]> {
  const prepared: ScoredImage[] = [];
  const most = Math.max(FEWEST_OBJECTS, Math.min(MOST_OBJECTS, Math.floor(MOST_IN_ALL / images.length)));
  for (const [index, source] of images.entries()) {
    signal?.throwIfAborted();
    const { image, labels } = await source.load({ signal });
    const all = new Random(index).shuffled([...masksFromLabels(labels).values()]);
    prepared.push({ embedding: await encoder.encode(image, { signal }), objects: all.slice(0, most) });
  }
  return prepared;
}

const [POINT, , , BOX] = STANDARD_SETTINGS;

async function iouOn(
  { embedding, objects }: ScoredImage,
  setting: PromptSetting,
  decoder: MaskDecoder,
  task: TaskOptions,
): Promise<number> {
  const ious = await iousOf(embedding, objects, setting, decoder, task);
  return ious.reduce((sum, iou) => sum + iou, 0) / objects.length;
}

/** IoU of each object with the mask from its prompt. */
async function iousOf(
  embedding: Embedding,
  objects: readonly Mask[],
  setting: PromptSetting,
  decoder: MaskDecoder,
  { signal }: TaskOptions,
): Promise<number[]> {
  const size = embedding.originalSize;
  const prompts = objects.map((object) => promptFromObject(object, size, setting, () => 0));
  const tokens = setting.box ? [0] : [1, 2, 3];
  const edges = { tokens, background: true };
  const decoded = await decoder.decode(embedding, buildPrompts(prompts, embedding), { edges, signal });
  const upsampler = new MaskUpsampler(embedding.inputSize, size);
  const count = decoded.tokens.length;
  const plane = decoded.logits.length / (objects.length * count);
  return objects.map((object, row) => {
    const score = (m: number) => decoded.iou[row * count + m];
    const shown = tokens.map((token) => decoded.tokens.indexOf(token));
    const best = shown.reduce((a, b) => (score(b) > score(a) ? b : a));
    const start = (row * count + best) * plane;
    return maskIou(object, upsampler.mask(decoded.logits.subarray(start, start + plane)));
  });
}
