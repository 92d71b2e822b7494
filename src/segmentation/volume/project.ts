import type { Mask } from '../../ndimage/mask.js';
import { maskIou, unionMasks } from '../../ndimage/mask-sets.js';
import type { TaskOptions } from '../../task.js';
import { ALWAYS_THERE, FAINT_PLANES, type PresenceTest, presenceTest } from './presence.js';
import {
  type Projection,
  type ProjectionName,
  projectionOf,
  type ResolvedProjection,
  type SegmentedSlice,
  type SliceSegmenter,
} from './projection.js';

/**
 * One object through a volume: from the slices a person has annotated outwards until the object is lost, and inwards
 * between them until both fronts meet. Source: `segment_mask_in_volume` of micro-sam 1.8, with the single-point
 * flag honoured everywhere.
 *
 * The stretches below, between and above the annotated slices do not depend on each other: two of them are followed at
 * once, so that one prepares a prompt or waits for an embedding while the model works on the other. So a correction in
 * one slice changes only the stretches that touch it; with a `rememberingSegmenter` the others cost nothing.
 */
export interface ProjectOptions {
  readonly projection: ProjectionName | Projection;
  /** A slice whose mask overlaps its neighbour's less than this ends the object (not between annotated slices). */
  readonly iouThreshold: number;
  /** Growth of the projected box: pixels if >= 1, else a fraction of its sides (`_process_box` of micro-sam 1.8). */
  readonly boxExtension: number;
}

/**
 * micro-sam's start values, but for the projection: its `single_point` gives up small nuclei and neurons after
 * the first slice (docs/volumes-and-tracking.md).
 */
export const PROJECT_OPTIONS: ProjectOptions = { projection: 'soft_mask', iouThreshold: 0.5, boxExtension: 0.05 };

export interface AnnotatedSlices {
  /** Plane → mask, at least one that is not empty. A stop marker is a slice with an empty mask. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** The object does not go below its lowest (above its highest) annotated slice. */
  readonly stopLower: boolean;
  readonly stopUpper: boolean;
}

export interface ProjectedObject {
  readonly masks: ReadonlyMap<number, Mask>;
  /** Lowest and highest plane that holds the object, both inclusive. */
  readonly range: readonly [number, number];
}

export interface ProjectTask extends TaskOptions {
  /** Called with each slice as it is found; those of different stretches come in between each other. */
  readonly onSlice?: (plane: number, mask: Mask) => void;
}

/**
 * @param depth number of planes of the volume
 * @throws SamError cancelled when the signal aborts; nothing is changed then
 */
export async function projectThroughVolume(
  annotated: AnnotatedSlices,
  depth: number,
  segment: SliceSegmenter,
  options: ProjectOptions = PROJECT_OPTIONS,
  task: ProjectTask = {},
): Promise<ProjectedObject> {
  const projection: ResolvedProjection = { ...projectionOf(options.projection), boxExtension: options.boxExtension };
  const planes = [...annotated.masks.keys()].sort((a, b) => a - b);
  const maskAt = (plane: number) => annotated.masks.get(plane) as Mask;
  const lowest = planes[0];
  const highest = planes[planes.length - 1];
  const masks = new Map(annotated.masks);
  let segmented = planes.length;
  const stop = new AbortController();
  const signal = task.signal ? AbortSignal.any([task.signal, stop.signal]) : stop.signal;
  const step = async (plane: number, from: Mask) => {
    signal.throwIfAborted();
    const slice = await segment(plane, from, projection, { signal });
    signal.throwIfAborted();
    task.onProgress?.({ done: ++segmented, total: depth, message: `Segmented slice ${plane + 1} of ${depth}` });
    return slice;
  };
  const found = (plane: number, mask: Mask) => {
    masks.set(plane, mask);
    task.onSlice?.(plane, mask);
  };
  const presenceTests = new Map<number, Promise<PresenceTest>>();
  const presence = async (plane: number) => {
    if (!projection.softMask) return ALWAYS_THERE;
    const known = presenceTests.get(plane) ?? presenceTest(segment, plane, maskAt(plane), projection, { signal });
    presenceTests.set(plane, known);
    return known;
  };
  const run: Run = { step, found, presence, iouThreshold: options.iouThreshold };

  const stretches: (() => Promise<void>)[] = [];
  if (lowest > 0 && !annotated.stopLower) stretches.push(() => outward(run, lowest, maskAt(lowest), -1, depth));
  if (highest < depth - 1 && !annotated.stopUpper)
    stretches.push(() => outward(run, highest, maskAt(highest), 1, depth));
  for (let i = 1; i < planes.length; i++) {
    const [a, b] = [planes[i - 1], planes[i]];
    if (b - a === 1) continue;
    const fromAbove = a === lowest && annotated.stopLower;
    const fromBelow = b === highest && annotated.stopUpper;
    stretches.push(() => fillGap(run, a, maskAt(a), b, maskAt(b), fromAbove, fromBelow));
  }
  await inLanes(stretches, stop);
  const present = [...masks].filter(([, mask]) => mask.area > 0).sort(([a], [b]) => a - b);
  return { masks: new Map(present), range: [present[0][0], present[present.length - 1][0]] };
}

/** Stretches that are followed at once; more would only hold more embeddings in memory. */
const LANES = 2;

/** When one fails, the others stop at their next step; all have ended when this returns or throws. */
async function inLanes(jobs: readonly (() => Promise<void>)[], stop: AbortController): Promise<void> {
  const waiting = jobs.values();
  const lane = async () => {
    for (const job of waiting) {
      try {
        await job();
      } catch (error) {
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  stop.signal.throwIfAborted();
}

interface Run {
  readonly step: (plane: number, from: Mask) => Promise<SegmentedSlice>;
  readonly found: (plane: number, mask: Mask) => void;
  readonly presence: (annotated: number) => Promise<PresenceTest>;
  readonly iouThreshold: number;
}

/** From an annotated slice to the end of the volume, or until two neighbouring masks overlap too little or the object is gone. */
async function outward(run: Run, start: number, mask: Mask, direction: 1 | -1, depth: number): Promise<void> {
  const presenceOf = await run.presence(start);
  let previous = mask;
  let undecided: [number, Mask][] = [];
  for (let plane = start + direction; plane >= 0 && plane < depth; plane += direction) {
    const slice = await run.step(plane, previous);
    const presence = presenceOf(slice);
    if (slice.mask.area === 0 || maskIou(previous, slice.mask) < run.iouThreshold || presence === 'gone') return;
    previous = slice.mask;
    undecided.push([plane, previous]);
    if (presence === 'faint') {
      if (undecided.length === FAINT_PLANES) return;
      continue;
    }
    for (const [at, found] of undecided) run.found(at, found);
    undecided = [];
  }
}

/** Between two annotated slices: both fronts advance to the middle; an odd number of slices leaves one for their union. */
async function fillGap(
  run: Run,
  a: number,
  maskA: Mask,
  b: number,
  maskB: Mask,
  onlyFromAbove: boolean,
  onlyFromBelow: boolean,
): Promise<void> {
  const walk = async (from: number, mask: Mask, until: number, direction: 1 | -1) => {
    let previous = mask;
    for (let plane = from + direction; plane !== until; plane += direction) {
      const { mask: next } = await run.step(plane, previous);
      run.found(plane, next);
      // An object lost inside a gap is looked for again from the last mask that was not empty.
      if (next.area > 0) previous = next;
    }
    return previous;
  };
  if (onlyFromAbove) {
    await walk(b, maskB, a, -1);
  } else if (onlyFromBelow) {
    await walk(a, maskA, b, 1);
  } else {
    const even = (b - a) % 2 === 0;
    const middle = Math.floor((a + b) / 2);
    const up = await walk(a, maskA, even ? middle : middle + 1, 1);
    const down = await walk(b, maskB, middle, -1);
    if (even) run.found(middle, (await run.step(middle, unionMasks(up, down))).mask);
  }
}
