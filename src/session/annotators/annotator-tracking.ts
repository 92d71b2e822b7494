import type { Mask } from '../../ndimage/mask.js';
import { TRACK_OPTIONS } from '../../segmentation/tracking/options.js';
import { type Track, trackAcrossFrames } from '../../segmentation/tracking/track.js';
import type { TaskOptions } from '../../task.js';
import { type AnnotatorTask, type LayerContent, promptsOfPlane } from '../annotator.js';
import { describeTracks, divideTrack, withDaughters } from '../edits/tracking.js';
import type { ObjectRecord, SessionSettings, SessionState } from '../state.js';
import { StackAnnotator } from './annotator-stack.js';

/**
 * Annotates one track of a time series at a time: an object of `current_object` is a track, its id the track id, and
 * prompts belong to the track they name. A prompt of state "division" says that the track ends before that frame, which
 * belongs to the two daughters. Committing keeps tracks and lineages (commit.ts).
 */
export class AnnotatorTracking extends StackAnnotator {
  readonly kind = 'tracking';

  protected objectId(state: SessionState): number {
    return state.currentTrack;
  }

  override async segment(state: SessionState, task: TaskOptions): Promise<LayerContent> {
    if (!divisionsOf(promptsOfPlane(state)).has(state.plane)) return super.segment(state, task);
    const track = this.recordOf(state);
    if (!track.masks.has(state.plane - 1))
      return this.withoutPlane(state, `Track ${track.id} will end before this frame. Press Shift+S to track it.`);
    const divided = divideTrack(track.id, state.plane).change(state);
    return {
      layer: 'current_object',
      objects: [...divided.layers.current_object.objects.values()],
      currentLineages: divided.currentLineages,
      currentTrack: divided.currentTrack,
      notice: this.divisionNotice(divided, track.id, state.plane),
    };
  }

  async segmentAll(state: SessionState, task: AnnotatorTask): Promise<LayerContent> {
    const { settings } = state;
    const divisions = divisionsOf(this.promptsOf(state));
    const { own, slices, onPlane, followed } = await this.annotated(state, task, divisions);
    const track = await trackAcrossFrames(
      { ...slices, divisions, others: othersOf(state, own.id) },
      this.planes,
      this.context.embeddings.size,
      this.segmentSlice,
      {
        ...TRACK_OPTIONS,
        ...this.following(settings),
        motionSmoothing: settings.motionSmoothing,
        direction: settings.trackDirection,
      },
      { signal: task.signal, onProgress: task.onProgress, onFrame: onPlane },
    );
    const masks = new Map([...beyond(own.masks, track, settings.trackDirection), ...track.masks]);
    const trackEnd = settings.trackDirection === 'backward' ? own.trackEnd : track.end;
    const record: ObjectRecord = { ...followed(masks), ...(trackEnd && { trackEnd }) };
    const result = this.withRecord(state, record);
    const [first, last] = [Math.min(...masks.keys()), Math.max(...masks.keys())];
    const where = first === last ? `in frame ${first + 1} only` : `in frames ${first + 1} to ${last + 1}`;
    const notices = [`Track ${own.id} is ${where}.`, ...slices.notices];
    if (trackEnd?.reason === 'lost')
      notices.push(`It was lost in frame ${trackEnd.frame + 1}: mark the object there and track again to go on.`);
    if (trackEnd?.reason !== 'division') return { ...result, notice: notices.join(' ') };
    const isMother = describeTracks(state).some(({ id, daughters }) => id === own.id && daughters.length > 0);
    const lineage = isMother ? { currentLineages: state.currentLineages } : withDaughters(state, own.id);
    notices.push(this.divisionNotice({ ...state, ...lineage }, own.id, trackEnd.frame));
    return { ...result, currentLineages: lineage.currentLineages, notice: notices.join(' ') };
  }

  private divisionNotice(state: SessionState, id: number, frame: number): string {
    const { daughters = [] } = describeTracks(state).find((track) => track.id === id) ?? {};
    const names = daughters.join(' and ');
    return `Track ${id} divides in frame ${frame + 1}: choose its daughters ${names} and mark each of them there.`;
  }
}

/** Tracks that are known beside this one. */
function othersOf({ layers }: SessionState, id: number): ReadonlyMap<number, Mask>[] {
  const current = [...layers.current_object.objects.values()].filter((track) => track.id !== id);
  return [...current, ...layers.committed_objects.objects.values()].map(({ masks }) => masks);
}

function divisionsOf(prompts: SessionState['prompts']): Set<number> {
  return new Set(prompts.flatMap(({ plane, track }) => (track?.state === 'division' ? plane : [])));
}

/** Frames of the track on the side that was not followed this time: they stay. */
function beyond(
  masks: ReadonlyMap<number, Mask>,
  { range }: Track,
  direction: SessionSettings['trackDirection'],
): [number, Mask][] {
  if (direction === 'both') return [];
  return [...masks].filter(([frame]) => (direction === 'forward' ? frame < range[0] : frame > range[1]));
}
