import type { Projection, ProjectionName } from './projection.js';

/** How objects are followed from slice to slice (project.ts). */
export interface ProjectOptions {
  readonly projection: ProjectionName | Projection;
  /** A slice whose mask overlaps its neighbour's less than this ends the object (not between annotated slices). */
  readonly iouThreshold: number;
  /** Growth of the projected box: pixels if >= 1, else a fraction of its sides (`_process_box` of micro-sam 1.8). */
  readonly boxExtension: number;
  /**
   * An object has ended where the predicted IoU falls by so much below that of its annotated slice. Absent: by 0.1 with
   * 'soft_mask', whatever it is with other projections.
   */
  readonly scoreDrop?: number;
}

/**
 * micro-sam's start values, but for the projection: its `single_point` gives up small nuclei and neurons after
 * the first slice (docs/volumes-and-tracking.md).
 */
export const PROJECT_OPTIONS: ProjectOptions = { projection: 'soft_mask', iouThreshold: 0.5, boxExtension: 0.05 };

/** How slices that were segmented one by one become objects (merge.ts). */
export interface MergeOptions {
  /**
   * Fraction of an object that the object in the next slice must cover for the two to attract each other. micro-sam's
   * edge weights amount to 0.2685, whatever its `beta`.
   */
  readonly minOverlap?: number;
  /** Close gaps of up to this many slices inside an object. 0: none. */
  readonly gapClosing?: number;
  /** Remove objects that extend over fewer slices. 0: none. */
  readonly minExtent?: number;
}

export const MERGE_OPTIONS = { minOverlap: 0.2685, gapClosing: 0, minExtent: 0 } as const;
