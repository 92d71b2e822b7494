/** One number of `npm run bench`; `ok` says whether it is within its limit. A bench file's default export returns these. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit?: number;
  readonly ok: boolean;
}

export function atMost(name: string, value: number, unit: string, limit: number): Figure {
  return { name, value, unit, limit, ok: value <= limit };
}

export function atLeast(name: string, value: number, unit: string, limit: number): Figure {
  return { name, value, unit, limit, ok: value >= limit };
}

export function reported(name: string, value: number, unit: string): Figure {
  return { name, value, unit, ok: true };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
