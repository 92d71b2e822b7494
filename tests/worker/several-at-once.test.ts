import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { severalAtOnce } from '../../src/worker/several-at-once.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('several at once', () => {
  it('is done for each item once, begun in order, never more at the same time than allowed', async () => {
    const random = seededRandom(7);
    for (const allowed of [0, 1, 2, 5]) {
      let [running, most] = [0, 0];
      const begun: number[] = [];
      const items = Array.from({ length: 20 }, (_, i) => i);
      await severalAtOnce(
        items,
        () => allowed,
        async (item) => {
          begun.push(item);
          most = Math.max(most, ++running);
          await pause(randomInteger(random, 0, 3));
          running--;
        },
      );
      assert.deepEqual(begun, items);
      assert.equal(running, 0);
      assert.equal(most, Math.max(1, allowed));
    }
  });

  it('is more as workers come', async () => {
    let allowed = 1;
    let [running, most] = [0, 0];
    await severalAtOnce(
      Array.from({ length: 12 }, (_, i) => i),
      () => allowed,
      async (item) => {
        most = Math.max(most, ++running);
        if (item === 3) allowed = 4;
        await pause(2);
        running--;
      },
    );
    assert.equal(most, 4);
  });

  it('ends at the first failure, and when it is stopped, with nothing left running', async () => {
    for (const how of ['fails', 'is stopped']) {
      const controller = new AbortController();
      const begun: number[] = [];
      let running = 0;
      const work = severalAtOnce(
        [0, 1, 2, 3, 4, 5],
        () => 2,
        async (item, signal) => {
          begun.push(item);
          running++;
          try {
            await pause(1);
            if (item === 2 && how === 'fails') throw new Error('no');
            if (item === 2) controller.abort(new Error('no'));
            signal.throwIfAborted();
          } finally {
            running--;
          }
        },
        controller,
      );
      await assert.rejects(work, /^Error: no$/);
      assert.equal(running, 0);
      assert.ok(!begun.includes(5), `${begun} of one that ${how}`);
    }
  });
});
