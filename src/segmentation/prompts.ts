import type { YX, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';

/**
 * What a person gives to say "this object". Coordinates are image pixels, (y, x), and go to the model as they are, as in
 * micro-sam. `plane` is the z slice or time frame (0 for a 2D image). `id` is unique within a session.
 */
export type Prompt = PointPrompt | BoxPrompt | ShapePrompt | MaskPrompt;

interface PromptBase {
  readonly id: string;
  readonly plane: number;
  readonly track?: TrackRef;
}

export interface PointPrompt extends PromptBase {
  readonly kind: 'point';
  readonly at: YX;
  readonly positive: boolean;
}

export interface BoxPrompt extends PromptBase {
  readonly kind: 'box';
  readonly box: YXYX;
}

/** A drawn outline: becomes a mask prompt and its bounding box, as in micro-sam. */
export interface ShapePrompt extends PromptBase {
  readonly kind: 'polygon' | 'ellipse';
  readonly ring: readonly YX[];
}

export interface MaskPrompt extends PromptBase {
  readonly kind: 'mask';
  readonly mask: Mask;
}

export interface TrackRef {
  readonly id: number;
  readonly state: 'track' | 'division';
}
