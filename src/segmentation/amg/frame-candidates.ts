import type { AmgCandidate } from './state.js';

/**
 * The candidates of one encoder frame, without those that no thresholds can bring up: of masks with the same box only the
 * ones that no other excels in both score and stability. Whatever such a mask passes, the better one passes, and
 * suppression by boxes then removes it, as their IoU is 1 (at a box NMS threshold of 1, which suppresses nothing, it is
 * missed). So what is kept grows with the objects there are rather than with the points that find them again and again.
 */
export class FrameCandidates {
  private readonly byBox = new Map<string, AmgCandidate[]>();
  private listed?: readonly AmgCandidate[];

  /** @param all keep those that others excel, too */
  constructor(
    candidates: readonly AmgCandidate[] = [],
    private readonly all = false,
  ) {
    this.add(candidates);
  }

  add(candidates: readonly AmgCandidate[]): void {
    for (const candidate of candidates) {
      const box = String(candidate.box);
      const same = this.byBox.get(box) ?? [];
      if (this.all) {
        this.byBox.set(box, [...same, candidate]);
        continue;
      }
      if (same.some((other) => excels(other, candidate))) continue;
      this.byBox.set(box, [...same.filter((other) => !excels(candidate, other)), candidate]);
    }
    this.listed = undefined;
  }

  /** By prompt and token. The same array until there are others. */
  list(): readonly AmgCandidate[] {
    this.listed ??= [...this.byBox.values()].flat().sort((a, b) => a.prompt - b.prompt || a.token - b.token);
    return this.listed;
  }
}

function excels(a: AmgCandidate, b: AmgCandidate): boolean {
  return a.predictedIou >= b.predictedIou && a.stability >= b.stability;
}
