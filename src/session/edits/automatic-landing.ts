import { intersectionArea } from '../../ndimage/mask-sets.js';
import type { LayerContent } from '../annotator.js';
import { maxId } from '../layers.js';
import type { ObjectLayer, ObjectRecord, SessionState } from '../state.js';

/**
 * An automatic segmentation lands while the hand works on: what was taken out of the automatic objects since it began, or
 * changed among them, stays so.
 *
 * @param before the state that it began from
 */
export function besideTheHand(result: LayerContent, before: SessionState, now: SessionState): LayerContent {
  const [began, present] = [before.layers.auto_segmentation, now.layers.auto_segmentation];
  if (result.layer !== 'auto_segmentation' || began === present) return result;
  const untouched = (id: number) => began.objects.get(id) === present.objects.get(id);
  const kept = result.objects.flatMap((record) => {
    if (!began.objects.has(record.id) || untouched(record.id)) return record;
    return present.objects.get(record.id) ?? [];
  });
  const dealtWith = (now.dismissed ?? []).filter((id) => !before.dismissed?.includes(id));
  return {
    ...result,
    objects: [...kept, ...madeMeanwhile(began, present, kept)],
    dismissed: [...new Set([...(result.dismissed ?? now.dismissed ?? []), ...dealtWith])],
  };
}

/** Pieces that the hand cut off, where nothing new was found; under ids that are free. */
function madeMeanwhile(began: ObjectLayer, present: ObjectLayer, found: readonly ObjectRecord[]): ObjectRecord[] {
  let last = Math.max(maxId(present), ...found.map(({ id }) => id));
  const taken = new Set(found.map(({ id }) => id));
  return [...present.objects.values()].flatMap((record) => {
    const inTheWay = (other: ObjectRecord) => other !== present.objects.get(other.id) && meet(record, other);
    if (began.objects.has(record.id) || found.some(inTheWay)) return [];
    return taken.has(record.id) ? { ...record, id: ++last } : record;
  });
}

function meet(a: ObjectRecord, b: ObjectRecord): boolean {
  return [...a.masks].some(([plane, mask]) => {
    const other = b.masks.get(plane);
    return other !== undefined && intersectionArea(mask, other) > 0;
  });
}
