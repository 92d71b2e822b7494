import { present } from '../items.js';
import { SAM_ENCODER_INPUT } from '../model/model-spec.js';
import { type LabelImage, type Size, type Tensor, tensor } from '../ndimage/array.js';
import { maxLabel } from '../ndimage/label.js';
import type { TaskOptions } from '../task.js';
import { cropped, reexposed, scaled, turned } from './augment.js';
import { type LabelledImage, medianDiameter, sizeOfImage, type TrainingImage } from './labelled-image.js';
import { Random } from './random.js';

/**
 * What the encoder is shown in training: pictures of at most 1024 x 1024 made from the annotated images. As they are
 * (longest side 1024, which is what the model meets when it is used), at other scales, and as mosaics of parts of small
 * images, each scaled so that its objects take a size that is drawn anew. With a frozen encoder canvases are made and
 * encoded once; what varies from step to step is then the crop.
 */
export const CANVAS_SIDE = 1024;

/** A picture of the encoder's size, and its objects. */
export interface Canvas {
  /** [1024, 1024, 3]; beyond `size` the encoder's mean, which it takes for padding. */
  readonly image: Tensor<Uint8Array>;
  /** [1024, 1024]. */
  readonly labels: LabelImage;
  /** [h, w] of what is annotated, from the upper left corner. */
  readonly size: Size;
  /** As in `LabelledImage`. */
  readonly partial: boolean;
}

/**
 * 'whole': longest side 1024; 'zoomed': 0.6 to 2.2 times that; 'shrunk': 0.25 to 0.6 times; 'mosaic2', 'mosaic4': 2 x 2 and
 * 4 x 4 parts.
 */
export type CanvasLayout = 'whole' | 'zoomed' | 'shrunk' | 'mosaic2' | 'mosaic4';

/** How many of the canvases are of a layout; they add up to 1. */
export type LayoutShares = readonly (readonly [layout: CanvasLayout, share: number])[];

/** A canvas to be made; the same plan always gives the same canvas. */
export interface CanvasPlan {
  readonly layout: CanvasLayout;
  readonly sources: readonly TrainingImage[];
  readonly seed: number;
}

const LAYOUT_SHARES: LayoutShares = [
  ['whole', 0.58],
  ['zoomed', 0.18],
  ['mosaic2', 0.18],
  ['mosaic4', 0.06],
];

/**
 * For a person's own images, whose objects are all of about one size: without smaller ones boxes around small objects of other images
 * become worse by training.
 */
export const FINETUNING_SHARES: LayoutShares = [
  ['whole', 0.5],
  ['zoomed', 0.16],
  ['shrunk', 0.16],
  ['mosaic2', 0.14],
  ['mosaic4', 0.04],
];

/**
 * Which canvases to make. A kind's share grows with the root of its number of images, so that a rare kind is neither lost
 * nor repeated without end; within a kind all images have their turn before one has its second.
 *
 * @param weights factor per kind, 1 if absent
 * @param shares of the layouts
 */
export function planCanvases(
  images: readonly TrainingImage[],
  count: number,
  random: Random,
  weights: Readonly<Record<string, number>> = {},
  shares: LayoutShares = LAYOUT_SHARES,
): CanvasPlan[] {
  const kinds = [...new Set(images.map((image) => image.kind))];
  const members = new Map(kinds.map((kind) => [kind, images.filter((image) => image.kind === kind)]));
  const kindShares = kinds.map((kind) => Math.sqrt(members.get(kind)?.length ?? 0) * (weights[kind] ?? 1));
  const waiting = new Map<string, TrainingImage[]>();
  const next = (): TrainingImage => {
    const kind = random.pickWeighted(kinds, kindShares);
    let queue = waiting.get(kind) ?? [];
    if (queue.length === 0) queue = random.shuffled(members.get(kind) ?? []);
    waiting.set(kind, queue);
    return present(queue.pop(), 'an image of the kind');
  };
  const layouts = random.shuffled(Array.from({ length: count }, (_, index) => layoutOf((index + 0.5) / count, shares)));
  return layouts.map((layout) => {
    const parts = layout === 'mosaic2' ? 4 : layout === 'mosaic4' ? 16 : 1;
    return { layout, sources: Array.from({ length: parts }, next), seed: Math.floor(random.uniform() * 2 ** 32) };
  });
}

/** The layout at a position of 0 to 1 along the shares. */
function layoutOf(position: number, shares: LayoutShares): CanvasLayout {
  let end = 0;
  for (const [layout, share] of shares) {
    end += share;
    if (position < end) return layout;
  }
  return 'mosaic4';
}

/** Least and most. */
const ZOOMS: Readonly<Partial<Record<CanvasLayout, readonly [number, number]>>> = {
  zoomed: [0.6, 2.2],
  shrunk: [0.25, 0.6],
};

export async function makeCanvas({ layout, sources, seed }: CanvasPlan, task?: TaskOptions): Promise<Canvas> {
  const random = new Random(seed);
  const canvas = emptyCanvas();
  if (layout === 'mosaic2' || layout === 'mosaic4') return mosaic(canvas, sources, random, task);
  const sample = reexposed(turned(await sources[0].load(task), random), random);
  const zooms = ZOOMS[layout];
  const zoom = zooms ? random.logUniform(...zooms) : 1;
  const fitted = CANVAS_SIDE / Math.max(...sizeOfImage(sample));
  const piece = cropped(rescaled(sample, fitted * zoom), [CANVAS_SIDE, CANVAS_SIDE], random);
  paste(canvas, piece, 0, 0, 0);
  return { ...canvas, size: sizeOfImage(piece), partial: piece.partial };
}

/** The encoder's mean colour, rounded. */
const PADDING = SAM_ENCODER_INPUT.mean.map(Math.round);

function emptyCanvas(): Canvas {
  const pixels = CANVAS_SIDE * CANVAS_SIDE;
  const image = new Uint8Array(pixels * 3);
  image.set(PADDING);
  for (let done = PADDING.length; done < image.length; done *= 2) image.copyWithin(done, 0, done);
  return {
    image: tensor(image, [CANVAS_SIDE, CANVAS_SIDE, 3]),
    labels: tensor(new Uint32Array(pixels), [CANVAS_SIDE, CANVAS_SIDE]),
    size: [CANVAS_SIDE, CANVAS_SIDE],
    partial: false,
  };
}

function rescaled(sample: LabelledImage, scale: number): LabelledImage {
  const [height, width] = sizeOfImage(sample);
  const size: Size = [Math.max(8, Math.round(height * scale)), Math.max(8, Math.round(width * scale))];
  return scaled(sample, size);
}

/** Scales beyond these make mush of an image. */
const SCALES = [0.4, 4.5] as const;
const SMALLEST_OBJECT = 16;
const LARGEST_OBJECT = { 2: 110, 4: 70 } as const;

async function mosaic(
  canvas: Canvas,
  sources: readonly TrainingImage[],
  random: Random,
  task?: TaskOptions,
): Promise<Canvas> {
  const across = sources.length === 4 ? 2 : 4;
  const side = CANVAS_SIDE / across;
  let used = 0;
  let partial = false;
  for (const [index, source] of sources.entries()) {
    const sample = reexposed(turned(await source.load(task), random), random);
    const wanted = random.logUniform(SMALLEST_OBJECT, LARGEST_OBJECT[across]);
    const fitted = wanted / (medianDiameter(sample.labels) ?? wanted);
    const scale = Math.min(SCALES[1], Math.max(SCALES[0], fitted, (0.6 * side) / Math.max(...sizeOfImage(sample))));
    const piece = cropped(rescaled(sample, scale), [side, side], random);
    paste(canvas, piece, side * Math.floor(index / across), side * (index % across), used);
    used += maxLabel(piece.labels);
    partial ||= piece.partial;
  }
  return { ...canvas, partial };
}

/** @param used highest label given out so far */
function paste({ image, labels }: Canvas, piece: LabelledImage, top: number, left: number, used: number): void {
  const [height, width] = sizeOfImage(piece);
  for (let y = 0; y < height; y++) {
    const to = (top + y) * CANVAS_SIDE + left;
    image.data.set(piece.image.data.subarray(y * width * 3, (y + 1) * width * 3), to * 3);
    for (let x = 0; x < width; x++) {
      const id = piece.labels.data[y * width + x];
      if (id !== 0) labels.data[to + x] = id + used;
    }
  }
}
