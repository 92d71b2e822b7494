import { entryOf } from '../../items.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskIou, unionMasks } from '../../ndimage/mask-sets.js';
import type { TaskOptions } from '../../task.js';
import { PROJECT_OPTIONS, type ProjectOptions } from './options.js';
import { ALWAYS_THERE, FAINT_PLANES, largestOf, type PresenceTest, presenceTest } from './presence.js';
import { projectionOf, type ResolvedProjection, type SegmentedSlice, type SliceSegmenter } from './projection.js';

/**
 * One object through a volume: from the slices a person has marked outwards until the object is lost or a stop marker is
 * reached, and inwards between them. Source: `segment_mask_in_volume` of micro-sam 1.8, with the single-point flag
 * honoured everywhere. Unlike there, a slice before a stop marker is the object's only if the object is found in it;
 * with a soft mask, gaps are filled by area (`fillByArea`), and the end is judged by the largest marked slice.
 *
 * The stretches below, between and above the annotated slices do not depend on each other: two of them are followed at
 * once, so that one prepares a prompt or waits for an embedding while the model works on the other. So a correction in
 * one slice changes only the stretches that touch it; with a `rememberingSegmenter` the others cost nothing.
 */
export interface AnnotatedSlices {
  /** Plane → mask, at least one that is not empty. A stop marker is a slice with an empty mask. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** The object does not go below its lowest (above its highest) annotated slice. */
  readonly stopLower: boolean;
  readonly stopUpper: boolean;
  /** Lowest and highest plane that may hold the object, where that is known. */
  readonly within?: { readonly lowest?: number; readonly highest?: number };
}

interface ProjectedObject {
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
  const maskAt = (plane: number) => entryOf(annotated.masks, plane);
  const marked = planes.filter((plane) => maskAt(plane).area > 0);
  const [lowest, highest] = [marked[0], marked[marked.length - 1]];
  const bounds = boundsOf(annotated, planes, marked, depth);
  const masks = new Map(marked.map((plane) => [plane, maskAt(plane)]));
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
  let test: Promise<PresenceTest> | undefined;
  const presence = () => {
    const isJudged = projection.softMask || (projection.useMask && options.scoreDrop !== undefined);
    if (!isJudged) return Promise.resolve(ALWAYS_THERE);
    test ??= presenceTest(segment, ...largestOf(annotated.masks), projection, { signal }, options.scoreDrop);
    return test;
  };
  const run: Run = { step, found, presence, iouThreshold: options.iouThreshold };

  const stretches: (() => Promise<void>)[] = [];
  if (lowest > bounds[0]) stretches.push(() => outward(run, lowest, maskAt(lowest), -1, bounds[0] - 1));
  if (highest < bounds[1]) stretches.push(() => outward(run, highest, maskAt(highest), 1, bounds[1] + 1));
  const fill = projection.softMask ? fillByArea : fillGap;
  for (let i = 1; i < marked.length; i++) {
    const [a, b] = [marked[i - 1], marked[i]];
    if (b - a > 1) stretches.push(() => fill(run, a, maskAt(a), b, maskAt(b)));
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
  readonly presence: () => Promise<PresenceTest>;
  readonly iouThreshold: number;
}

/** Lowest and highest plane that may hold the object: up to the nearest stop markers. */
function boundsOf(
  { masks, stopLower, stopUpper, within = {} }: AnnotatedSlices,
  planes: readonly number[],
  marked: readonly number[],
  depth: number,
): readonly [number, number] {
  const [lowest, highest] = [marked[0], marked[marked.length - 1]];
  const empty = planes.filter((plane) => masks.get(plane)?.area === 0);
  const below = empty.filter((plane) => plane < lowest).pop();
  const above = empty.find((plane) => plane > highest);
  const [from, to] = [
    below !== undefined ? below + 1 : stopLower ? lowest : 0,
    above !== undefined ? above - 1 : stopUpper ? highest : depth - 1,
  ];
  return [Math.max(from, within.lowest ?? 0), Math.min(to, within.highest ?? depth - 1)];
}

/** From a marked slice to `end`, or until two neighbouring masks overlap too little or the object is gone. */
async function outward(run: Run, start: number, mask: Mask, direction: 1 | -1, end: number): Promise<void> {
  const presenceOf = await run.presence();
  let previous = mask;
  let undecided: [number, Mask][] = [];
  for (let plane = start + direction; plane !== end; plane += direction) {
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

/** From one marked slice to the one before `until`; found masks by plane. An object lost on the way is looked for again. */
async function walk(run: Run, from: number, mask: Mask, until: number): Promise<Map<number, Mask>> {
  const found = new Map<number, Mask>();
  let previous = mask;
  for (let plane = from + Math.sign(until - from); plane !== until; plane += Math.sign(until - from)) {
    const { mask: next } = await run.step(plane, previous);
    found.set(plane, next);
    if (next.area > 0) previous = next;
  }
  return found;
}

/** Between two marked slices, as micro-sam: both fronts advance to the middle; an odd number of slices leaves one for their union. */
async function fillGap(run: Run, a: number, maskA: Mask, b: number, maskB: Mask): Promise<void> {
  const even = (b - a) % 2 === 0;
  const middle = Math.floor((a + b) / 2);
  const up = await walk(run, a, maskA, even ? middle : middle + 1);
  const down = await walk(run, b, maskB, middle);
  for (const [plane, mask] of [...up, ...down]) run.found(plane, mask);
  const last = (front: ReadonlyMap<number, Mask>, mask: Mask) =>
    [...front.values()].findLast(({ area }) => area > 0) ?? mask;
  if (even) run.found(middle, (await run.step(middle, unionMasks(last(up, maskA), last(down, maskB)))).mask);
}

/**
 * Between two marked slices of different size the front of either is wrong near the other: both go all the way, and of
 * each slice that mask is taken whose area is nearer to what is expected there: the sections of an ellipsoid whose middle
 * is the larger of the marked ones. (A straight line between the areas gives up most of the object where a slice near its
 * end was corrected.)
 */
async function fillByArea(run: Run, a: number, maskA: Mask, b: number, maskB: Mask): Promise<void> {
  const up = await walk(run, a, maskA, b);
  const down = await walk(run, b, maskB, a);
  for (let plane = a + 1; plane < b; plane++) {
    const [larger, smaller] = maskA.area >= maskB.area ? [a, b] : [b, a];
    const [most, least] = [Math.max(maskA.area, maskB.area), Math.min(maskA.area, maskB.area)];
    const expected = most - (most - least) * ((plane - larger) / (smaller - larger)) ** 2;
    const away = ({ area }: Mask) => Math.abs(Math.log((area + 1) / expected));
    const [fromA, fromB] = [entryOf(up, plane), entryOf(down, plane)];
    run.found(plane, away(fromA) <= away(fromB) ? fromA : fromB);
  }
}
