/**
 * Seeded random numbers whose whole state is one integer, so that a run that was stopped goes on with the same numbers
 * (mulberry32, public domain).
 */
export class Random {
  /** 32 bits; to be stored, and given to a new `Random` to go on from here. */
  state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** For one step of a training, the same whether the steps before were made in this run or an earlier one. */
  static ofStep(seed: number, step: number): Random {
    return new Random(seed ^ Math.imul(step + 1, 0x9e3779b1));
  }

  /** Uniform in [0, 1), or in [from, to). */
  uniform(from = 0, to = 1): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return from + (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (to - from);
  }

  /** Uniform over the logarithm. */
  logUniform(from: number, to: number): number {
    return Math.exp(this.uniform(Math.log(from), Math.log(to)));
  }

  /** A whole number of 0 to n - 1. */
  below(n: number): number {
    return Math.min(n - 1, Math.floor(this.uniform() * n));
  }

  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** One of `items`, each as likely as its weight says. */
  pickWeighted<T>(items: readonly T[], weights: readonly number[]): T {
    let left = this.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
    const index = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    return items[index < 0 ? items.length - 1 : index];
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  }
}

/** Which of `count` things comes at a position: all have their turn before one has its next, each time in another order. */
export function inTurn(position: number, count: number, seed: number): number {
  const round = Math.floor(position / count);
  const order = new Random(seed + 7919 * (round + 1)).shuffled(Array.from({ length: count }, (_, index) => index));
  return order[position % count];
}
