import { renderPicture } from '../evaluation/picture.js';
import type { OrtRuntime } from '../model/runtime.js';
import type { TaskOptions } from '../task.js';
import { objectFinder } from './instances/validation.js';
import type { Encoding, TrainingImage } from './labelled-image.js';
import type { Weights } from './parameters.js';

/**
 * What the model found on images that were kept back, before it was trained and after: numbers tell that it is better, pictures
 * tell where. Outlines of the labels are green, of what was found magenta, white where both agree.
 */
export interface ValidationPicture {
  /** Of the image. */
  readonly name: string;
  /** PNG; absent if there was no instance decoder before. */
  readonly before?: Uint8Array;
  readonly after: Uint8Array;
}

/** The model at one time. */
export interface Finder {
  readonly encoder: Encoding;
  readonly instances: Weights;
}

/** More nobody looks at. */
const MOST = 3;
const LONGEST_SIDE = 480;

export async function validationPictures(
  runtime: OrtRuntime,
  images: readonly TrainingImage[],
  { before, after }: { readonly before?: Finder; readonly after: Finder },
  task: TaskOptions = {},
): Promise<ValidationPicture[]> {
  const chosen = images.slice(0, MOST);
  const old = before && (await picturesOf(runtime, chosen, before, task));
  const now = await picturesOf(runtime, chosen, after, task);
  return chosen.map(({ name }, i) => ({ name, ...(old && { before: old[i] }), after: now[i] }));
}

async function picturesOf(
  runtime: OrtRuntime,
  images: readonly TrainingImage[],
  { encoder, instances }: Finder,
  task: TaskOptions,
): Promise<Uint8Array[]> {
  const finder = await objectFinder(runtime, instances);
  try {
    const pictures: Uint8Array[] = [];
    for (const source of images) {
      const { image, labels: reference } = await source.load(task);
      const prediction = await finder.find(await encoder.encode(image, { early: true, ...task }), image, task);
      pictures.push(renderPicture({ image, reference, prediction }, LONGEST_SIDE));
    }
    return pictures;
  } finally {
    await finder.release();
  }
}
