import assert from 'node:assert/strict';
import { Readout, readoutText } from '../../src/presenter/readout.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { WALK_IMAGE } from '../support/session-walk.js';

async function committedDisc(): Promise<AnnotationSession> {
  const session = new AnnotationSession();
  session.open(WALK_IMAGE, new DiscAnnotator([60, 80]));
  await session.run('put_prompts', { prompts: [{ kind: 'point', id: 'a', plane: 0, at: [20, 30], positive: true }] });
  await session.run('commit');
  return session;
}

describe('what is under the pointer', () => {
  it('names place, values of all channels and object', async () => {
    const { state } = await committedDisc();
    const values = [
      { name: 'DAPI', value: 1234 },
      { name: 'GFP', value: 0.123456 },
    ];
    assert.equal(readoutText(state, [20, 30], values), 'x 30, y 20 · DAPI 1,234, GFP 0.12346 · object 1');
    assert.equal(readoutText(state, [50, 70], values.slice(0, 1)), 'x 70, y 50 · 1,234');
    const volume = { ...state, image: { ...state.image!, axes: 'zyx' as const, planes: 5 }, plane: 2 };
    assert.equal(readoutText(volume, [0, 0], []), 'x 0, y 0, z 3');
  });

  it('only the newest place counts, and it goes with the pointer', async () => {
    const { state } = await committedDisc();
    const shown: (string | undefined)[] = [];
    const readout = new Readout(
      () => state,
      async (_, [y]) => [{ name: '', value: y }],
      async (text) => void shown.push(text),
    );
    for (let y = 1; y < 40; y++) readout.move([y + 0.7, 3]);
    await readout.idle();
    readout.move(undefined);
    await readout.idle();
    assert.deepEqual([shown.length <= 3, shown.at(-2), shown.at(-1)], [true, 'x 3, y 39 · 39', undefined]);
  });
});
