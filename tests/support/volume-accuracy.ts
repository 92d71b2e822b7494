import { itemAt } from '../../src/items.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { threeAxes } from '../../src/ndimage/label.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskFromLabels } from '../../src/ndimage/rle.js';
import type { ImageContext } from '../../src/segmentation/context.js';
import { segmentFromBox } from '../../src/segmentation/from-prompts.js';
import type { ProjectOptions } from '../../src/segmentation/volume/options.js';
import { projectThroughVolume } from '../../src/segmentation/volume/project.js';
import { PROJECTION_NAMES, type ProjectionName } from '../../src/segmentation/volume/projection.js';
import { sliceSegmenter } from '../../src/segmentation/volume/slice-segmenter.js';
import type { TaskOptions } from '../../src/task.js';
import { volumeIou } from './volume-iou.js';

/**
 * How well one prompt per object segments a volume: the true box of the object's middle slice, then projection through
 * all slices. The upper bound prompts every slice with its true box: what is lost against it is
 * the projection's doing, what is lost in it the model's.
 */
export interface VolumeAccuracy {
  readonly id: number;
  /** Slices the object truly is in. */
  readonly slices: number;
  /** 3D IoU with the true object. */
  readonly upperBound: number;
  readonly iou: Readonly<Partial<Record<ProjectionName, number>>>;
  /** Slices that were given the object although it is not in them, and slices it is in that were not. */
  readonly beyond: Readonly<Partial<Record<ProjectionName, number>>>;
  readonly missed: Readonly<Partial<Record<ProjectionName, number>>>;
}

export interface VolumeAccuracyOptions extends TaskOptions {
  readonly projections?: readonly ProjectionName[];
  /** Default: micro-sam's evaluation, IoU 0.8 and box extension 0.025. */
  readonly iouThreshold?: number;
  readonly boxExtension?: number;
}

/** @param labels [Z, H, W], of the whole volume that the context's embeddings are of */
export async function volumeAccuracy(
  context: ImageContext,
  labels: LabelImage,
  id: number,
  { projections = PROJECTION_NAMES, iouThreshold = 0.8, boxExtension = 0.025, signal }: VolumeAccuracyOptions = {},
): Promise<VolumeAccuracy> {
  const truth = objectOf(labels, id);
  const planes = [...truth.keys()];
  const middle = itemAt(planes, planes.length >> 1);
  const fromBox = async (plane: number) => {
    const { box } = truth.get(plane) as Mask;
    return (await segmentFromBox({ ...context, plane }, box, { signal })).mask;
  };
  const bounded = new Map<number, Mask>();
  for (const plane of planes) bounded.set(plane, await fromBox(plane));
  const start = bounded.get(middle) as Mask;
  type Scores = Partial<Record<ProjectionName, number>>;
  const [iou, beyond, missed]: [Scores, Scores, Scores] = [{}, {}, {}];
  for (const projection of projections) {
    const { scoreDrop } = context.following ?? {};
    const options: ProjectOptions = { projection, iouThreshold, boxExtension, scoreDrop };
    const annotated = { masks: new Map([[middle, start]]), stopLower: false, stopUpper: false };
    const found =
      start.area > 0
        ? await projectThroughVolume(annotated, threeAxes(labels.shape)[0], sliceSegmenter(context), options, {
            signal,
          })
        : { masks: new Map<number, Mask>() };
    iou[projection] = volumeIou(truth, found.masks);
    const right = planes.filter((plane) => found.masks.has(plane)).length;
    beyond[projection] = found.masks.size - right;
    missed[projection] = planes.length - right;
  }
  return { id, slices: planes.length, upperBound: volumeIou(truth, bounded), iou, beyond, missed };
}

/** Plane → mask of one label, planes ascending. */
export function objectOf(labels: LabelImage, id: number): Map<number, Mask> {
  const masks = new Map<number, Mask>();
  const [count] = threeAxes(labels.shape);
  for (let plane = 0; plane < count; plane++) {
    const mask = maskFromLabels(labels, id, plane);
    if (mask.area > 0) masks.set(plane, mask);
  }
  return masks;
}
