import { itemAt } from '../items.js';
import type { LabelImage } from '../ndimage/array.js';
import { labelComponents } from '../ndimage/label.js';
import { matchObjects, type Overlap, type Overlaps, overlapsOf } from './matching.js';

/**
 * How good an instance segmentation is, by the definitions of elf, which micro-sam's evaluation uses (`mean_segmentation_accuracy`). The value of a data set
 * is the mean over its images, not over pooled objects (report.ts). Where there is nothing to find and nothing is found,
 * every score is 1; elf's are 0, as if all had been missed.
 */
export interface SegmentationScores {
  /** Mean segmentation accuracy over `ACCURACY_THRESHOLDS`. */
  readonly msa: number;
  /** Segmentation accuracy TP / (TP + FP + FN) at IoU 0.5 and 0.75. */
  readonly sa50: number;
  readonly sa75: number;
  /** At IoU 0.5. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Of all objects together against background. */
  readonly dice: number;
  readonly referenceObjects: number;
  readonly predictedObjects: number;
}

/**
 * 0.5, 0.55, … 0.95 as NumPy's arange(0.5, 1, 0.05) makes them, rounding included: the sixth is 0.7500000000000002, which
 * an IoU of exactly 3/4 does not reach.
 */
export const ACCURACY_THRESHOLDS: readonly number[] = Array.from({ length: 10 }, (_, i) => 0.5 + i * (0.55 - 0.5));

export interface Counts {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly matches: readonly Overlap[];
}

export function countsAt(overlaps: Overlaps, threshold: number): Counts {
  const matches = matchObjects(overlaps, threshold);
  return {
    truePositives: matches.length,
    falsePositives: overlaps.predicted.length - matches.length,
    falseNegatives: overlaps.reference.length - matches.length,
    matches,
  };
}

/** TP / (TP + FP + FN); 0 if nothing matches, also if there is nothing to match. */
export function segmentationAccuracy(overlaps: Overlaps, threshold: number): number {
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn } = countsAt(overlaps, threshold);
  return tp === 0 ? 0 : tp / (tp + fp + fn);
}

/** @param reference, predicted label images of the same shape, [H, W] or [Z, H, W] */
export function scoreSegmentation(reference: LabelImage, predicted: LabelImage): SegmentationScores {
  const overlaps = overlapsOf(reference, predicted);
  const accuracies = ACCURACY_THRESHOLDS.map((threshold) => segmentationAccuracy(overlaps, threshold));
  const { truePositives: tp, falsePositives: fp, falseNegatives: fn } = countsAt(overlaps, 0.5);
  const ratio = (part: number, whole: number) => (part === 0 ? 0 : part / whole);
  const counts = { referenceObjects: overlaps.reference.length, predictedObjects: overlaps.predicted.length };
  if (tp + fp + fn === 0) return { msa: 1, sa50: 1, sa75: 1, precision: 1, recall: 1, f1: 1, dice: 1, ...counts };
  return {
    msa: accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length,
    sa50: itemAt(accuracies, 0),
    sa75: itemAt(accuracies, 5),
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, tp + fn),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
    dice: diceScore(reference, predicted),
    ...counts,
  };
}

/** 2 |A ∩ B| / (|A| + |B| + 1e-7) of the foregrounds. */
function diceScore(reference: LabelImage, predicted: LabelImage): number {
  let both = 0;
  let sum = 0;
  for (let p = 0; p < reference.data.length; p++) {
    const a = reference.data[p] !== 0 ? 1 : 0;
    const b = predicted.data[p] !== 0 ? 1 : 0;
    both += a & b;
    sum += a + b;
  }
  return (2 * both) / (sum + 1e-7);
}

/** Reference labels as micro-sam reads them from files: every connected part is an object of its own. */
export function separateObjects(labels: LabelImage): LabelImage {
  return labelComponents(labels).labels;
}
