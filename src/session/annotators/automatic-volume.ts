import { type AutomaticState, automaticVolume } from '../../segmentation/automatic.js';
import type { SegmentContext } from '../../segmentation/context.js';
import type { AnnotatorTask, Segmentation } from '../annotator.js';
import { recordsFromLabels } from '../layers.js';
import type { ObjectRecord, SessionState } from '../state.js';
import type { AutomaticPlanes } from './automatic-planes.js';

/**
 * All planes without prompts, merged to objects of the volume. The network's answers are those of `AutomaticPlanes`:
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
  const states = new Map<number, AutomaticState>();
  const arrived: ObjectRecord[] = [];
  for (let plane = 0; plane < planes; plane++) {
    const onProgress: AnnotatorTask['onProgress'] = ({ done, total, message }) =>
      task.onProgress?.({
        done: plane + (total > 0 ? done / total : 0),
        total: planes,
        message: `Plane ${plane + 1} of ${planes}: ${message}`,
      });
    // Nothing of the layer is kept: the volume is segmented as a whole.
    const alone = { ...state, plane, layers: { ...state.layers, auto_segmentation: { objects: new Map() } } };
    states.set(plane, await single.found(alone, { signal: task.signal, onProgress }));
    task.signal?.throwIfAborted();
    arrived.push(...(single.current(alone)?.objects ?? []));
    task.onPartial?.({ layer: 'auto_segmentation', objects: arrived });
  }
  const { labels } = await automaticVolume(context, planes, {
    states,
    thresholds: single.status(state).thresholds,
    merge: { gapClosing, minExtent, minOverlap },
    signal: task.signal,
  });
  const objects = recordsFromLabels(labels, 'automatic');
  const count = objects.length;
  const notice =
    count === 0
      ? 'No object passes the thresholds in enough slices. Lower the thresholds or the smallest number of slices.'
      : `${count} ${count === 1 ? 'object was' : 'objects were'} found in the volume.`;
  return { layer: 'auto_segmentation', objects, dismissed: [], notice };
}
