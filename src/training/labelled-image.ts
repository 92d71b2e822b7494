import type { ImageEncoder } from '../model/image-encoder.js';
import type { ObjectSizes } from '../model/model-spec.js';
import type { LabelImage, Size, Tensor } from '../ndimage/array.js';
import { labelComponents, labelSizes, removeSmall } from '../ndimage/label.js';
import type { TaskOptions } from '../task.js';

/** One annotated image as it is trained on. */
export interface LabelledImage {
  /** 8-bit RGB [H, W, 3], as the encoder takes it. */
  readonly image: Tensor<Uint8Array>;
  /** [H, W], 0 is background. */
  readonly labels: LabelImage;
  /** Only some objects are annotated: what has no label is unknown, not background. */
  readonly partial: boolean;
}

/** An annotated image that is read when it is needed. */
export interface TrainingImage {
  readonly name: string;
  /** Images of one kind look alike and have one scale; kinds are balanced against each other. */
  readonly kind: string;
  readonly load: (task?: TaskOptions) => Promise<LabelledImage>;
}

/** What scores need of an encoder. */
export type Encoding = Pick<ImageEncoder, 'encode'>;

/**
 * Labels that are a mask, 0 and one other value, of several objects → their connected pieces, numbered; else the labels as they are. A
 * single object may be torn in two; three pieces that are large enough are objects. micro-sam's training always takes
 * connected pieces for objects (torch-em's `PerObjectDistanceTransform`); here numbered objects may be torn.
 *
 * @param labels [H, W] or [Z, H, W]
 * @param minSize pixels of the least object
 */
export function toldApart(labels: LabelImage, minSize: number): LabelImage {
  if (labelSizes(labels).size !== 1) return labels;
  const { labels: pieces } = labelComponents(labels);
  return labelSizes(removeSmall(pieces, minSize)).size >= LEAST_PIECES ? pieces : labels;
}

const LEAST_PIECES = 3;

/** Diameter of the disc with the area of the median object, in pixels; objects below `minSize` pixels do not count. */
export function medianDiameter(labels: LabelImage, minSize = 16): number | undefined {
  const areas = [...labelSizes(labels)].filter(([id, area]) => id !== 0 && area >= minSize).map(([, area]) => area);
  if (areas.length === 0) return undefined;
  areas.sort((a, b) => a - b);
  return 2 * Math.sqrt(areas[areas.length >> 1] / Math.PI);
}

/** Of fewer objects nobody knows how large others are. */
const LEAST_MEASURED = 20;
/** More images say nothing more. */
const MOST_MEASURED = 64;

/** @returns how large the objects of the images are, if there are enough */
export async function objectSizesOf(
  images: readonly TrainingImage[],
  task?: TaskOptions,
): Promise<ObjectSizes | undefined> {
  const areas: number[] = [];
  for (const image of images.slice(0, MOST_MEASURED)) {
    const { labels } = await image.load(task);
    for (const [id, area] of labelSizes(labels)) if (id !== 0) areas.push(area);
  }
  if (areas.length < LEAST_MEASURED) return undefined;
  areas.sort((a, b) => a - b);
  const diameterAt = (share: number) => 2 * Math.sqrt(areas[Math.floor(share * (areas.length - 1))] / Math.PI);
  return { small: diameterAt(0.25), largest: diameterAt(0.98) };
}

export function sizeOfImage({ labels }: LabelledImage): Size {
  return [labels.shape[0], labels.shape[1]];
}
