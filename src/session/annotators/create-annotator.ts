import { SamError } from '../../errors.js';
import type { Annotator } from '../annotator.js';
import type { AnnotatorKind, AutomaticThresholds } from '../state.js';
import { Annotator2d } from './annotator-2d.js';
import type { StackContext } from './annotator-stack.js';
import type * as Stacks from './stacks.js';

/**
 * The annotator of a kind (`annotatorKind` says which an image needs).
 *
 * @param planes number of slices or frames
 * @param stacks what annotates volumes and time series, which is loaded where it is needed; single planes do without
 */
export function createAnnotator(
  kind: AnnotatorKind,
  context: StackContext,
  planes: number,
  thresholds?: AutomaticThresholds,
  stacks?: typeof Stacks,
): Annotator {
  if (kind === '2d') return new Annotator2d(context, thresholds);
  if (!stacks) throw new SamError('internal', 'A stack is to be annotated before what annotates stacks is loaded.');
  return kind === '3d'
    ? new stacks.Annotator3d(context, planes, thresholds)
    : new stacks.AnnotatorTracking(context, planes, thresholds);
}
