import assert from 'node:assert/strict';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { seededRandom } from '../support/random.js';
import { randomStep, WALK_IMAGE } from '../support/session-walk.js';

async function walked(seed: number, steps = 40): Promise<AnnotationSession> {
  const random = seededRandom(seed);
  const session = new AnnotationSession();
  session.open(WALK_IMAGE, new DiscAnnotator([60, 80]));
  for (let step = 0; step < steps; step++) await randomStep(session, random, step);
  return session;
}

async function withObject(): Promise<AnnotationSession> {
  const session = new AnnotationSession();
  session.open(WALK_IMAGE, new DiscAnnotator([60, 80]));
  await session.run('put_prompts', { prompts: [{ kind: 'point', id: 'a', plane: 0, at: [30, 40], positive: true }] });
  await session.run('commit');
  return session;
}

describe('session file', () => {
  it('brings back everything but history and candidates; points are positive again', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const walk = await walked(seed);
      await walk.run('set_settings', { positive: true });
      const { state } = walk;
      const text = exportSession(state);
      const copy = new AnnotationSession();
      copy.open(WALK_IMAGE, undefined, importSession(text, WALK_IMAGE));
      const { candidates: _, message: __, history: ___, refused: ____, ...expected } = state;
      const { history: _____, ...restored } = copy.state;
      assert.deepEqual(restored, expected, `seed ${seed}`);
      assert.equal(exportSession(copy.state), text);
    }
  });

  it('refuses the session of other pixels', async () => {
    const { state } = await walked(1, 5);
    assert.throws(() => importSession(exportSession(state), { ...WALK_IMAGE, signature: 'else' }), {
      code: 'signature_mismatch',
    });
  });

  it('refuses a newer version, and says so', async () => {
    const { state } = await walked(1, 5);
    const text = exportSession(state).replace('"version":1', '"version":2');
    assert.throws(() => importSession(text, WALK_IMAGE), { code: 'unsupported', message: /version 2/ });
  });

  it('a damaged file is refused with the place of the damage', async () => {
    const { state } = await withObject();
    const text = exportSession(state);
    assert.throws(() => importSession(text.slice(0, text.length / 2), WALK_IMAGE), /cut off/);
    const json = JSON.parse(text);
    json.layers.committed_objects[0].masks[0].runs.push(7);
    assert.throws(
      () => importSession(JSON.stringify(json), WALK_IMAGE),
      /layers\.committed_objects\.0\.masks\.0.*do not fill/,
    );
    json.layers.committed_objects[0].masks[0].runs.pop();
    json.layers.committed_objects[0].masks[0].box = [0, 0, -1, -1];
    assert.throws(() => importSession(JSON.stringify(json), WALK_IMAGE), { code: 'invalid_argument' });
    delete json.layers;
    assert.throws(() => importSession(JSON.stringify(json), WALK_IMAGE), /damaged at layers/);
    for (const other of ['[]', 'null', '3', '{}'])
      assert.throws(() => importSession(other, WALK_IMAGE), { code: 'invalid_argument' });
  });

  it('an object that reaches outside the image is refused', async () => {
    const { state } = await withObject();
    assert.throws(() => importSession(exportSession(state), { ...WALK_IMAGE, size: [10, 10] }), {
      code: 'signature_mismatch',
    });
  });
});
