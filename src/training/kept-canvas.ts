import type { LabelImage } from '../ndimage/array.js';
import { fromHalf } from '../ndimage/half.js';
import { relabelSequential } from '../ndimage/label.js';
import { resizeNearest } from '../ndimage/resize.js';
import type { Canvas } from './canvas.js';

/** A canvas as it is kept for training with prompts: features of the encoder in half precision, then its objects. */
export interface KeptCanvas {
  readonly features: Float32Array;
  /** As `maskGrid` gives them. */
  readonly labels: LabelImage;
}

export const MASK_SIDE = 256;
const GRID = [MASK_SIDE, MASK_SIDE] as const;

/** The objects of a canvas on the grid of the mask decoder, [256, 256], numbered from 1. */
export function maskGrid({ labels }: Pick<Canvas, 'labels'>): LabelImage {
  return relabelSequential(resizeNearest(labels, GRID)).labels;
}

/** @param features bits of half floats */
export function canvasBytes(features: Uint16Array, canvas: Canvas): Uint8Array {
  const all = new Uint16Array(features.length + MASK_SIDE ** 2);
  all.set(features);
  all.set(maskGrid(canvas).data, features.length);
  return new Uint8Array(all.buffer);
}

/** @param length of the features @returns undefined for what is not there or not whole */
export function keptCanvas(bytes: Uint8Array | undefined, length: number): KeptCanvas | undefined {
  if (bytes?.length !== 2 * (length + MASK_SIDE ** 2)) return undefined;
  const all = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return {
    features: fromHalf(all.subarray(0, length)),
    labels: { data: Uint32Array.from(all.subarray(length)), shape: GRID },
  };
}
