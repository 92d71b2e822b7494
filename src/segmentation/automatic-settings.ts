import type { InstanceRule } from './instances/state.js';

/** The ways of automatic segmentation (automatic.ts), and what of their findings counts. */
export const AUTOMATIC_MODES = ['ais', 'apg', 'amg'] as const;
export type AutomaticMode = (typeof AUTOMATIC_MODES)[number];

/** Names are of all modes; each takes what concerns it. What is absent has the mode's own default. */
export interface AutomaticThresholds {
  /** ais: how maps become objects; default: as suits the decoder and the size of the objects. */
  readonly rule?: InstanceRule;
  /** ais, apg: a seed of an object is nearer to its centre than this; 0..1. */
  readonly centerDistanceThreshold?: number;
  /** ais, apg: and farther from its boundary (the map is 0 in the middle of an object and 1 at its edge); 0..1. */
  readonly boundaryDistanceThreshold?: number;
  /** ais, apg: objects are where the foreground is above this; 0..1. */
  readonly foregroundThreshold?: number;
  /** ais: smoothing of the distances in pixels; default: by the size of the objects. */
  readonly distanceSmoothing?: number;
  /** ais: smoothing of the foreground in pixels; default: by the size of the objects. */
  readonly foregroundSmoothing?: number;
  /** apg, amg. */
  readonly predIouThresh?: number;
  /** amg. */
  readonly stabilityScoreThresh?: number;
  readonly boxNmsThresh?: number;
  /** apg: of an object, how much a better one may cover before it counts as the same; 0..1. */
  readonly maxOverlap?: number;
  /** In pixels. */
  readonly minObjectSize?: number;
  readonly maxObjectSize?: number;
  /** amg: what remains visible of a mask below smaller ones is dropped if it is less than this share of it; 0..1. */
  readonly minVisibleShare?: number;
}

/** Those that are numbers. */
export type ThresholdName = Exclude<keyof AutomaticThresholds, 'rule'>;

/** Of apg (apg.ts). */
export interface ApgThresholds {
  readonly predIouThresh: number;
  /** Of a mask, how much may be claimed by masks of higher score. */
  readonly maxOverlap: number;
  /** 'size': specks beside the usual objects. */
  readonly minObjectSize: number | 'size';
  readonly maxObjectSize: number;
}

export const APG_THRESHOLDS: ApgThresholds = {
  predIouThresh: 0.6,
  maxOverlap: 0.15,
  minObjectSize: 'size',
  maxObjectSize: Number.POSITIVE_INFINITY,
};
