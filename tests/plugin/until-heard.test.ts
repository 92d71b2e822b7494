import assert from 'node:assert/strict';
import { LastAsked } from '../../plugin/app/last-asked.js';
import { UntilHeard } from '../../plugin/until-heard.js';
import { seededRandom } from '../support/random.js';

/** What hands do before somebody listens, and what they ask for last. */
describe('hands in the first moments of a page', () => {
  it('are heard in their order by the first listener; of moves the last', async () => {
    const told = new UntilHeard<string>((item) => (item.startsWith('move') ? 'move' : undefined));
    for (const item of ['drop', 'move 1', 'key', 'move 2', 'click']) told.tell(item);
    const heard: string[] = [];
    told.on((item) => heard.push(item));
    told.tell('after');
    assert.deepEqual(heard, []);
    await Promise.resolve();
    told.tell('move 3');
    told.tell('move 4');
    assert.deepEqual(heard, ['drop', 'key', 'move 2', 'click', 'after', 'move 3', 'move 4']);
  });

  it('are heard once, and not kept for those who come later', async () => {
    const told = new UntilHeard<number>();
    told.on(() => undefined)();
    told.tell(1);
    const heard: number[] = [];
    told.on((item) => heard.push(item));
    told.tell(2);
    await Promise.resolve();
    assert.deepEqual(heard, [2]);
  });

  it('wait on, if the first listener goes before it was told', async () => {
    const told = new UntilHeard<number>();
    told.tell(1);
    told.on(() => assert.fail('it is gone'))();
    await Promise.resolve();
    const heard: number[] = [];
    told.on((item) => heard.push(item));
    await Promise.resolve();
    assert.deepEqual(heard, [1]);
  });

  it('open what they asked for last, in whatever order it is recognised', () => {
    const random = seededRandom(5);
    for (let trial = 0; trial < 500; trial++) {
      const order = new LastAsked();
      const asked = Array.from({ length: 5 }, () => order.ask());
      let open = -1;
      for (const k of asked.map((_, k) => k).sort(() => random() - 0.5)) if (asked[k]()) open = k;
      assert.equal(open, 4);
    }
  });
});
