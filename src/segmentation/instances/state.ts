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
  /** [3 or 5, h, w] in half precision (`InstanceMaps`). */
  readonly maps: Tensor<Uint16Array>;
}

export interface InstanceSettings extends SeedThresholds {
  /** 'size': as suits the objects' size; 'micro-sam': 1.6 pixels always; or as given. */
  readonly smoothing: 'size' | 'micro-sam' | Smoothing;
  /** Objects of fewer pixels are dropped; 'size': specks beside the usual objects. */
  readonly minObjectSize: number | 'size';
  readonly maxObjectSize: number;
}

export const INSTANCE_SETTINGS: InstanceSettings = {
  ...SEED_THRESHOLDS,
  smoothing: 'size',
  minObjectSize: 'size',
  maxObjectSize: Number.POSITIVE_INFINITY,
};

/** As micro-sam has it: the same labels from the same maps. */
export const MICRO_SAM_SETTINGS: InstanceSettings = { ...INSTANCE_SETTINGS, smoothing: 'micro-sam', minObjectSize: 0 };

/** Smoothing while nobody knows how large objects are. */
export const FIRST_SMOOTHING = MICRO_SAM_SMOOTHING;
