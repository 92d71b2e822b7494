import { SamError } from '../../errors.js';
import type { Mask } from '../../ndimage/mask.js';
import { EMPTY_MASK } from '../../ndimage/rle.js';
import type { TaskOptions } from '../../task.js';
import type { Prompt } from '../prompts.js';
import type { AnnotatedSlices } from './project.js';

/**
 * Prompts in several planes → the masks that projection and tracking start from. A plane that has no points but negative
 * ones says that the object is not there: beyond the marked planes it stops the object, the nearest such plane on each
 * side; between them it is left to projection. Source: micro-sam's annotator 3d, where only the outermost plane stops.
 */
export interface AnnotatedPlanes extends AnnotatedSlices {
  /** What could not be used, in words for the user. */
  readonly notices: readonly string[];
}

/** Segments one object in one plane from its prompts. */
export type PlaneSegmenter = (plane: number, prompts: readonly Prompt[], task: TaskOptions) => Promise<Mask>;

/**
 * @param known masks that planes have already (the visible current object, hand corrections); they are not segmented
 *   again
 * @throws SamError no_prompts if no plane says where the object is
 */
export async function annotatedPlanes(
  prompts: readonly Prompt[],
  segment: PlaneSegmenter,
  known: ReadonlyMap<number, Mask> = new Map(),
  task: TaskOptions = {},
): Promise<AnnotatedPlanes> {
  const byPlane = new Map<number, Prompt[]>();
  for (const prompt of prompts) byPlane.set(prompt.plane, [...(byPlane.get(prompt.plane) ?? []), prompt]);
  const planes = [...new Set([...byPlane.keys(), ...known.keys()])].sort((a, b) => a - b);
  const notices: string[] = [];
  const masks = new Map<number, Mask>();
  const markers: number[] = [];
  for (const plane of planes) {
    task.signal?.throwIfAborted();
    const own = byPlane.get(plane) ?? [];
    const given = known.get(plane);
    if (given) {
      masks.set(plane, given);
      continue;
    }
    if (isStopMarker(own)) {
      markers.push(plane);
      continue;
    }
    const shapes = own.filter((prompt) => prompt.kind !== 'point').length;
    if (shapes > 1) {
      notices.push(`Plane ${plane + 1} has ${shapes} boxes; one object at a time is followed, so they were left out.`);
      continue;
    }
    const mask = await segment(plane, own, task);
    if (mask.area > 0) masks.set(plane, mask);
    else notices.push(`Nothing was found in plane ${plane + 1}.`);
  }
  if (masks.size === 0) {
    throw new SamError(
      'no_prompts',
      ['Mark the object in at least one plane: click it or draw a box around it.', ...notices].join(' '),
    );
  }
  const marked = [...masks.keys()].sort((a, b) => a - b);
  // The tightest on each side holds.
  const below = markers.findLast((plane) => plane < marked[0]);
  const above = markers.find((plane) => plane > marked[marked.length - 1]);
  for (const plane of [below, above]) if (plane !== undefined) masks.set(plane, EMPTY_MASK);
  return {
    masks: new Map([...masks].sort(([a], [b]) => a - b)),
    stopLower: below !== undefined,
    stopUpper: above !== undefined,
    notices,
  };
}

/**
 * Negative points alone: "the object is not in this plane". micro-sam takes a single one only; a second one makes it no
 * less clear. Boxes beside them are ignored, as in micro-sam.
 */
export function isStopMarker(prompts: readonly Prompt[]): boolean {
  const points = prompts.filter((prompt) => prompt.kind === 'point');
  return points.length > 0 && points.every(({ positive }) => !positive);
}
