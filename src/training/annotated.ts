import { SamError } from '../errors.js';
import { counted } from '../items.js';
import type { LabelImage, Size, Tensor, YXYX } from '../ndimage/array.js';
import { labelSizes, removeSmall } from '../ndimage/label.js';
import { masksFromLabels } from '../ndimage/rle.js';
import { part } from './augment.js';
import { type LabelledImage, medianDiameter, type TrainingImage } from './labelled-image.js';
import { Random } from './random.js';

/**
 * What somebody has annotated, made into what is trained on and what is kept back to score on. Few images are annotated, often
 * only one: then a strip of each is kept back, with a quarter of its objects, which training never sees.
 */
export interface AnnotatedImage {
  readonly name: string;
  /** 8-bit RGB [H, W, 3], as the encoder takes it. */
  readonly image: Tensor<Uint8Array>;
  /** [H, W], 0 is background. */
  readonly labels: LabelImage;
}

export interface AnnotatedOptions {
  /** Not all objects are annotated: what has no label is unknown, not background. */
  readonly partial: boolean;
  /** Objects of fewer pixels are left out. */
  readonly minSize?: number;
  /** Larger images are cut into parts of this size, as the model will meet them. */
  readonly window?: Size;
  readonly seed?: number;
  /** Keep some back to score on (default). */
  readonly keepBack?: boolean;
  /** Strips are kept back of so many images at most, the others are trained on whole. Default: of all. */
  readonly mostStrips?: number;
}

/** A part of an image with its objects, as plain data. */
export interface Sample extends LabelledImage {
  readonly name: string;
  readonly kind: string;
}

export interface AnnotatedData {
  readonly training: readonly Sample[];
  readonly heldBack: readonly Sample[];
  readonly report: DataReport;
}

export interface DataReport {
  readonly images: number;
  /** Objects that are trained on, and that are scored on. */
  readonly trained: number;
  readonly heldBack: number;
  /** What is not used, and why, a sentence each. */
  readonly leftOut: readonly string[];
  /** Of the median object of the smallest and the largest kind, in pixels. */
  readonly diameters?: readonly [smallest: number, largest: number];
}

/** Fewer objects teach nothing. */
export const LEAST_OBJECTS = 5;
/** With fewer objects none can be spared. */
const LEAST_TO_SPARE = 6;
/** With so many images or parts whole ones are kept back; one or two of fewer would say little of the others. */
export const LEAST_WHOLE = 16;
const HELD_BACK = 0.25;
/** Pixels of the least object, where nothing else is asked for. */
export const SMALLEST = 25;

/** @throws SamError `invalid_argument` if there are too few objects */
export function annotatedData(images: readonly AnnotatedImage[], options: AnnotatedOptions): AnnotatedData {
  const { minSize = SMALLEST, partial, window, seed = 1, keepBack = true, mostStrips = Infinity } = options;
  const leftOut: string[] = [];
  let small = 0;
  const parts: Sample[] = [];
  for (const { name, image, labels } of images) {
    const kept = removeSmall(labels, minSize);
    small += countOf(labels) - countOf(kept);
    if (countOf(kept) === 0)
      leftOut.push(`${name}: it has no object${countOf(labels) > 0 ? ' that is large enough' : ''}`);
    else parts.push(...cutInto({ name, kind: kept.shape.join(' x '), image, labels: kept, partial }, window, minSize));
  }
  if (small > 0) leftOut.push(`${counted(small, 'object')} of fewer than ${minSize} pixels`);
  const { training, heldBack } = keepBack
    ? split(parts, { minSize, mostStrips, random: new Random(seed) })
    : { training: parts, heldBack: [] };
  const trained = sum(training);
  if (trained < LEAST_OBJECTS)
    throw new SamError(
      'invalid_argument',
      `${trained === 1 ? 'There is 1 annotated object' : `There are ${trained} annotated objects`} to learn from; at least ${LEAST_OBJECTS} are needed, of all kinds that you look for. Annotate more and commit them.`,
      { details: { got: trained, expected: LEAST_OBJECTS } },
    );
  if (keepBack && heldBack.length === 0)
    leftOut.push('No object can be spared to score on: the gain will not be measured. Annotate more to see it');
  const diameters = parts.flatMap(({ labels }) => medianDiameter(labels) ?? []);
  return {
    training,
    heldBack,
    report: {
      images: images.length - leftOut.filter((text) => text.includes(': it has no object')).length,
      trained,
      heldBack: sum(heldBack),
      leftOut,
      ...(diameters.length > 0 && { diameters: [Math.min(...diameters), Math.max(...diameters)] }),
    },
  };
}

/** For `trainModel`, which reads images when it needs them. */
export function trainingImages(samples: readonly Sample[]): TrainingImage[] {
  return samples.map(({ name, kind, ...sample }) => ({ name, kind, load: async () => sample }));
}

const countOf = (labels: LabelImage) => labelSizes(labels).size;
const sum = (samples: readonly Sample[]) => samples.reduce((total, { labels }) => total + countOf(labels), 0);

/** The parts with objects in them. */
function cutInto(sample: Sample, window: Size | undefined, minSize: number): Sample[] {
  const [height, width] = sample.labels.shape;
  if (!window || (height <= window[0] && width <= window[1])) return [sample];
  const starts = (length: number, step: number) =>
    Array.from({ length: Math.ceil(length / step) }, (_, i) => Math.max(0, Math.min(i * step, length - step)));
  return starts(height, window[0]).flatMap((top) =>
    starts(width, window[1]).flatMap((left) => {
      const box: YXYX = [top, left, Math.min(height, top + window[0]), Math.min(width, left + window[1])];
      return partWithObjects(sample, box, minSize) ?? [];
    }),
  );
}

function partWithObjects(sample: Sample, [top, left, bottom, right]: YXYX, minSize: number): Sample | undefined {
  const size: Size = [bottom - top, right - left];
  const labels = removeSmall(part(sample.labels, top, left, size), minSize);
  return countOf(labels) === 0 ? undefined : { ...sample, image: part(sample.image, top, left, size), labels };
}

interface Split {
  readonly minSize: number;
  readonly mostStrips: number;
  readonly random: Random;
}

function split(
  parts: readonly Sample[],
  { minSize, mostStrips, random }: Split,
): Pick<AnnotatedData, 'training' | 'heldBack'> {
  if (parts.length >= LEAST_WHOLE) {
    const order = random.shuffled(parts);
    const count = Math.max(1, Math.round(parts.length * (HELD_BACK / 2)));
    return { training: order.slice(count), heldBack: order.slice(0, count) };
  }
  // Evenly spaced, as neighbours are often alike.
  const most = Math.min(mostStrips, parts.length);
  const cutsBefore = (index: number) => Math.floor((index * most) / parts.length);
  const isCut = (index: number) => cutsBefore(index + 1) > cutsBefore(index);
  const halves = parts.map((each, index) => (isCut(index) ? strips(each, minSize) : ([each] as const)));
  return {
    training: halves.map(([training]) => training),
    heldBack: halves.flatMap(([, heldBack]) => heldBack ?? []),
  };
}

/**
 * Cuts a strip with about a quarter of the objects off the upper or lower end of a wide image, the left or right end of a
 * high one: the longer side, which decides how large things look to the model, stays. The cut lies where it meets few objects;
 * each belongs to the side where most of it is.
 */
function strips(sample: Sample, minSize: number): readonly [training: Sample, heldBack?: Sample] {
  const [height, width] = sample.labels.shape;
  const boxes = [...masksFromLabels(sample.labels).values()].map(({ box }) => box);
  if (boxes.length < LEAST_TO_SPARE) return [sample];
  const across = width >= height ? 0 : 1;
  const length = [height, width][across];
  const middles = boxes.map((box) => (box[across] + box[across + 2]) / 2);
  const wanted = Math.max(1, Math.round(boxes.length * HELD_BACK));
  const cuts = Array.from({ length: length - 1 }, (_, i) => i + 1).flatMap((at) => {
    const before = middles.filter((middle) => middle < at).length;
    const crossed = boxes.filter((box) => box[across] < at && box[across + 2] > at).length;
    return [
      { at, first: true, count: before, crossed },
      { at, first: false, count: boxes.length - before, crossed },
    ];
  });
  const costs = cuts.map(({ count, crossed }) => (count === 0 ? Infinity : Math.abs(count - wanted) + crossed));
  const best = cuts[costs.indexOf(Math.min(...costs))];
  if (!best || best.count === boxes.length) return [sample];
  const side = (first: boolean): Sample | undefined => {
    const [from, to] = first ? [0, best.at] : [best.at, length];
    const box: YXYX = across === 0 ? [from, 0, to, width] : [0, from, height, to];
    return partWithObjects(withoutCrossing(sample, across, best.at, first), box, minSize);
  };
  const [training, heldBack] = [side(!best.first), side(best.first)];
  return training && heldBack ? [training, heldBack] : [sample];
}

/** Without the objects most of which lie on the other side of the cut. */
function withoutCrossing(sample: Sample, across: 0 | 1, at: number, first: boolean): Sample {
  const { labels } = sample;
  const foreign = new Set(
    [...masksFromLabels(labels)].flatMap(([id, { box }]) =>
      (box[across] + box[across + 2]) / 2 < at !== first ? id : [],
    ),
  );
  return { ...sample, labels: { ...labels, data: labels.data.map((id) => (foreign.has(id) ? 0 : id)) } };
}
