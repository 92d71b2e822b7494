import type { LabelImage } from '../../ndimage/array.js';
import { type AutomaticState, automaticVolume } from '../../segmentation/automatic.js';
import type { SegmentContext } from '../../segmentation/context.js';
import type { AnnotatorTask, Segmentation } from '../annotator.js';
import { recordsFromLabels } from '../layers.js';
import type { ObjectRecord, SessionState } from '../state.js';
import { type AutomaticPlanes, throttled } from './automatic-planes.js';

/**
 * All planes without prompts, merged to objects of the volume, or followed through it from one point each (apg). The network's answers are those of `AutomaticPlanes`:
 * planes that were run before are not run again, and merging anew with other settings needs no network.
 *
 * @param planes number of slices
 */
export async function automaticThroughVolume(
  single: AutomaticPlanes,
  context: Omit<SegmentContext, 'plane'>,
  planes: number,
  state: SessionState,
  task: AnnotatorTask,
): Promise<Segmentation> {
  const { gapClosing, minExtent, minOverlap } = state.settings;
  const { mode } = single.status(state);
  // Objects are followed from what the maps show slice by slice.
  const automatic = { ...state.settings.automatic, ...(mode === 'apg' && { mode: 'ais' as const }) };
  const planesOf = { ...state, settings: { ...state.settings, automatic } };
  const share = mode === 'apg' ? 0.5 : 1;
  const states = new Map<number, AutomaticState>();
  const arrived: ObjectRecord[] = [];
  for (let plane = 0; plane < planes; plane++) {
    const onProgress: AnnotatorTask['onProgress'] = ({ done, total, message }) =>
      task.onProgress?.({
        done: share * (plane + (total > 0 ? done / total : 0)),
        total: planes,
        message: `Plane ${plane + 1} of ${planes}: ${message}`,
      });
    // Nothing of the layer is kept: the volume is segmented as a whole.
    const alone = { ...planesOf, plane, layers: { ...state.layers, auto_segmentation: { objects: new Map() } } };
    states.set(plane, await single.found(alone, { signal: task.signal, onProgress }));
    task.signal?.throwIfAborted();
    arrived.push(...(single.current(alone)?.objects ?? []));
    task.onPartial?.({ layer: 'auto_segmentation', objects: arrived });
  }
  const show = throttled((labels: LabelImage) =>
    task.onPartial?.({ layer: 'auto_segmentation', objects: recordsFromLabels(labels, 'automatic') }),
  );
  const { labels } = await automaticVolume(context, planes, {
    mode,
    states,
    thresholds: single.volumeThresholds(state),
    merge: { gapClosing, minExtent, minOverlap },
    signal: task.signal,
    ...(mode === 'apg' && { onProgress: task.onProgress, onFollowed: show }),
  });
  const objects = recordsFromLabels(labels, 'automatic');
  const count = objects.length;
  const notice =
    count === 0
      ? 'No object passes the thresholds in enough slices. Lower the thresholds or the smallest number of slices.'
      : `${count} ${count === 1 ? 'object was' : 'objects were'} found in the volume.`;
  return { layer: 'auto_segmentation', objects, dismissed: [], notice };
}
