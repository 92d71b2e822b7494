import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { SamError } from '../../src/errors.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import type { Autosave } from '../../src/session/saving/autosave.js';
import { Journal } from '../../src/session/saving/journal.js';
import { rootsOf } from '../../src/session/saving/saved-work.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { openSaved } from '../support/open-saved.js';
import { seededRandom } from '../support/random.js';
import { randomStep, WALK_IMAGE } from '../support/session-walk.js';

async function open(store: Store, meanwhile?: Store): Promise<{ session: AnnotationSession; autosave: Autosave }> {
  const session = new AnnotationSession();
  const autosave = await openSaved(session, store, WALK_IMAGE, new DiscAnnotator([60, 80]), meanwhile);
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
function breakable(inner: Store): Store & { broken: boolean } {
  return {
    ...inner,
    broken: false,
    async create(key, value) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.broken) throw new SamError('storage', 'There is no space left on this device.');
      return inner.create(key, value);
    },
  };
}

/** A store whose writes wait between `stop` and what that returns. */
function gated(inner: Store): Store & { stop(): () => void } {
  let open = Promise.resolve();
  return {
    ...inner,
    create: (key, value) => open.then(() => inner.create(key, value)),
    stop() {
      let letThrough = () => {};
      open = new Promise((resolve) => (letThrough = resolve));
      return letThrough;
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
    for (let step = 0; step < 700; step++) {
      await randomStep(session, random, step);
      await autosave.flush();
      if (step % 30 !== 0) continue;
      await autosave.close(); // many short sittings count together
      ({ session, autosave } = await open(store));
    }
    const keys = await listKeys(store, 'abc/');
    const snapshots = keys.filter((key) => key.startsWith('abc/snapshots/'));
    assert.ok(snapshots.length > 1 && snapshots.length <= 12, `${snapshots.length} snapshots`);
    const sizes = await Promise.all(keys.map(async (key) => (await store.get(key))?.length ?? 0));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(total < 1200 * 1024, `${total} bytes`);
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

  it('what is done just before another image is opened is kept', async () => {
    const store = breakable(memoryStore());
    const { session } = await open(store);
    await session.run('put_prompts', click(20, 30));
    await session.run('commit');
    const expected = exportSession(session.state);
    session.open({ ...WALK_IMAGE, signature: 'next' });
    await session.run('put_prompts', click(40, 30));
    const deadline = Date.now() + 30_000;
    while ((await restoredText(store)) !== expected && Date.now() < deadline)
      await new Promise((r) => setTimeout(r, 5));
    assert.equal(await restoredText(store), expected);
  });

  it('a damaged change costs what it changed, is reported, and what follows is restored', async () => {
    const store = memoryStore();
    const first = await open(store);
    for (const x of [10, 30, 50, 70]) {
      await commitAt(first.session, 30, x);
      await first.autosave.flush();
    }
    const keys = await listKeys(store, 'abc/journal/');
    await flip(store, keys[1], 0.9);
    const { session, autosave } = await open(store);
    assert.match(session.state.message?.text ?? '', /could not be read \(one file\)/);
    assert.equal(session.state.layers.committed_objects.objects.size, 3);
    await commitAt(session, 10, 10);
    await autosave.flush();
    const text = exportSession(session.state);
    assert.equal(await restoredText(store), text);
    const again = await open(store);
    assert.doesNotMatch(again.session.state.message?.text ?? '', /could not be read/, 'said once');
  });

  it('a value whose file was made but never written costs nothing and is no damage', async () => {
    const store = emptyIsAbsent(memoryStore());
    const empty = new Uint8Array(0);
    await store.set('abc/snapshots/000000000', empty);
    await store.set('abc/journal/000000001', empty);
    for (const x of [10, 30, 50]) {
      const { session, autosave } = await open(store);
      assert.equal(/could not be read/.test(session.state.message?.text ?? ''), false);
      await commitAt(session, 30, x);
      await autosave.close();
      const text = exportSession(session.state);
      const keys = await listKeys(store, 'abc/journal/');
      await store.set(`abc/journal/${String(keys.length + 1).padStart(9, '0')}`, empty);
      assert.equal(await restoredText(store), text);
    }
  });

  it('what version 1 saved is restored and goes on', async () => {
    const store = memoryStore();
    const { session } = await open(memoryStore());
    await commitAt(session, 30, 20);
    await store.set('abc/snapshot', await sealedWhole(`7\n${exportSession(session.state)}`));
    await commitAt(session, 30, 60);
    const record = JSON.parse(exportSession(session.state)).layers.committed_objects[1];
    const change = JSON.stringify({ layers: { committed_objects: [[2, record]] }, plane: 0, settings: {} });
    await store.set('abc/journal/000000008', await sealedWhole(change));
    const again = await open(store);
    assert.equal(exportSession(again.session.state), exportSession(session.state));
    await commitAt(again.session, 10, 10);
    await again.autosave.close();
    assert.equal(await restoredText(store), exportSession(again.session.state));
    assert.ok((await listKeys(store, 'abc/snapshots/')).length > 0, 'folded into the new form');
  });

  describe('while the store is away', () => {
    it('work is kept elsewhere, and goes to its place when it is back', async () => {
      const store = breakable(memoryStore());
      const meanwhile = memoryStore();
      const { session, autosave } = await open(store, meanwhile);
      await commitAt(session, 30, 20);
      await autosave.flush();
      store.broken = true;
      await commitAt(session, 30, 60);
      await until(() => session.state.autosave === 'aside');
      assert.match(session.state.autosaveProblem ?? '', /no space left.*kept in this browser/);
      assert.ok((await listKeys(meanwhile)).length > 0);
      store.broken = false;
      await autosave.flush();
      assert.equal(session.state.autosave, 'saved');
      await until(async () => (await listKeys(meanwhile)).length === 0);
      assert.equal(await restoredText(store), exportSession(session.state));
    });

    it('work of a page that ended is brought back when the image is opened again', async () => {
      const store = breakable(memoryStore());
      const meanwhile = memoryStore();
      const { session, autosave } = await open(store, meanwhile);
      await commitAt(session, 30, 20);
      await autosave.flush();
      store.broken = true;
      for (const x of [50, 70]) {
        await commitAt(session, 30, x);
        await autosave.flush().catch(() => undefined);
      }
      await until(() => session.state.autosave === 'aside');
      await autosave.close();
      store.broken = false;
      const again = await open(store, meanwhile);
      assert.match(again.session.state.message?.text ?? '', /kept in this browser and is there now/);
      assert.equal(exportSession(again.session.state), exportSession(session.state));
      assert.deepEqual(await listKeys(meanwhile), []);
      assert.equal(await restoredText(store), exportSession(session.state), 'in its place');
    });

    it('what is kept nowhere yet is told as not saved', async () => {
      const store = breakable(memoryStore());
      const meanwhile = gated(memoryStore());
      const { session } = await open(store, meanwhile);
      store.broken = true;
      await commitAt(session, 30, 20);
      await until(() => session.state.autosave === 'aside');
      const letThrough = meanwhile.stop();
      await commitAt(session, 30, 50);
      assert.equal(session.state.autosave, 'pending');
      letThrough();
      await until(() => session.state.autosave === 'aside');
    });

    it('work is kept elsewhere before a store that takes long to answer is tried again', async () => {
      const inner = breakable(memoryStore());
      const store = gated({ ...inner, create: (key, value) => inner.create(key, value) });
      const meanwhile = gated(memoryStore());
      const { session, autosave } = await open(store, meanwhile);
      inner.broken = true;
      await commitAt(session, 30, 20);
      await until(() => session.state.autosave === 'aside');
      const keep = meanwhile.stop();
      await commitAt(session, 30, 50); // waits to be kept
      await commitAt(session, 30, 70); // comes after that
      const answer = store.stop();
      autosave.tryAgain();
      keep();
      await until(() => session.state.autosave === 'aside'); // while the store has not answered
      inner.broken = false;
      answer();
      await autosave.flush();
      assert.equal(session.state.autosave, 'saved');
      assert.equal(await restoredText(inner), exportSession(session.state));
    });

    it('it becomes a copy where other work was saved since', async () => {
      const store = breakable(memoryStore());
      const meanwhile = memoryStore();
      const { session, autosave } = await open(store, meanwhile);
      store.broken = true;
      await commitAt(session, 30, 20);
      await until(() => session.state.autosave === 'aside');
      await autosave.close();
      store.broken = false;
      const other = await open(store);
      await commitAt(other.session, 10, 60);
      await other.autosave.close();
      const again = await open(store, meanwhile);
      assert.match(again.session.state.message?.text ?? '', /is a copy now/);
      assert.equal(exportSession(again.session.state), exportSession(other.session.state));
      assert.deepEqual(await branchTexts(store), [exportSession(session.state)]);
    });
  });

  describe('with two windows on one image', () => {
    it('of two that save the same change, one goes on in a branch and says so', async () => {
      const store = memoryStore();
      const one = await open(store);
      const two = await open(store);
      await commitAt(one.session, 30, 20);
      await one.autosave.flush();
      await commitAt(two.session, 30, 60);
      await two.autosave.flush();
      assert.equal(two.session.state.autosave, 'aside');
      assert.match(two.session.state.autosaveProblem ?? '', /Another window.*copy/);
      await commitAt(two.session, 10, 60);
      await two.autosave.close();
      assert.equal(await restoredText(store), exportSession(one.session.state));
      assert.deepEqual(await branchTexts(store), [exportSession(two.session.state)]);
    });

    it('one that lay open while another saved past snapshots loses nothing and hides nothing', async () => {
      const store = memoryStore();
      const sleeper = await open(store);
      await commitAt(sleeper.session, 30, 20);
      await sleeper.autosave.flush();
      const worker = await open(store);
      const random = seededRandom(4);
      for (let step = 0; step < 600; step++) {
        await randomStep(worker.session, random, step);
        await worker.autosave.flush();
      }
      const changes = await listKeys(store, 'abc/journal/');
      assert.ok(!changes.includes('abc/journal/000000002'), 'its next number is free again');
      await commitAt(sleeper.session, 50, 60);
      await sleeper.autosave.flush();
      assert.equal(sleeper.session.state.autosave, 'aside');
      assert.equal(await restoredText(store), exportSession(worker.session.state));
      assert.deepEqual(await branchTexts(store), [exportSession(sleeper.session.state)]);
    });
  });
});

async function commitAt(session: AnnotationSession, y: number, x: number): Promise<void> {
  await session.run('put_prompts', click(y, x));
  await session.run('commit');
}

/** What each branch of the image holds. */
async function branchTexts(store: Store): Promise<string[]> {
  const roots = rootsOf(await listKeys(store, 'abc/branches/'), 'abc');
  return Promise.all(
    roots.map(async (root) => {
      const { restored } = await Journal.open(store, WALK_IMAGE, root);
      const session = new AnnotationSession();
      session.open(WALK_IMAGE, undefined, restored);
      return exportSession(session.state);
    }),
  );
}

/** Changes one bit of a value. @param place 0..1 */
async function flip(store: Store, key: string, place: number): Promise<void> {
  const bytes = (await store.get(key)) as Uint8Array;
  bytes[Math.floor(place * (bytes.length - 1))] ^= 1;
  await store.set(key, bytes);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 5000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 5)))
    if (await holds()) return;
  assert.fail(`never: ${holds}`);
}

/** As browsers have it, which make a file before they write it. */
function emptyIsAbsent(inner: Store): Store {
  return {
    ...inner,
    async create(key, value) {
      if ((await inner.get(key))?.length === 0) await inner.delete(key);
      return inner.create(key, value);
    },
  };
}

async function sealedWhole(text: string): Promise<Uint8Array> {
  return new TextEncoder().encode(`${createHash('sha256').update(text).digest('hex')}\n${text}`);
}
