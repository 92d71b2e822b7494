import type { Tensor } from '../../ndimage/array.js';
import { gaussianFilter } from '../../ndimage/gaussian.js';

/**
 * Maps of an instance decoder → objects: `generate` of `InstanceSegmentationWithDecoder` (micro_sam/instance_segmentation.py,
 * 1.8) with torch-em's `watershed_from_center_and_boundary_distances`, step by step. Every map is smoothed; seeds are where
 * the pixel is near a centre, far from boundaries and foreground; a watershed on the boundary distance grows them over the
 * foreground.
 */

/** All [H, W] float32, in the pixels that are to be labelled (`InstanceMaps` says what they hold). */
export interface PixelMaps {
  readonly foreground: Tensor<Float32Array>;
  readonly centre: Tensor<Float32Array>;
  readonly boundary: Tensor<Float32Array>;
}

/** In pixels; 0 smooths nothing. */
export interface Smoothing {
  readonly foreground: number;
  readonly distance: number;
}

/** micro-sam's, whatever the size of the objects. */
export const MICRO_SAM_SMOOTHING: Smoothing = { foreground: 1, distance: 1.6 };

/** 0..1; the defaults are micro-sam's. */
export interface SeedThresholds {
  /** A seed is nearer to the centre of its object than this. */
  readonly centre: number;
  /** And farther from the boundary: less than this, as the map is inverted. */
  readonly boundary: number;
  /** Objects are where the foreground is above this. */
  readonly foreground: number;
}

export const SEED_THRESHOLDS: SeedThresholds = { centre: 0.5, boundary: 0.5, foreground: 0.5 };

export function smoothMaps<M extends PixelMaps>({ foreground, centre, boundary, ...rest }: M, smoothing: Smoothing) {
  const smooth = (map: Tensor<Float32Array>, sigma: number) => (sigma > 0 ? gaussianFilter(map, sigma) : map);
  return {
    ...rest,
    foreground: smooth(foreground, smoothing.foreground),
    centre: smooth(centre, smoothing.distance),
    boundary: smooth(boundary, smoothing.distance),
  };
}

/** @param maps smoothed already */
export function seedMask(maps: PixelMaps, thresholds: SeedThresholds): Tensor<Uint8Array> {
  const { foreground, centre, boundary } = maps;
  const data = new Uint8Array(foreground.data.length);
  for (let p = 0; p < data.length; p++)
    data[p] =
      foreground.data[p] > thresholds.foreground &&
      centre.data[p] < thresholds.centre &&
      boundary.data[p] < thresholds.boundary
        ? 1
        : 0;
  return { data, shape: foreground.shape };
}

export function foregroundMask({ foreground }: PixelMaps, threshold: number): Tensor<Uint8Array> {
  const data = new Uint8Array(foreground.data.length);
  for (let p = 0; p < data.length; p++) data[p] = foreground.data[p] > threshold ? 1 : 0;
  return { data, shape: foreground.shape };
}

/**
 * Smoothing that suits objects of a size: what evens out the noise inside a large object erases a small one. With the true
 * maps of 125 nuclei of 13 px, micro-sam's 1.6 px give a mean segmentation accuracy of 0.72, and 0.5 px 0.96.
 *
 * @param diameter median, in pixels
 */
export function smoothingFor(diameter: number): Smoothing {
  const distance = Math.min(2, Math.max(0.4, 0.06 * diameter));
  return { foreground: Math.min(1, distance), distance };
}

/** Objects of fewer pixels are specks beside objects of this diameter. */
export function speckSize(diameter: number): number {
  return Math.min(25, Math.max(5, Math.round(0.08 * diameter * diameter)));
}
