import { SamError } from '../../errors.js';
import type { Mask } from '../../ndimage/mask.js';
import { EMPTY_MASK } from '../../ndimage/rle.js';
import type { TaskOptions } from '../../task.js';
import type { Prompt } from '../prompts.js';
import type { AnnotatedSlices } from './project.js';

/**
 * Prompts in several planes → the masks that projection and tracking start from. A plane whose only point is negative
 * says that the object is not there: at the ends it stops the object, in between it is left to projection. Source:
 * `segment_slices_with_prompts` of micro-sam 1.8.
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
  let stopLower = false;
  let stopUpper = false;
  for (const [i, plane] of planes.entries()) {
    task.signal?.throwIfAborted();
    const own = byPlane.get(plane) ?? [];
    if (isStopMarker(own)) {
      const first = i === 0;
      const last = i === planes.length - 1;
      if (first) stopLower = true;
      if (last) stopUpper = true;
      if (first || last) masks.set(plane, EMPTY_MASK);
      continue;
    }
    const given = known.get(plane);
    if (given) {
      masks.set(plane, given);
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
  if ([...masks.values()].every((mask) => mask.area === 0)) {
    throw new SamError(
      'no_prompts',
      ['Mark the object in at least one plane: click it or draw a box around it.', ...notices].join(' '),
    );
  }
  return { masks, stopLower, stopUpper, notices };
}

/** A single negative point: "the object is not in this plane". Boxes beside it are ignored, as in micro-sam. */
export function isStopMarker(prompts: readonly Prompt[]): boolean {
  const points = prompts.filter((prompt) => prompt.kind === 'point');
  return points.length === 1 && !points[0].positive;
}
