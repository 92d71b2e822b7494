import { foldedName } from '../../io/folder/file-names.js';
import { alternativeNames, resultNames } from '../../io/folder/result-names.js';
import { itemAt } from '../../items.js';

/**
 * What the results of each image of a series are called: no two the same, and those under which results were written
 * before stay, whatever images have come since.
 *
 * @param wanted told from the names if absent
 * @param written names of images → of their results
 */
export function seriesResults(
  names: readonly string[],
  wanted: readonly string[] | undefined,
  written: ReadonlyMap<string, string>,
): string[] {
  const results = wanted ?? resultNames(names);
  const taken = new Set([...written.values()].map(foldedName));
  return names.map((name, i) => {
    const own = written.get(name);
    if (own !== undefined) return own;
    const plain = itemAt(results, i);
    for (const result of alternativeNames(plain, name))
      if (!taken.has(foldedName(result))) {
        taken.add(foldedName(result));
        return result;
      }
    return plain;
  });
}
