import type { Mask } from '../../ndimage/mask.js';
import { maskIou, unionMasks } from '../../ndimage/mask-sets.js';
import type { TaskOptions } from '../../task.js';
import { type Projection, type ProjectionName, projectionOf } from './projection.js';

/**
 * One object through a volume: from the slices a person has annotated outwards until the object is lost, and inwards
 * between them until both fronts meet. Source: `segment_mask_in_volume` of micro-sam (spec 7.2), with the single-point
 * flag honoured everywhere (spec 16, Q12).
 *
 * The stretches below, between and above the annotated slices do not depend on each other. `ProjectionCache` keeps
 * them, so that a correction in one slice recomputes only the stretches that touch it.
 */
export interface ProjectOptions {
  readonly projection: ProjectionName | Projection;
  /** A slice whose mask overlaps its neighbour's less than this ends the object (not between annotated slices). */
  readonly iouThreshold: number;
  /** Growth of the projected box: pixels if >= 1, else a fraction of its sides (micro-sam spec 2.8). */
  readonly boxExtension: number;
}

/** micro-sam's start values (spec 9.2). */
export const PROJECT_OPTIONS: ProjectOptions = { projection: 'single_point', iouThreshold: 0.5, boxExtension: 0.05 };

export interface AnnotatedSlices {
  /** Plane → mask, at least one that is not empty. A stop marker is a slice with an empty mask. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** The object does not go below its lowest (above its highest) annotated slice. */
  readonly stopLower: boolean;
  readonly stopUpper: boolean;
}

/** Segments `plane` from the mask of a neighbouring slice; an empty mask means nothing was found. */
export type SliceSegmenter = (
  plane: number,
  from: Mask,
  options: ResolvedProjection,
  task: TaskOptions,
) => Promise<Mask>;

export interface ResolvedProjection extends Projection {
  readonly boxExtension: number;
}

export interface ProjectedObject {
  readonly masks: ReadonlyMap<number, Mask>;
  /** Lowest and highest plane that holds the object, both inclusive. */
  readonly range: readonly [number, number];
}

type Stretch = ReadonlyMap<number, Mask>;

/** Remembers stretches between calls; forget it when image, model or embeddings change. */
export class ProjectionCache {
  private readonly stretches = new Map<string, Stretch>();
  private readonly identities = new WeakMap<Mask, number>();
  private count = 0;

  private identity(mask: Mask): number {
    const known = this.identities.get(mask);
    if (known !== undefined) return known;
    this.identities.set(mask, ++this.count);
    return this.count;
  }

  async stretch(key: readonly (string | number | boolean | Mask)[], compute: () => Promise<Stretch>): Promise<Stretch> {
    const name = key.map((part) => (typeof part === 'object' ? `#${this.identity(part)}` : String(part))).join('|');
    const known = this.stretches.get(name);
    if (known) return known;
    const computed = await compute();
    this.stretches.set(name, computed);
    return computed;
  }
}

export interface ProjectTask extends TaskOptions {
  readonly cache?: ProjectionCache;
  /** Called with each slice as it is found. */
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
  const cache = task.cache ?? new ProjectionCache();
  const settings = [JSON.stringify(projection), options.iouThreshold] as const;
  const masks = new Map(annotated.masks);
  let segmented = planes.length;

  const step: SliceSegmenter = async (plane, from, how, inner) => {
    task.signal?.throwIfAborted();
    const mask = await segment(plane, from, how, inner);
    task.onProgress?.({ done: ++segmented, total: depth, message: `Segmented slice ${plane + 1} of ${depth}` });
    return mask;
  };
  const add = (stretch: Stretch) => {
    for (const [plane, mask] of stretch) masks.set(plane, mask);
  };
  const run = { step, projection, iouThreshold: options.iouThreshold, task };

  if (lowest > 0 && !annotated.stopLower) {
    add(
      await cache.stretch(['below', lowest, maskAt(lowest), ...settings], () =>
        outward(run, lowest, maskAt(lowest), -1, depth),
      ),
    );
  }
  for (let i = 1; i < planes.length; i++) {
    const [a, b] = [planes[i - 1], planes[i]];
    if (b - a === 1) continue;
    const fromAbove = a === lowest && annotated.stopLower;
    const fromBelow = b === highest && annotated.stopUpper;
    const key = ['gap', a, maskAt(a), b, maskAt(b), fromAbove, fromBelow, ...settings];
    add(await cache.stretch(key, () => fillGap(run, a, maskAt(a), b, maskAt(b), fromAbove, fromBelow)));
  }
  if (highest < depth - 1 && !annotated.stopUpper) {
    add(
      await cache.stretch(['above', highest, maskAt(highest), ...settings], () =>
        outward(run, highest, maskAt(highest), 1, depth),
      ),
    );
  }
  const found = [...masks].filter(([, mask]) => mask.area > 0).sort(([a], [b]) => a - b);
  return { masks: new Map(found), range: [found[0][0], found[found.length - 1][0]] };
}

interface Run {
  readonly step: SliceSegmenter;
  readonly projection: ResolvedProjection;
  readonly iouThreshold: number;
  readonly task: ProjectTask;
}

/** From an annotated slice to the end of the volume, or until two neighbouring masks overlap too little. */
async function outward(run: Run, start: number, mask: Mask, direction: 1 | -1, depth: number): Promise<Stretch> {
  const found = new Map<number, Mask>();
  let previous = mask;
  for (let plane = start + direction; plane >= 0 && plane < depth; plane += direction) {
    const next = await run.step(plane, previous, run.projection, run.task);
    if (next.area === 0 || maskIou(previous, next) < run.iouThreshold) break;
    found.set(plane, next);
    run.task.onSlice?.(plane, next);
    previous = next;
  }
  return found;
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
): Promise<Stretch> {
  const found = new Map<number, Mask>();
  const walk = async (from: number, mask: Mask, until: number, direction: 1 | -1) => {
    let previous = mask;
    for (let plane = from + direction; plane !== until; plane += direction) {
      const next = await run.step(plane, previous, run.projection, run.task);
      found.set(plane, next);
      run.task.onSlice?.(plane, next);
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
    if (even) {
      const mask = await run.step(middle, unionMasks(up, down), run.projection, run.task);
      found.set(middle, mask);
      run.task.onSlice?.(middle, mask);
    }
  }
  return found;
}
