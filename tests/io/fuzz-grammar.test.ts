import assert from 'node:assert/strict';
import { fuzzGrammar, GRAMMARS } from '../support/fuzz-grammar.js';

/** Short runs; the long one is `npm run bench fuzz`. */
describe('what files say of their pixels', () => {
  for (const grammar of GRAMMARS)
    for (const [count, form] of [
      [30, ''],
      [200, ' (thorough)'],
    ] as const)
      it(`${count} of ${grammar}, right, contradicted and broken: right pixels or a SamError${form}`, async () => {
        const { failures, outcomes } = await fuzzGrammar(grammar, count, 20_262);
        assert.deepEqual(failures, []);
        assert.ok((outcomes.get('read') ?? 0) > count / 3);
      });
});
