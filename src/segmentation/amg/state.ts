import type { Size, YX, YXYX } from '../../ndimage/array.js';
import type { BandLogits } from './band-logits.js';

/**
 * Everything automatic mask generation needs to answer any thresholds without the network: one record per mask that
 * reached the floors, a few kB each. Source: `AMGBase.get_state` of micro-sam 1.8.
 */
export interface AmgState {
  /** [H, W] of the image. */
  readonly size: Size;
  readonly pointsPerSide: number;
  /** Grids that were run: 1, and one more each time it was deepened. */
  readonly grids: number;
  /** In pixels, if it was stated: masks of another size are left out. */
  readonly objectDiameter?: number;
  /** Candidates below these were not kept (of the last grid); lower thresholds need another run. */
  readonly iouFloor: number;
  readonly stabilityFloor: number;
  readonly tiles: readonly AmgTile[];
}

/** One encoder frame: the whole image, or a tile with its halo. */
export interface AmgTile {
  /** Index among the tiles of the image; undefined for an untiled image. */
  readonly tile?: number;
  /** The frame in image pixels. */
  readonly frame: YXYX;
  /** The part of the frame that no other tile is responsible for (equal to `frame` when untiled). */
  readonly inner: YXYX;
  /** [h, w] of the resized frame inside the model's square. */
  readonly inputSize: Size;
  readonly candidates: readonly AmgCandidate[];
  /** Prompts that were run, in frame pixels, and the best score of each. */
  readonly points: readonly YX[];
  readonly bestIou: Float32Array;
}

export interface AmgCandidate {
  /** Index into the tile's `points`. */
  readonly prompt: number;
  /** SAM mask token, 1..3. */
  readonly token: number;
  readonly predictedIou: number;
  /** If the size was stated: as for large objects (`comparableStability`). */
  readonly stability: number;
  /** Bounding box in frame pixels, from the 256 grid. */
  readonly box: YXYX;
  readonly logits: BandLogits;
}

/** Defaults of micro-sam 1.8. */
export interface AmgThresholds {
  readonly predIouThresh: number;
  readonly stabilityScoreThresh: number;
  readonly boxNmsThresh: number;
  /** Objects with fewer pixels are dropped; 0 keeps all. */
  readonly minObjectSize: number;
  /** Objects with more pixels are dropped. */
  readonly maxObjectSize: number;
  /**
   * Smaller masks are painted over larger ones. Pieces of a mask that remain visible are dropped if they are less than
   * this share of it: slivers along the edges of what was painted over it. 0 keeps all, as micro-sam does.
   */
  readonly minVisibleShare: number;
  /** Drop the largest component if it is larger than the remaining background: a mask that covers the background. */
  readonly withBackground: boolean;
}

export const AMG_THRESHOLDS: AmgThresholds = {
  predIouThresh: 0.88,
  stabilityScoreThresh: 0.95,
  boxNmsThresh: 0.7,
  minObjectSize: 0,
  maxObjectSize: Number.POSITIVE_INFINITY,
  minVisibleShare: 0.25,
  withBackground: true,
};

/** How it is run (initialize.ts). */
export const AMG_OPTIONS = {
  pointsPerBatch: 64,
  requests: 2,
  /** The lowest values that micro-sam's `default_grid_search_values_amg` looks at. */
  iouFloor: 0.6,
  stabilityFloor: 0.6,
} as const;
