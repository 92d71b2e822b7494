import { entryOf } from '../items.js';
import type { Weights } from './parameters.js';

/**
 * AdamW (Loshchilov and Hutter, 2019) as torch.optim.AdamW: betas 0.9 and 0.999, weight decay apart from the gradient.
 * Weights are changed in place.
 */
export interface AdamWOptions {
  readonly weightDecay?: number;
  readonly epsilon?: number;
}

const BETA1 = 0.9;
const BETA2 = 0.999;

export class AdamW {
  /** Steps taken. */
  steps = 0;
  readonly first: Map<string, Float32Array>;
  readonly second: Map<string, Float32Array>;
  private readonly weightDecay: number;
  private readonly epsilon: number;

  constructor(
    private readonly weights: Weights,
    { weightDecay = 1e-4, epsilon = 1e-8 }: AdamWOptions = {},
  ) {
    const zeros = () => new Map([...weights].map(([name, { length }]) => [name, new Float32Array(length)]));
    this.first = zeros();
    this.second = zeros();
    this.weightDecay = weightDecay;
    this.epsilon = epsilon;
  }

  /** @param rate learning rate, or one for each parameter */
  step(gradients: ReadonlyMap<string, Float32Array>, rate: number | ((parameter: string) => number)): void {
    this.steps++;
    const correction1 = 1 - BETA1 ** this.steps;
    const correction2 = Math.sqrt(1 - BETA2 ** this.steps);
    for (const [name, gradient] of gradients) {
      const w = entryOf(this.weights, name);
      const m = entryOf(this.first, name);
      const v = entryOf(this.second, name);
      const lr = typeof rate === 'number' ? rate : rate(name);
      const kept = 1 - lr * this.weightDecay;
      // Both sides of the fraction times the second correction: a division less for each weight.
      const scale = (lr * correction2) / correction1;
      const epsilon = this.epsilon * correction2;
      for (let i = 0; i < w.length; i++) {
        const g = gradient[i];
        const mean = m[i] + (1 - BETA1) * (g - m[i]);
        const square = BETA2 * v[i] + (1 - BETA2) * g * g;
        m[i] = mean;
        v[i] = square;
        w[i] = w[i] * kept - (scale * mean) / (Math.sqrt(square) + epsilon);
      }
    }
  }
}

/**
 * Scales gradients, in place, so that their common norm is at most `most` (torch.nn.utils.clip_grad_norm_).
 *
 * @returns the norm before
 */
export function clipGradients(gradients: ReadonlyMap<string, Float32Array>, most: number): number {
  let squares = 0;
  for (const gradient of gradients.values()) squares += sumOfSquares(gradient);
  const norm = Math.sqrt(squares);
  const scale = most / (norm + 1e-6);
  if (scale < 1)
    for (const gradient of gradients.values()) for (let i = 0; i < gradient.length; i++) gradient[i] *= scale;
  return norm;
}

/** In four sums, each of which need not wait for the others. */
function sumOfSquares(values: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i] * values[i];
    b += values[i + 1] * values[i + 1];
    c += values[i + 2] * values[i + 2];
    d += values[i + 3] * values[i + 3];
  }
  for (let i = whole; i < values.length; i++) a += values[i] * values[i];
  return a + b + c + d;
}
