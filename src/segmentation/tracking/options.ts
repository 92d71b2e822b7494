import type { Projection, ProjectionName } from '../volume/projection.js';

/** How an object is followed through time (track.ts). */
export interface TrackOptions {
  readonly projection: ProjectionName | Projection;
  /** Smaller overlap of the moved mask with the next one ends the track (not before the last annotated frame). */
  readonly iouThreshold: number;
  readonly boxExtension: number;
  readonly motionSmoothing: number;
  readonly direction: 'forward' | 'backward' | 'both';
  /** A projection with a mask: the object is lost where the predicted IoU falls by so much; by 0.1 if absent. */
  readonly scoreDrop?: number;
}

/** micro-sam's start values, but for the projection, which was `mask` in its earlier versions: cells move (see docs). */
export const TRACK_OPTIONS: TrackOptions = {
  projection: 'mask',
  iouThreshold: 0.5,
  boxExtension: 0.05,
  motionSmoothing: 0.5,
  direction: 'forward',
};
