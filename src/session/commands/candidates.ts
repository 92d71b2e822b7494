import { SamError } from '../../errors.js';
import type { ScoredMask } from '../../segmentation/scored-mask.js';
import type { Edit, SessionActions } from '../actions.js';
import { annotatedMask, changeObjects } from '../layers.js';
import type { ObjectRecord } from '../state.js';

/** Uses another of the masks that the model offered; one that was decoded roughly is first asked for again. */
export async function chooseCandidate(session: SessionActions, index: number): Promise<void> {
  const offered = session.state.candidates?.masks[index];
  if (!offered || !session.annotator?.exactCandidate?.(offered.mask)) {
    session.apply(useCandidate(index));
    return;
  }
  await session.segment('Choose mask', async (annotator, state, task) => {
    const exact = await annotator.exactCandidate?.(offered.mask)?.(task);
    const { layers, candidates } = useCandidate(index, exact).change(state);
    return { layer: 'current_object', objects: [...layers.current_object.objects.values()], candidates };
  });
}

/** @param exact takes the place of the one that was offered */
function useCandidate(index: number, exact?: ScoredMask): Edit {
  return {
    title: 'Choose mask',
    change(state) {
      const { candidates } = state;
      const record = candidates && state.layers.current_object.objects.get(candidates.objectId);
      if (!candidates || !record)
        throw new SamError(
          'not_found',
          'There are no other masks to choose from: they are offered for a single point.',
        );
      const offered = candidates.masks[index];
      if (!offered)
        throw new SamError('invalid_argument', `Mask ${index} was asked for; there are ${candidates.masks.length}.`);
      if (index === candidates.chosen) return state;
      const chosen = exact ?? offered;
      const masks = candidates.masks.with(index, chosen);
      const changed: ObjectRecord = {
        ...record,
        ...annotatedMask(record, candidates.plane, chosen.mask),
        predictedIou: chosen.predictedIou,
        stability: chosen.stability,
      };
      const current_object = changeObjects(state.layers.current_object, new Map([[record.id, changed]]));
      return {
        ...state,
        candidates: { ...candidates, masks, chosen: index },
        layers: { ...state.layers, current_object },
      };
    },
  };
}
