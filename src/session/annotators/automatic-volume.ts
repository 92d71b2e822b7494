import type { LabelImage } from '../../ndimage/array.js';
import type { AutomaticState, AutomaticVolumeOptions } from '../../segmentation/automatic.js';
import type { ImageContext } from '../../segmentation/context.js';
import { wholeImages } from '../../segmentation/parts.js';
import type { SliceSegmenter } from '../../segmentation/volume/projection.js';
import type { TaskOptions } from '../../task.js';
import type { AnnotatorTask, AutomaticEstimate, LayerContent } from '../annotator.js';
import { recordsFromLabels } from '../layers.js';
import type { ObjectRecord, SessionState } from '../state.js';
import { type AutomaticPlanes, throttled } from './automatic-planes.js';

/**
 * All planes without prompts, merged to objects of the volume, or followed through it from one point each (apg). The
 * network's answers are those of `AutomaticPlanes`: planes that were run before are not run again, and merging anew with
 * other settings needs no network. What was found when a run is stopped is kept; the next one goes on.
 */
export class AutomaticVolume {
  /** Settings of the run that was the last to come to its end. */
  private merged?: string;
  /** Objects that were followed so far, by the run that is under way or was stopped. */
  private followed?: LabelImage;

  /**
   * @param planes number of slices
   * @param segment from slice to slice; if it remembers, following goes on where it was stopped
   */
  constructor(
    private readonly single: AutomaticPlanes,
    private readonly context: ImageContext,
    private readonly planes: number,
    private readonly segment: SliceSegmenter,
  ) {}

  async run(state: SessionState, task: AnnotatorTask): Promise<LayerContent> {
    const { mode } = this.single.status(state);
    const { absentPlanes = [] } = state.image ?? {};
    const share = mode === 'apg' ? 0.5 : 1;
    const states = new Map<number, AutomaticState>();
    const arrived: ObjectRecord[] = [];
    this.followed = undefined;
    for (let plane = 0; plane < this.planes; plane++) {
      if (absentPlanes.includes(plane)) continue;
      const onProgress: AnnotatorTask['onProgress'] = ({ done, total, message }) =>
        task.onProgress?.({
          done: share * (plane + (total > 0 ? done / total : 0)),
          total: this.planes,
          message: `Plane ${plane + 1} of ${this.planes}: ${message}`,
        });
      const alone = this.planeOf(state, plane);
      states.set(plane, await this.single.found(alone, { signal: task.signal, onProgress }));
      task.signal?.throwIfAborted();
      arrived.push(...(this.single.current(alone)?.objects ?? []));
      task.onPartial?.({ layer: 'auto_segmentation', objects: arrived });
    }
    const show = throttled((labels: LabelImage) =>
      task.onPartial?.({ layer: 'auto_segmentation', objects: recordsFromLabels(labels, 'automatic') }),
    );
    const labels = await this.merge(state, states, {
      mode,
      signal: task.signal,
      ...(mode === 'apg' && {
        onProgress: task.onProgress,
        onFollowed: (labels: LabelImage) => {
          if (task.signal?.aborted) return;
          this.followed = labels;
          show(labels);
        },
      }),
    });
    this.followed = undefined;
    this.merged = settingsOf(state);
    const objects = recordsFromLabels(labels, 'automatic');
    const notice =
      objects.length === 0
        ? 'No object passes the thresholds in enough slices. Lower the thresholds or the smallest number of slices.'
        : `${count(objects.length)} found in the volume.`;
    return { layer: 'auto_segmentation', objects, dismissed: [], notice };
  }

  /** What a run that was stopped has found: the slices that are done, merged, or the objects that were followed. */
  async soFar(state: SessionState): Promise<LayerContent | undefined> {
    const states = this.known(state);
    if (states.size === 0) return undefined;
    const labels = this.followed ?? (await this.merge(state, states, { mode: this.sliceMode(state) }));
    const objects = recordsFromLabels(labels, 'automatic');
    const notice = `Stopped after ${states.size} of ${this.planes} planes, with ${count(objects.length)} so far; running it again goes on from there.`;
    return { layer: 'auto_segmentation', objects, dismissed: [], notice };
  }

  async estimate(state: SessionState): Promise<AutomaticEstimate | undefined> {
    const all = Array.from({ length: this.planes }, (_, plane) => plane);
    const wanted = this.planeOf(state, state.plane);
    const slices = await this.single.estimate(wanted, all);
    if (!slices || this.single.status(state).mode !== 'apg') return slices;
    // Following an object asks once in each of its slices, about as often as there are objects in them.
    const whole = await this.single.estimate(state, all);
    return whole && { ...whole, seconds: Math.max(whole.seconds, slices.seconds) };
  }

  /** Planes that another run would not ask the network about. */
  known(state: SessionState): Map<number, AutomaticState> {
    const states = new Map<number, AutomaticState>();
    for (let plane = 0; plane < this.planes; plane++) {
      const found = this.single.known(this.planeOf(state, plane));
      if (found) states.set(plane, found);
    }
    return states;
  }

  /** Whether the volume was run to its end, and with the settings there are now. */
  status(state: SessionState): 'none' | 'stale' | 'current' {
    if (this.merged === undefined) return 'none';
    return this.merged === settingsOf(state) ? 'current' : 'stale';
  }

  private async merge(
    state: SessionState,
    states: ReadonlyMap<number, AutomaticState>,
    options: AutomaticVolumeOptions & TaskOptions,
  ): Promise<LabelImage> {
    const { gapClosing, minExtent, minOverlap } = state.settings;
    const absent = Array.from({ length: this.planes }, (_, plane) => plane).filter((plane) => !states.has(plane));
    const { automaticVolume } = await wholeImages();
    const { labels } = await automaticVolume(this.context, this.planes, {
      ...options,
      states,
      absent,
      segment: this.segment,
      thresholds: this.single.volumeThresholds(state),
      merge: { gapClosing, minExtent, minOverlap },
    });
    return labels;
  }

  /** One plane, with nothing else in the layer: the volume is segmented as a whole. */
  private planeOf(state: SessionState, plane: number): SessionState {
    const automatic = { ...state.settings.automatic, mode: this.sliceMode(state) };
    const layers = { ...state.layers, auto_segmentation: { objects: new Map() } };
    return { ...state, plane, layers, settings: { ...state.settings, automatic } };
  }

  /** Objects of apg are followed from what the maps show slice by slice. */
  private sliceMode(state: SessionState): 'ais' | 'amg' {
    return this.single.status(state).mode === 'amg' ? 'amg' : 'ais';
  }
}

function settingsOf({ settings }: SessionState): string {
  const { automatic, gapClosing, minExtent, minOverlap } = settings;
  return JSON.stringify([automatic, gapClosing, minExtent, minOverlap]);
}

function count(objects: number): string {
  return `${objects} ${objects === 1 ? 'object' : 'objects'}`;
}
