import { elementCount } from '../onnx/tensor-info.js';
import type { Random } from './random.js';

/** A tensor that is trained. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Where it starts if it is not given: one number everywhere, or uniform in -u to u. */
  readonly start: { readonly constant: number } | { readonly uniform: number };
}

/** Values of parameters by name. */
export type Weights = ReadonlyMap<string, Float32Array>;

export function startingWeights(parameters: readonly Parameter[], random: Random): Map<string, Float32Array> {
  return new Map(
    parameters.map(({ name, shape, start }) => {
      const draw = () => ('constant' in start ? start.constant : random.uniform(-start.uniform, start.uniform));
      return [name, Float32Array.from({ length: elementCount(shape) }, draw)];
    }),
  );
}

/** Adds gradients, times a factor, to what has come together so far. */
export function addTo(sums: Map<string, Float32Array>, gradients: Weights, factor: number): void {
  for (const [name, gradient] of gradients) {
    const sum = sums.get(name) ?? new Float32Array(gradient.length);
    for (let i = 0; i < sum.length; i++) sum[i] += factor * gradient[i];
    sums.set(name, sum);
  }
}
