import assert from 'node:assert/strict';
import { LruCache, LruEntries } from '../../src/io/cache.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('LruCache', () => {
  it('keeps its limit and drops what was used longest ago, like a plain list that does the same', () => {
    const random = seededRandom(5);
    const cache = new LruCache<number, number>(10_000);
    let model: number[] = [];
    for (let i = 0; i < 5_000; i++) {
      const key = randomInteger(random, 0, 40);
      const known = model.includes(key);
      assert.equal(cache.get(key), known ? key : undefined, `step ${i}`);
      model = known ? [...model.filter((other) => other !== key), key] : model;
      if (!known) {
        cache.set(key, key, 744);
        model = [...model, key].slice(-10);
      }
      assert.ok(cache.bytes <= cache.limit);
    }
  });

  it('of entries, keeps so many of the last used, whatever their sizes', () => {
    const cache = new LruEntries<string, string>(2);
    cache.set('a', 'first');
    cache.set('b', 'second');
    cache.get('a');
    cache.set('c', 'third');
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => cache.get(key)),
      ['first', undefined, 'third'],
    );
    cache.set('a', 'again');
    cache.set('d', 'fourth');
    assert.deepEqual(
      ['a', 'c', 'd'].map((key) => cache.get(key)),
      ['again', undefined, 'fourth'],
    );
  });

  it('loads a key once for all who ask, and forgets failures', async () => {
    const cache = new LruCache<string, number>(1_000_000);
    let loads = 0;
    const load = async () => {
      loads++;
      await Promise.resolve();
      if (loads === 1) throw new Error('the first fails');
      return { value: loads, bytes: 8 };
    };
    await assert.rejects(Promise.all([cache.load('a', load), cache.load('a', load)]), /first fails/);
    assert.deepEqual(await Promise.all([cache.load('a', load), cache.load('a', load)]), [2, 2]);
    assert.equal(loads, 2);
  });

  it("one reader's cancelled load is started again for the other", async () => {
    const cache = new LruCache<string, number>(1_000_000);
    const controller = new AbortController();
    const cancelled = cache.load('a', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      controller.signal.throwIfAborted();
      return { value: 1, bytes: 8 };
    });
    const other = cache.load('a', async () => ({ value: 2, bytes: 8 }));
    controller.abort();
    await assert.rejects(cancelled, { name: 'AbortError' });
    assert.equal(await other, 2);
  });
});
