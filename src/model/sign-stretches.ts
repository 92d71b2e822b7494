/** What holds for all 3 x 3 windows of a stretch: every logit is above the threshold, or some are and some are not. */
export const MIXED = 1;
export const ABOVE = 2;

/**
 * Where 3 x 3 windows of a grid of logits agree about a threshold: most do, and whatever is interpolated from such a
 * window needs no arithmetic. Logits outside the grid count as not above.
 */
export class SignStretches {
  /** Of every row, the first and the last logit above the threshold. */
  private readonly firsts: Int32Array;
  private readonly lasts: Int32Array;
  private readonly height: number;
  private row = Number.NaN;
  private stretches: number[] = [];

  /** @param logits row-major, `width` a row */
  constructor(
    private readonly logits: Float32Array,
    private readonly width: number,
    private readonly threshold: number,
  ) {
    const height = logits.length / width;
    this.height = height;
    this.firsts = new Int32Array(height).fill(width);
    this.lasts = new Int32Array(height).fill(-1);
    for (let r = 0; r < height; r++) {
      const start = r * width;
      let first = 0;
      while (first < width && !(logits[start + first] > threshold)) first++;
      if (first === width) continue;
      let last = width - 1;
      while (!(logits[start + last] > threshold)) last--;
      this.firsts[r] = first;
      this.lasts[r] = last;
    }
  }

  /**
   * Triples (MIXED or ABOVE, first column, end) of the windows over rows `row` to `row + 2`, by their left columns and in
   * their order; windows in no stretch have no logit above the threshold. The array is valid until the next call.
   *
   * @param row may be outside the grid
   */
  of(row: number): readonly number[] {
    if (row === this.row) return this.stretches;
    this.row = row;
    this.stretches = [];
    const { width, height, logits, threshold, stretches } = this;
    const top = Math.max(0, row);
    const bottom = Math.min(height, row + 3);
    let low = width;
    let high = -1;
    for (let r = top; r < bottom; r++) {
      low = Math.min(low, this.firsts[r]);
      high = Math.max(high, this.lasts[r]);
    }
    let kind = 0;
    let from = 0;
    // How many logits are above in the window's first, second and third column.
    for (let c = low - 2, first = 0, second = 0; c <= high; c++) {
      let third = 0;
      if (c + 2 <= high)
        for (let i = top * width + c + 2; i < bottom * width; i += width) if (logits[i] > threshold) third++;
      const count = first + second + third;
      const now = count === 0 ? 0 : count === 9 ? ABOVE : MIXED;
      if (now !== kind) {
        if (kind !== 0) stretches.push(kind, from, c);
        kind = now;
        from = c;
      }
      first = second;
      second = third;
    }
    if (kind !== 0) stretches.push(kind, from, high + 1);
    return stretches;
  }
}
