import { CTC_PACKAGES, compareCtcMeasures, largestDifference } from '../support/ctc-cases.js';
import { existingVenv } from '../support/python.js';
import { atMost, type Figure } from './figure.js';

/**
 * The largest difference of SEG, DET and TRA from an independent implementation. Needs the virtual environment that the
 * integration tests make; without it the figure is left out, which is said.
 */
export default async function run(): Promise<Figure[]> {
  const python = existingVenv(CTC_PACKAGES);
  if (!python) {
    console.error(
      'ctc_max_difference skipped: run `npm test -- --integration ctc` once, which installs what it compares with',
    );
    return [];
  }
  return [atMost('ctc_max_difference', largestDifference(compareCtcMeasures(python)), '', 1e-6)];
}
