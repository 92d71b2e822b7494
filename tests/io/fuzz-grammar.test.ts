import assert from 'node:assert/strict';
import { fuzzGrammar, GRAMMARS } from '../support/fuzz-grammar.js';

/** A short run; the long one is `npm run bench fuzz`. */
describe('what files say of their pixels', () => {
  for (const grammar of GRAMMARS)
    it(`60 of ${grammar}, right, contradicted and broken: right pixels or a SamError`, async () => {
      const { failures, outcomes } = await fuzzGrammar(grammar, 60, 20_262);
      assert.deepEqual(failures, []);
      assert.ok((outcomes.get('read') ?? 0) > 20);
    });
});
