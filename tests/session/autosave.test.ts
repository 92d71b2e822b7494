import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { Autosave } from '../../src/session/saving/autosave.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { seededRandom } from '../support/random.js';
import { randomStep, WALK_IMAGE } from '../support/session-walk.js';

async function open(store: Store): Promise<{ session: AnnotationSession; autosave: Autosave }> {
  const session = new AnnotationSession();
  const autosave = await Autosave.open(session, store, WALK_IMAGE, new DiscAnnotator([60, 80]));
  assert.ok(autosave);
  return { session, autosave };
}

async function restoredText(store: Store): Promise<string> {
  const { session, autosave } = await open(store);
  await autosave.close();
  return exportSession(session.state);
}

const click = (y: number, x: number) =>
  ({ prompts: [{ kind: 'point', id: `${y}-${x}`, plane: 0, at: [y, x], positive: true }] }) as const;

/** A store that can be broken: full, or slow. */
function breakable(inner: Store): Store & { broken: boolean; sets: number } {
  return {
    ...inner,
    broken: false,
    sets: 0,
    async set(key, value) {
      this.sets++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.broken) throw new SamError('storage', 'There is no space left on this device.');
      await inner.set(key, value);
    },
  };
}

describe('autosave', () => {
  it('restores the state after any number of steps, undo and redo among them', async () => {
    const store = memoryStore();
    const random = seededRandom(5);
    let { session, autosave } = await open(store);
    for (let step = 0; step < 120; step++) {
      const dice = random();
      if (dice < 0.1) session.undo();
      else if (dice < 0.15) session.redo();
      else await randomStep(session, random, step);
      await autosave.flush();
      if (step % 6 !== 0) continue;
      const expected = exportSession(session.state);
      assert.equal(await restoredText(store), expected, `step ${step}`);
      if (step % 24 === 0) {
        await autosave.close();
        ({ session, autosave } = await open(store)); // go on in a new session
      }
    }
  });

  it('the journal is folded into a snapshot before it outgrows it', async () => {
    const store = memoryStore();
    let { session, autosave } = await open(store);
    const random = seededRandom(2);
    for (let step = 0; step < 1500; step++) {
      await randomStep(session, random, step);
      await autosave.flush();
      if (step % 50 !== 0) continue;
      await autosave.close(); // many short sittings count together
      ({ session, autosave } = await open(store));
    }
    const keys = await listKeys(store, 'abc/');
    assert.ok(keys.includes('abc/snapshot'), 'there was a snapshot');
    const sizes = await Promise.all(keys.map(async (key) => (await store.get(key))?.length ?? 0));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(total < 600 * 1024, `${total} bytes`);
    assert.equal(await restoredText(store), exportSession(session.state));
  });

  it('a full disk is reported once, the work goes on, and is saved when there is space', async () => {
    const store = breakable(memoryStore());
    const { session, autosave } = await open(store);
    store.broken = true;
    await session.run('put_prompts', click(20, 30));
    await assert.rejects(autosave.flush(), { code: 'storage' });
    assert.equal(session.state.autosave, 'failed');
    assert.match(session.state.message?.text ?? '', /no space left.*save your objects to a file/);
    await session.run('commit');
    assert.equal(session.state.layers.committed_objects.objects.size, 1);
    assert.equal(session.state.message, undefined, 'not said again');
    store.broken = false;
    await autosave.flush();
    assert.equal(session.state.autosave, 'saved');
    assert.equal(await restoredText(store), exportSession(session.state));
    await autosave.close();
  });

  it('a failed write is tried again by itself', async () => {
    const store = breakable(memoryStore());
    const { session, autosave } = await open(store);
    store.broken = true;
    await session.run('put_prompts', click(20, 30));
    await autosave.flush().catch(() => {});
    store.broken = false;
    const deadline = Date.now() + 10_000;
    while (session.state.autosave !== 'saved' && Date.now() < deadline) await new Promise((r) => setTimeout(r, 50));
    assert.equal(session.state.autosave, 'saved');
    await autosave.close();
  });

  it('a store that cannot be opened does not keep anyone from working', async () => {
    const store: Store = {
      ...memoryStore(),
      get: () => Promise.reject(new SamError('storage', 'Access to storage was denied.')),
    };
    const session = new AnnotationSession();
    assert.equal(await Autosave.open(session, store, WALK_IMAGE, new DiscAnnotator([60, 80])), undefined);
    assert.match(session.state.message?.text ?? '', /denied/);
    await session.run('put_prompts', click(20, 30));
    await session.run('commit');
    assert.equal(session.state.layers.committed_objects.objects.size, 1);
  });

  it('what is done just before another image is opened is kept', async () => {
    const store = breakable(memoryStore());
    const { session } = await open(store);
    await session.run('put_prompts', click(20, 30));
    await session.run('commit');
    const expected = exportSession(session.state);
    session.open({ ...WALK_IMAGE, signature: 'next' });
    await session.run('put_prompts', click(40, 30));
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal(await restoredText(store), expected);
  });

  it('damage costs what is damaged, is reported, and the rest can be rescued', async () => {
    const store = memoryStore();
    const first = await open(store);
    const texts: string[] = [];
    const counts: number[] = [];
    for (const x of [10, 30, 50, 70]) {
      await first.session.run('put_prompts', click(30, x));
      await first.session.run('commit');
      await first.autosave.flush();
      texts.push(exportSession(first.session.state));
      counts.push((await listKeys(store, 'abc/journal/')).length);
    }
    const keys = await listKeys(store, 'abc/journal/');
    const bytes = await store.get(keys[counts[1]]);
    assert.ok(bytes);
    bytes[bytes.length - 5] ^= 1;
    await store.set(keys[counts[1]], bytes);
    const { session, autosave } = await open(store);
    assert.match(session.state.message?.text ?? '', /could not be read/);
    assert.equal(exportSession(session.state), texts[1]);
    assert.equal((await listKeys(store, 'abc/damaged/')).length, counts[3] - counts[1]);
    await session.run('put_prompts', click(10, 10));
    await session.run('commit');
    await autosave.flush();
    assert.equal(await restoredText(store), exportSession(session.state));
  });

  it('a value whose file was made but never written costs nothing and is no damage', async () => {
    const store = memoryStore();
    const empty = new Uint8Array(0);
    await store.set('abc/snapshot', empty);
    await store.set('abc/journal/000000001', empty);
    for (const x of [10, 30, 50]) {
      const { session, autosave } = await open(store);
      assert.equal(/could not be read/.test(session.state.message?.text ?? ''), false);
      await session.run('put_prompts', click(30, x));
      await session.run('commit');
      await autosave.close();
      const text = exportSession(session.state);
      const keys = await listKeys(store, 'abc/journal/');
      await store.set(`abc/journal/${String(keys.length + 1).padStart(9, '0')}`, empty);
      assert.equal(await restoredText(store), text);
    }
  });

  it('two windows on one image do not overwrite each other', async () => {
    const store = memoryStore();
    const one = await open(store);
    const two = await open(store);
    await one.session.run('put_prompts', click(30, 20));
    await one.session.run('commit');
    await one.autosave.flush();
    await two.session.run('put_prompts', click(30, 60));
    await two.session.run('commit');
    await assert.rejects(two.autosave.flush(), /open in another window/);
    await two.autosave.close();
    assert.equal(await restoredText(store), exportSession(one.session.state));
  });
});
