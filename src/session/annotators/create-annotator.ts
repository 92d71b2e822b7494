import type { Annotator } from '../annotator.js';
import type { AnnotatorKind, AutomaticThresholds } from '../state.js';
import { Annotator2d } from './annotator-2d.js';
import { Annotator3d } from './annotator-3d.js';
import type { StackContext } from './annotator-stack.js';
import { AnnotatorTracking } from './annotator-tracking.js';

/** The annotator of a kind (`annotatorKind` says which an image needs). @param planes number of slices or frames */
export function createAnnotator(
  kind: AnnotatorKind,
  context: StackContext,
  planes: number,
  thresholds?: AutomaticThresholds,
): Annotator {
  if (kind === '3d') return new Annotator3d(context, planes, thresholds);
  if (kind === 'tracking') return new AnnotatorTracking(context, planes, thresholds);
  return new Annotator2d(context, thresholds);
}
