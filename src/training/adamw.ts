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
      const w = this.weights.get(name) as Float32Array;
      const m = this.first.get(name) as Float32Array;
      const v = this.second.get(name) as Float32Array;
      const lr = typeof rate === 'number' ? rate : rate(name);
      const kept = 1 - lr * this.weightDecay;
      for (let i = 0; i < w.length; i++) {
        const g = gradient[i];
        m[i] += (1 - BETA1) * (g - m[i]);
        v[i] = BETA2 * v[i] + (1 - BETA2) * g * g;
        w[i] = w[i] * kept - ((lr / correction1) * m[i]) / (Math.sqrt(v[i]) / correction2 + this.epsilon);
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
  for (const gradient of gradients.values()) for (const value of gradient) squares += value * value;
  const norm = Math.sqrt(squares);
  const scale = most / (norm + 1e-6);
  if (scale < 1)
    for (const gradient of gradients.values()) for (let i = 0; i < gradient.length; i++) gradient[i] *= scale;
  return norm;
}
