import { entryOf } from '../../items.js';
import type { Mask } from '../../ndimage/mask.js';
import type { Prompt } from '../../segmentation/prompts.js';
import { samePrompt } from '../edits/prompt-rules.js';
import type { ObjectRecord } from '../state.js';

/**
 * Clicks that took something away from a slice make the object no longer: where such a slice is the outermost marked one,
 * the object goes no farther than it went. Not once a prompt was taken back, which may be what ended it there.
 *
 * @param object as it was before it is followed anew, with the prompts that it was made from
 * @param annotated plane → mask, at least one not empty; empty: the object is not there
 * @param prompts those there are now
 */
export function reachOf(
  { masks, corrected, prompts: before }: ObjectRecord,
  annotated: ReadonlyMap<number, Mask>,
  prompts: readonly Prompt[],
): { readonly lowest?: number; readonly highest?: number } {
  if (before.some((prompt) => !prompts.some((other) => samePrompt(other, prompt)))) return {};
  const marked = [...annotated].flatMap(([plane, { area }]) => (area > 0 ? [plane] : []));
  const isSmaller = (plane: number) => {
    const was = corrected?.get(plane);
    return was?.projected === true && entryOf(annotated, plane).area <= was.mask.area;
  };
  const [lowest, highest] = [Math.min(...marked), Math.max(...marked)];
  return {
    ...(isSmaller(lowest) && { lowest: Math.min(...masks.keys()) }),
    ...(isSmaller(highest) && { highest: Math.max(...masks.keys()) }),
  };
}
