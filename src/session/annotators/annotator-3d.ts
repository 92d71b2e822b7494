import { annotatedPlanes } from '../../segmentation/volume/annotated-slices.js';
import { PROJECT_OPTIONS } from '../../segmentation/volume/options.js';
import { projectThroughVolume } from '../../segmentation/volume/project.js';
import type { AnnotatorTask, LayerContent } from '../annotator.js';
import type { ObjectRecord, SessionState } from '../state.js';
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
    const { settings } = state;
    const own = this.recordOf(state);
    const prompts = this.promptsOf(state);
    const inner = { signal: task.signal, onProgress: task.onProgress };
    const annotated = await annotatedPlanes(prompts, this.planeSegmenter(state), this.annotatedMasks(state), inner);
    const base: ObjectRecord = { ...own, prompts };
    const soFar = new Map([...own.masks, ...annotated.masks]);
    const { masks, range } = await projectThroughVolume(
      { ...annotated, within: reachOf(own, annotated.masks, prompts) },
      this.planes,
      this.segmentSlice,
      {
        ...PROJECT_OPTIONS,
        ...this.following(settings),
        iouThreshold: settings.iouThreshold,
        boxExtension: settings.boxExtension,
      },
      {
        ...inner,
        onSlice: (plane, mask) => {
          soFar.set(plane, mask);
          task.onPartial?.(this.withRecord(state, { ...base, masks: new Map(soFar) }));
        },
      },
    );
    const projected = new Set([...masks.keys()].filter((plane) => !annotated.masks.has(plane)));
    const where = range[0] === range[1] ? `slice ${range[0] + 1}` : `slices ${range[0] + 1} to ${range[1] + 1}`;
    return {
      ...this.withRecord(state, { ...base, masks, projected }),
      notice: [`The object is in ${where}.`, ...annotated.notices].join(' '),
    };
  }
}
