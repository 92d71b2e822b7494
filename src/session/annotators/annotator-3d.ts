import { PROJECT_OPTIONS } from '../../segmentation/volume/options.js';
import { projectThroughVolume } from '../../segmentation/volume/project.js';
import type { AnnotatorTask, LayerContent } from '../annotator.js';
import type { SessionState } from '../state.js';
import { StackAnnotator } from './annotator-stack.js';
import { reachOf } from './object-reach.js';

/**
 * Annotates one object of a volume at a time. Slices that a person marked or painted are the truth; "segment all slices"
 * fills the rest by projection, and after a correction computes only the stretches that touch the corrected slice.
 */
export class Annotator3d extends StackAnnotator {
  readonly kind = '3d';

  protected objectId(state: SessionState): number {
    return [...state.layers.current_object.objects.keys()].at(0) ?? 1;
  }

  protected override promptsOf(state: SessionState) {
    return state.prompts;
  }

  async segmentAll(state: SessionState, task: AnnotatorTask): Promise<LayerContent> {
    const { own, prompts, slices, onPlane, followed } = await this.annotated(state, task);
    const { masks, range } = await projectThroughVolume(
      { ...slices, within: reachOf(own, slices.masks, prompts) },
      this.planes,
      this.segmentSlice,
      { ...PROJECT_OPTIONS, ...this.following(state.settings) },
      { signal: task.signal, onProgress: task.onProgress, onSlice: onPlane },
    );
    const where = range[0] === range[1] ? `slice ${range[0] + 1}` : `slices ${range[0] + 1} to ${range[1] + 1}`;
    return {
      ...this.withRecord(state, followed(masks)),
      notice: [`The object is in ${where}.`, ...slices.notices].join(' '),
    };
  }
}
