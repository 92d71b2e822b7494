import { checkRandomTree } from '../support/folder-trees.js';
import { atMost, type Figure, reported } from './figure.js';

/** Random folders in which an image meets another's labels, result or prediction, loses its own, or is done twice. */
export default async (): Promise<Figure[]> => {
  const trees = Number(process.env.MICRO_SAM_TREES ?? 2000);
  let images = 0;
  let wrong = 0;
  for (let seed = 1; seed <= trees; seed++) {
    const report = await checkRandomTree(seed);
    images += report.images;
    if (report.faults.length === 0) continue;
    wrong++;
    console.error(`seed ${seed}: ${report.faults.join('\n  ')}`);
  }
  return [
    atMost('pairing_mismatches', wrong, 'trees', 0),
    reported('pairing_trees', trees, 'trees'),
    reported('pairing_images', images, 'images'),
  ];
};
