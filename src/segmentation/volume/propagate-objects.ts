import type { LabelImage, YX } from '../../ndimage/array.js';
import { innermostPixel } from '../../ndimage/distance.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskFromLabels, maskFromSpans, maskSpans } from '../../ndimage/rle.js';
import type { TaskOptions } from '../../task.js';
import type { ImageContext } from '../context.js';
import { segmentFromPoints } from '../from-prompts.js';
import { PROJECT_OPTIONS, type ProjectOptions } from './options.js';
import { projectThroughVolume } from './project.js';
import type { SliceSegmenter } from './projection.js';
import { sliceSegmenter } from './slice-segmenter.js';

/**
 * Automatic prompt generation in a volume: of every object that was found slice by slice, one point in the slice where it
 * is largest, outlined there by the mask decoder and followed through its neighbours as an interactive prompt is. Where two
 * claim the same voxels, the one of higher score has them. After the 3D scheme of micro-sam's development branch, with the
 * projection of its slice networks.
 */
export interface PropagateOptions {
  readonly project?: Partial<ProjectOptions>;
  /** Lowest predicted IoU of the outline in the slice of the point. */
  readonly predIouThresh?: number;
  /** Of an object, how many voxels may be claimed by others of higher score. */
  readonly maxOverlap?: number;
  /** Objects over fewer slices are left out. */
  readonly minExtent?: number;
  /** Objects of fewer pixels, in the slice of their point, are left out. */
  readonly minObjectSize?: number;
  /** Called after each object with what is there so far; the same array, being filled. */
  readonly onPartial?: (labels: LabelImage) => void;
  /** Default: by the model of the context. */
  readonly segment?: SliceSegmenter;
}

/** One object's slice of largest area, and its outline there. */
interface Anchor {
  readonly plane: number;
  readonly mask: Mask;
  readonly score: number;
}

/**
 * @param linked [Z, H, W], objects found slice by slice and merged over z (`mergeSlices`)
 * @returns [Z, H, W], ids 1 … n by falling score
 */
export async function propagateObjects(
  context: ImageContext,
  linked: LabelImage,
  options: PropagateOptions & TaskOptions = {},
): Promise<LabelImage> {
  const { predIouThresh = 0.6, maxOverlap = 0.15, minExtent = 0, minObjectSize = 0, signal, onProgress } = options;
  const [depth, height, width] = linked.shape;
  const points = anchorPoints(linked);
  const total = 2 * points.length;
  const anchors: Anchor[] = [];
  for (const [i, { plane, at }] of points.entries()) {
    signal?.throwIfAborted();
    const { mask, predictedIou, stability } = await segmentFromPoints({ ...context, plane }, [{ at, positive: true }], {
      signal,
    });
    if (mask.area >= Math.max(1, minObjectSize) && predictedIou >= predIouThresh)
      anchors.push({ plane, mask, score: predictedIou * stability });
    onProgress?.({ done: i + 1, total, message: `Outlined object ${i + 1} of ${points.length}` });
  }
  anchors.sort((a, b) => b.score - a.score);
  const labels: LabelImage = { data: new Uint32Array(depth * height * width), shape: linked.shape };
  const segment = options.segment ?? sliceSegmenter(context);
  const project = { ...PROJECT_OPTIONS, ...context.following, ...options.project };
  let count = 0;
  for (const [i, { plane, mask }] of anchors.entries()) {
    signal?.throwIfAborted();
    onProgress?.({
      done: points.length + Math.round((points.length * i) / anchors.length),
      total,
      message: `Following object ${i + 1} of ${anchors.length}`,
    });
    // Taken by a better one already: following it would be in vain.
    if (isTaken(labels, new Map([[plane, mask]]), maxOverlap)) continue;
    const seed = { masks: new Map([[plane, mask]]), stopLower: false, stopUpper: false };
    const { masks } = await projectThroughVolume(seed, depth, segment, project, { signal });
    if (masks.size < minExtent || isTaken(labels, masks, maxOverlap)) continue;
    claim(labels, masks, ++count);
    options.onPartial?.(labels);
  }
  onProgress?.({ done: total, total, message: `Followed ${count} objects` });
  return labels;
}

/** Of each object the innermost pixel of the slice where it is largest. */
export function anchorPoints(linked: LabelImage): { readonly plane: number; readonly at: YX }[] {
  const [depth, height, width] = linked.shape;
  const area = height * width;
  const best = new Map<number, { plane: number; pixels: number }>();
  for (let plane = 0; plane < depth; plane++) {
    const sizes = new Map<number, number>();
    for (let p = plane * area; p < (plane + 1) * area; p++) {
      const id = linked.data[p];
      if (id !== 0) sizes.set(id, (sizes.get(id) ?? 0) + 1);
    }
    for (const [id, pixels] of sizes) if (pixels > (best.get(id)?.pixels ?? 0)) best.set(id, { plane, pixels });
  }
  return [...best]
    .sort(([a], [b]) => a - b)
    .map(([id, { plane }]) => ({ plane, at: innermostPixel(maskFromLabels(linked, id, plane)) }));
}

function isTaken(labels: LabelImage, masks: ReadonlyMap<number, Mask>, maxOverlap: number): boolean {
  let taken = 0;
  let all = 0;
  for (const [plane, mask] of masks) {
    all += mask.area;
    taken += mask.area - freePart(labels, plane, mask).area;
  }
  return taken > maxOverlap * all;
}

function claim(labels: LabelImage, masks: ReadonlyMap<number, Mask>, id: number): void {
  for (const [plane, mask] of masks) {
    const base = rowStart(labels, plane);
    const spans = maskSpans(freePart(labels, plane, mask));
    for (let i = 0; i < spans.length; i += 3) {
      const row = base + spans[i] * labels.shape[2];
      labels.data.fill(id, row + spans[i + 1], row + spans[i + 2]);
    }
  }
}

function freePart(labels: LabelImage, plane: number, mask: Mask): Mask {
  const base = rowStart(labels, plane);
  const spans = maskSpans(mask);
  const free: number[] = [];
  for (let i = 0; i < spans.length; i += 3) {
    const row = base + spans[i] * labels.shape[2];
    for (let x = spans[i + 1]; x < spans[i + 2]; ) {
      const start = x;
      while (x < spans[i + 2] && labels.data[row + x] === 0) x++;
      if (x > start) free.push(spans[i], start, x);
      else x++;
    }
  }
  return maskFromSpans(free);
}

const rowStart = ({ shape: [, height, width] }: LabelImage, plane: number) => plane * height * width;
