import assert from 'node:assert/strict';
import { part } from '../src/part.js';

describe('parts of the program', () => {
  it('are loaded once, and after a failure again when they are next asked for', async () => {
    let loads = 0;
    let fails = true;
    const load = part('What draws', async () => {
      loads++;
      await Promise.resolve();
      if (fails) throw new TypeError('Failed to fetch dynamically imported module');
      return { draw: () => 'drawn' };
    });
    const failures = await Promise.allSettled([load(), load()]);
    for (const result of failures) {
      assert.equal(result.status, 'rejected');
      assert.equal(result.reason.code, 'not_found');
      assert.match(
        result.reason.message,
        /^The server does not answer.*Your work is kept\. What draws could not be loaded\.$/,
      );
    }
    assert.equal(loads, 1);
    fails = false;
    const [first, second] = await Promise.all([load(), load()]);
    assert.equal(first.draw(), 'drawn');
    assert.equal(first, second);
    assert.equal(await load(), first);
    assert.equal(loads, 2);
  });

  it('have no name in common: pages load them as one file', async () => {
    const all = await Promise.all([
      import('../src/io/files.js'),
      import('../src/segmentation/whole-images.js'),
      import('../src/session/annotators/stacks.js'),
      import('../src/app/further.js'),
      import('../plugin/panel/further-views.js'),
    ]);
    const names = all.flatMap((exported) => Object.keys(exported));
    assert.deepEqual([...new Set(names)].sort(), [...names].sort());
  });
});
