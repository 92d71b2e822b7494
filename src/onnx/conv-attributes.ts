import { numberAttribute } from './graph.js';
import type { OnnxNode } from './model.js';
import { intsAttribute } from './tensor-info.js';

/** Attributes of a two-dimensional convolution, with what they are if absent. */
export interface ConvAttributes {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** top, left, bottom, right */
  readonly pads: readonly number[];
  readonly group: number;
}

export function convAttributes(node: OnnxNode): ConvAttributes {
  return {
    strides: intsAttribute(node, 'strides') ?? [1, 1],
    dilations: intsAttribute(node, 'dilations') ?? [1, 1],
    pads: intsAttribute(node, 'pads') ?? [0, 0, 0, 0],
    group: numberAttribute(node, 'group', 1),
  };
}
