import type { Size, Tensor, YXYX } from '../../ndimage/array.js';
import { MICRO_SAM_SMOOTHING, SEED_THRESHOLDS, type SeedThresholds, type Smoothing } from './post-process.js';

/**
 * What automatic segmentation by an instance decoder keeps of the network: its maps, 1.5 MB a tile, from which any
 * thresholds are answered without it.
 */
export interface InstanceState {
  /** [H, W] of the image. */
  readonly size: Size;
  /** In no particular order; together they cover what was run. Where they overlap, their maps are blended. */
  readonly tiles: readonly InstanceTile[];
  /** Median diameter of the objects in pixels, stated or measured; absent if nothing was found to measure. */
  readonly diameter?: number;
}

export interface InstanceTile {
  /** In image pixels. */
  readonly frame: YXYX;
  /** [h, w] of the resized frame in the model's square. */
  readonly inputSize: Size;
  /** Side of a map pixel in the model's square. */
  readonly cell: number;
  /** [3 or 5, h, w] in half precision (`InstanceMaps`); of a large image `data` may be read from a disk, each time anew. */
  readonly maps: Tensor<Uint16Array>;
}

/**
 * How maps become objects. 'watershed': from cores near a centre and far from boundaries, as micro-sam has it. 'flow': from
 * where pixels meet that walk toward the middle of their object (flow.ts); centre and boundary thresholds mean nothing then.
 */
export const INSTANCE_RULES = ['watershed', 'flow'] as const;
export type InstanceRule = (typeof INSTANCE_RULES)[number];

export interface InstanceSettings extends SeedThresholds {
  /** 'size': by how large the objects are, where the decoder gives vectors; else the watershed. */
  readonly rule: InstanceRule | 'size';
  /** 'size': as suits the objects' size; 'micro-sam': 1.6 pixels always; or as given. */
  readonly smoothing: 'size' | 'micro-sam' | Smoothing;
  /** Objects of fewer pixels are dropped; 'size': specks beside the usual objects. */
  readonly minObjectSize: number | 'size';
  readonly maxObjectSize: number;
}

export const INSTANCE_SETTINGS: InstanceSettings = {
  ...SEED_THRESHOLDS,
  rule: 'size',
  smoothing: 'size',
  minObjectSize: 'size',
  maxObjectSize: Number.POSITIVE_INFINITY,
};

/** As micro-sam has it: the same labels from the same maps. */
export const MICRO_SAM_SETTINGS: InstanceSettings = {
  ...INSTANCE_SETTINGS,
  rule: 'watershed',
  smoothing: 'micro-sam',
  minObjectSize: 0,
};

/** Smoothing while nobody knows how large objects are. */
export const FIRST_SMOOTHING = MICRO_SAM_SMOOTHING;
