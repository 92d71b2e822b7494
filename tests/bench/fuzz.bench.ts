import { families, fuzz } from '../support/fuzz.js';
import { fuzzGrammar, GRAMMARS } from '../support/fuzz-grammar.js';
import { fuzzService } from '../support/service-fuzz.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * The long run over damaged files, over files by grammar, and over wrong calls of the service (the family "calls", five
 * times as many): `MICRO_SAM_FUZZ_FILES` per family (20,000 by default), only
 * the families named in `MICRO_SAM_FUZZ_FAMILIES` (commas between) if that is set; `MICRO_SAM_FUZZ_SEED` makes other files.
 */
export default async (): Promise<Figure[]> => {
  const count = Number(process.env.MICRO_SAM_FUZZ_FILES ?? 20_000);
  const seed = Number(process.env.MICRO_SAM_FUZZ_SEED ?? 1);
  const wanted = process.env.MICRO_SAM_FUZZ_FAMILIES?.split(',');
  let files = 0;
  let failures = 0;
  for (const family of await families()) {
    if (wanted !== undefined && !wanted.includes(family.name)) continue;
    const result = await fuzz(family, count, seed);
    files += result.files;
    failures += result.failures.length;
    const outcomes = [...result.outcomes].map(([outcome, n]) => `${outcome} ${n}`).join(', ');
    console.error(`${family.name}: ${result.files} files, slowest ${Math.round(result.slowestMs)} ms; ${outcomes}`);
    for (const failure of result.failures.slice(0, 10)) console.error(failure);
  }
  for (const grammar of GRAMMARS) {
    if (wanted !== undefined && !wanted.includes(grammar)) continue;
    const result = await fuzzGrammar(grammar, count, seed);
    files += result.files;
    failures += result.failures.length;
    const outcomes = [...result.outcomes].map(([outcome, n]) => `${outcome} ${n}`).join(', ');
    console.error(`${grammar}: ${result.files} files; ${outcomes}`);
    for (const failure of result.failures.slice(0, 10)) console.error(failure);
  }
  if (wanted === undefined || wanted.includes('calls')) {
    const result = await fuzzService(5 * count, seed);
    failures += result.failures.length;
    console.error(`calls: ${result.cases}, ${result.refused} refused`);
    for (const failure of result.failures.slice(0, 10)) console.error(failure);
  }
  return [reported('fuzz_files', files, 'files'), atMost('fuzz_failures', failures, 'files and calls', 0)];
};
