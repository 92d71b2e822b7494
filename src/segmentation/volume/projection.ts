import { SamError } from '../../errors.js';
import { keysOf } from '../../items.js';
import type { Mask } from '../../ndimage/mask.js';
import type { TaskOptions } from '../../task.js';
import type { ScoredMask } from '../scored-mask.js';

/**
 * How the mask of one slice becomes the prompt of the next. Names and meaning as in micro-sam 1.8 (`_validate_projection`); note that
 * 'mask' includes the box. 'soft_mask' is ours: the mask with a soft edge, its tight box, and a few points.
 */
export const PROJECTIONS = {
  box: { useBox: true, useMask: false, usePoints: false, singlePoint: false },
  mask: { useBox: true, useMask: true, usePoints: false, singlePoint: false },
  points: { useBox: false, useMask: false, usePoints: true, singlePoint: false },
  points_and_mask: { useBox: false, useMask: true, usePoints: true, singlePoint: false },
  single_point: { useBox: false, useMask: false, usePoints: true, singlePoint: true },
  soft_mask: { useBox: true, useMask: true, usePoints: true, singlePoint: false, softMask: true },
} as const;

export type ProjectionName = keyof typeof PROJECTIONS;

export interface Projection {
  readonly useBox: boolean;
  readonly useMask: boolean;
  readonly usePoints: boolean;
  readonly singlePoint: boolean;
  /** The edge of the mask is a guess, and its box is not extended: how far the object may grow is in the mask. */
  readonly softMask?: boolean;
}

export interface ResolvedProjection extends Projection {
  /** Growth of the projected box: pixels if >= 1, else a fraction of its sides. */
  readonly boxExtension: number;
}

/** Segments `plane` from the mask of a neighbouring slice. */
export type SliceSegmenter = (
  plane: number,
  from: Mask,
  options: ResolvedProjection,
  task: TaskOptions,
) => Promise<SegmentedSlice>;

/** The mask is empty where nothing was found. */
export interface SegmentedSlice extends Pick<ScoredMask, 'mask' | 'predictedIou'> {
  /** Of each channel, how the object stands out from its surroundings (contrast.ts); absent where no pixels are known. */
  readonly contrast?: readonly number[];
}

export const PROJECTION_NAMES = keysOf(PROJECTIONS);

/** @throws SamError invalid_argument for a name that is none of PROJECTION_NAMES, or a projection that uses nothing */
export function projectionOf(projection: ProjectionName | Projection): Projection {
  const found = typeof projection === 'string' ? PROJECTIONS[projection] : projection;
  if (!found) {
    throw new SamError(
      'invalid_argument',
      `Projection is '${projection}'; choose one of ${PROJECTION_NAMES.join(', ')}.`,
    );
  }
  if (!found.useBox && !found.useMask && !found.usePoints) {
    throw new SamError('invalid_argument', 'A projection needs at least one of box, mask and points.');
  }
  return found;
}
