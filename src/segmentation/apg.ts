import type { YX } from '../ndimage/array.js';
import { boxIou } from '../ndimage/boxes.js';
import { innermostPixel } from '../ndimage/distance.js';
import type { Mask } from '../ndimage/mask.js';
import { maskIou } from '../ndimage/mask-sets.js';
import { maskFromSpans, maskSpans } from '../ndimage/rle.js';
import type { TaskOptions } from '../task.js';
import { masksByPrompt } from './amg/generate.js';
import { type AmgOptions, initializeAmg } from './amg/initialize.js';
import type { AmgState } from './amg/state.js';
import { APG_THRESHOLDS, type ApgThresholds } from './automatic-settings.js';
import type { SegmentContext } from './context.js';
import { segmentEach } from './from-prompts.js';
import { seedsInBlocks } from './instances/blocks.js';
import { generateInstances, labelsOf } from './instances/generate.js';
import { type InstanceOptions, initializeInstances, SIDE, SMALL } from './instances/initialize.js';
import { pixelMaps } from './instances/pixel-maps.js';
import { SEED_THRESHOLDS, type SeedThresholds, seedMask, speckSize } from './instances/post-process.js';
import type { InstanceState } from './instances/state.js';
import { type AutomaticObject, type ScoredMask, scoredMask } from './scored-mask.js';

/**
 * Automatic prompt generation: the maps of an instance decoder say where objects are, one point each, and the mask decoder
 * what they look like (`AutomaticPromptGenerator` of micro_sam/instance_segmentation.py, 1.8; Archit et al., MIDL 2026).
 * Unlike there, components of fewer than 4 pixels give no prompt, the point is always inside its component, and masks are
 * merged by score in one pass, as micro-sam's development branch does. Of the three masks of a point the one is taken that
 * agrees best with the object that the maps show there: by its own score, SAM prefers the background to small objects. Of
 * objects so small that none is good enough, the maps' own outline stays.
 */
export interface ApgState {
  readonly instances: InstanceState;
  /** Masks of the points, all of them. */
  readonly masks: AmgState;
  /** Thresholds that the points were made with: others need another run. */
  readonly seeds: SeedThresholds;
  /** What the mask decoder makes of the boxes around the masks; by mask, where it was asked. */
  readonly refined?: ReadonlyMap<Mask, ScoredMask>;
}

/** Why a candidate is no object. */
export type ApgRejection = 'low score' | 'disagrees with the maps' | 'size' | 'duplicate' | 'truncated';

export interface ApgResult {
  /** Those of the maps have no scores. */
  readonly objects: readonly AutomaticObject[];
  readonly rejected: readonly RejectedPoint[];
}

/** A point of the maps that gave no object, in image pixels. */
export interface RejectedPoint {
  readonly point: YX;
  readonly reason: ApgRejection;
}

const LEAST_SEED = 4;

export interface ApgOptions
  extends Omit<AmgOptions, 'onPartial' | 'points' | 'resume'>,
    Pick<InstanceOptions, 'mirror' | 'keepMaps'> {
  readonly seeds?: Partial<SeedThresholds>;
  /**
   * Asks once more with the box around each mask that counts at `thresholds`: outlines are better, for as many more prompts
   * as there are objects. Default: no.
   */
  readonly refine?: boolean;
  readonly thresholds?: Partial<ApgThresholds>;
  /** What an interrupted run with the same options gave to `onPartial` last. */
  readonly resume?: ApgState;
  readonly onPartial?: (state: ApgState) => void;
}

export async function initializeApg(
  context: SegmentContext,
  {
    onPartial,
    onProgress,
    resume,
    refine = false,
    thresholds,
    mirror,
    keepMaps,
    ...options
  }: ApgOptions & TaskOptions = {},
): Promise<ApgState> {
  const { region, first, signal } = options;
  const seeds = { ...SEED_THRESHOLDS, ...options.seeds };
  const none: AmgState = {
    size: context.embeddings.size,
    pointsPerSide: 0,
    grids: 1,
    iouFloor: 0,
    stabilityFloor: 0,
    tiles: [],
  };
  const instances = await initializeInstances(context, {
    region,
    first,
    signal,
    mirror,
    keepMaps,
    onProgress,
    resume: resume?.instances,
    ...(onPartial && { onPartial: (instances: InstanceState) => onPartial({ instances, masks: none, seeds }) }),
  });
  const stateOf = (masks: AmgState): ApgState => ({ instances, masks, seeds });
  const masks = await initializeAmg(context, {
    ...options,
    points: promptPoints(instances, seeds),
    iouFloor: 0,
    stabilityFloor: 0,
    onProgress,
    ...(resume && resume.masks.tiles.length > 0 && { resume: resume.masks }),
    ...(onPartial && { onPartial: (masks: AmgState) => onPartial(stateOf(masks)) }),
  });
  const state = stateOf(masks);
  return refine
    ? { ...state, refined: await refineByBoxes(context, state, thresholds, { signal, onProgress }) }
    : state;
}

/** The boxes of all masks that count, as prompts (`refine_with_box_prompts` of micro-sam 1.8, without the 1 % around them). */
async function refineByBoxes(
  context: SegmentContext,
  state: ApgState,
  thresholds: Partial<ApgThresholds> | undefined,
  task: TaskOptions,
): Promise<ReadonlyMap<Mask, ScoredMask>> {
  const masks = candidatesOf(state, { ...APG_THRESHOLDS, ...thresholds }).map(({ mask }) => mask);
  const refined = new Map<Mask, ScoredMask>();
  const boxes = masks.map(({ box }) => ({ box }));
  for await (const [index, { mask, predictedIou, stability }] of segmentEach(context, boxes, task)) {
    // Another object, or none, is no better outline of this one.
    if (mask.area > 0 && maskIou(mask, masks[index]) >= SAME)
      refined.set(masks[index], { mask, predictedIou, stability });
  }
  return refined;
}

/** Least IoU of a mask and what the decoder makes of its box, for the one to stand for the other. */
const SAME = 0.5;

/** One point inside each seed, unsmoothed and 4-connected, as micro-sam has it. */
export function promptPoints(state: InstanceState, thresholds: SeedThresholds): YX[] {
  const seeds = seedsInBlocks(state.size, (box) => seedMask(pixelMaps(state, box), thresholds), 0, 'faces');
  const spans = new Map<number, number[]>();
  for (const list of seeds.runs)
    for (let i = 0; i < list.length; i += 4) {
      const known = spans.get(list[i + 3]);
      if (known) known.push(list[i], list[i + 1], list[i + 2]);
      else spans.set(list[i + 3], [list[i], list[i + 1], list[i + 2]]);
    }
  return [...spans.values()]
    .map((list) => maskFromSpans(inOrder(list)))
    .filter(({ area }) => area >= LEAST_SEED)
    .map((mask) => innermostPixel(mask));
}

function inOrder(list: readonly number[]): number[] {
  const triples = Array.from({ length: list.length / 3 }, (_, i) => list.slice(3 * i, 3 * i + 3));
  return triples.sort((a, b) => a[0] - b[0] || a[1] - b[1]).flat();
}

/** One mask for each point that has a good one, as it was refined; `rejected` learns of the others. */
function candidatesOf(state: ApgState, { predIouThresh }: ApgThresholds, rejected: RejectedPoint[] = []) {
  const objectAt = objectsOfMaps(state);
  const mapsKnowBetter = areSmall(state);
  return masksByPrompt(state.masks).flatMap(({ point, masks }): Omit<AutomaticObject, 'id'>[] => {
    const good = masks.filter((mask) => mask.predictedIou >= predIouThresh);
    const object = objectAt(point);
    const best = agreeing(good, object);
    if (best) return [{ ...scoredMask(best), point }];
    if (object && mapsKnowBetter) return [{ mask: object, point }];
    rejected.push({ point, reason: good.length === 0 ? 'low score' : 'disagrees with the maps' });
    return [];
  });
}

/** Without the network. Linear in the candidates: each pixel is claimed once, by the mask of the highest score. */
export function generateApg(state: ApgState, given: Partial<ApgThresholds> = {}): ApgResult {
  const thresholds = { ...APG_THRESHOLDS, ...given };
  const { maxOverlap, minObjectSize, maxObjectSize } = thresholds;
  const least = minObjectSize === 'size' ? speckSize(state.instances.diameter ?? 0) : minObjectSize;
  const [height, width] = state.masks.size;
  const claimed = new Uint8Array(height * width);
  const objects: AutomaticObject[] = [];
  const rejected: RejectedPoint[] = [];
  if (state.masks.tiles.length === 0) return { objects, rejected };
  const candidates = candidatesOf(state, thresholds, rejected).map((candidate) => ({
    ...candidate,
    ...state.refined?.get(candidate.mask),
  }));
  const score = ({ predictedIou = 0, stability = 0 }: Partial<ScoredMask>) => predictedIou * stability;
  candidates.sort((a, b) => score(b) - score(a));
  for (const { mask, point, predictedIou, stability } of candidates) {
    const reject = (reason: ApgRejection) => rejected.push({ point, reason });
    if (mask.area < least || mask.area > maxObjectSize) reject('size');
    else {
      const free = unclaimed(mask, claimed, width);
      if (mask.area - free.area > maxOverlap * mask.area) reject('duplicate');
      else if (free.area < least) reject('truncated');
      else {
        claim(free, claimed, width);
        const scores = predictedIou !== undefined && stability !== undefined && { predictedIou, stability };
        objects.push({ id: objects.length + 1, mask: free, point, ...scores });
      }
    }
  }
  return { objects, rejected };
}

/**
 * Objects are smaller than the mask decoder outlines well in what it sees. Maps see them enlarged, so where no good mask
 * comes of a point, the object of the maps there is the better one.
 */
function areSmall({ instances: { diameter }, masks: { tiles } }: ApgState): boolean {
  const side = Math.max(...tiles.map(({ frame: [top, left, bottom, right] }) => Math.max(bottom - top, right - left)));
  return diameter !== undefined && (diameter * SIDE) / side < SMALL;
}

/** Least IoU of a mask and the object of the maps that both are to be of. */
const AGREEMENT = 0.3;

type PromptedMask = ReturnType<typeof masksByPrompt>[number]['masks'][number];

/** The mask that agrees best with an object; without one, that of the highest score. */
function agreeing(masks: readonly PromptedMask[], object: Mask | undefined): PromptedMask | undefined {
  if (!object)
    return masks.reduce<PromptedMask | undefined>((a, b) => (a && a.predictedIou >= b.predictedIou ? a : b), undefined);
  let best: PromptedMask | undefined;
  let most = AGREEMENT;
  for (const candidate of masks) {
    // The box says cheaply that a mask shows the background; it comes from a coarse grid.
    if (boxIou(candidate.box, object.box) < AGREEMENT / 2) continue;
    const iou = maskIou(candidate.mask, object);
    if (iou < most) continue;
    most = iou;
    best = candidate;
  }
  return best;
}

const found = new WeakMap<InstanceState, (at: YX) => Mask | undefined>();

/** What the maps show at a pixel. */
function objectsOfMaps({ instances, seeds }: ApgState): (at: YX) => Mask | undefined {
  const known = found.get(instances);
  if (known) return known;
  const objects = generateInstances(instances, { ...seeds, minObjectSize: 0 });
  const { data } = labelsOf(objects, instances.size);
  const lookup = ([y, x]: YX) => objects[data[Math.floor(y) * instances.size[1] + Math.floor(x)] - 1]?.mask;
  found.set(instances, lookup);
  return lookup;
}

function unclaimed(mask: Mask, claimed: Uint8Array, width: number): Mask {
  const spans = maskSpans(mask);
  const free: number[] = [];
  for (let i = 0; i < spans.length; i += 3) {
    const row = spans[i] * width;
    for (let x = spans[i + 1]; x < spans[i + 2]; ) {
      if (claimed[row + x]) {
        x++;
        continue;
      }
      const start = x;
      while (x < spans[i + 2] && !claimed[row + x]) x++;
      free.push(spans[i], start, x);
    }
  }
  return maskFromSpans(free);
}

function claim(mask: Mask, claimed: Uint8Array, width: number): void {
  const spans = maskSpans(mask);
  for (let i = 0; i < spans.length; i += 3)
    claimed.fill(1, spans[i] * width + spans[i + 1], spans[i] * width + spans[i + 2]);
}
