import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { loadSession } from '../../src/session/edits/edits.js';
import { thinned } from '../../src/session/saving/journal.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { type SavedVersion, savedVersions } from '../../src/session/saving/versions.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { openSaved } from '../support/open-saved.js';
import { WALK_IMAGE } from '../support/session-walk.js';

async function open(store: Store) {
  const session = new AnnotationSession();
  const autosave = await openSaved(session, store, WALK_IMAGE, new DiscAnnotator([60, 80], 3));
  return { session, autosave };
}

let count = 0;
async function commitAt(session: AnnotationSession, y: number, x: number): Promise<void> {
  const id = `v${count++}`;
  await session.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at: [y, x], positive: true }] });
  await session.run('commit');
}

async function versionsOf(store: Store): Promise<SavedVersion[]> {
  const versions: SavedVersion[] = [];
  for await (const version of savedVersions(store, WALK_IMAGE)) versions.push(version);
  return versions;
}

const objectsOf = ({ state }: SavedVersion) => state.layers?.committed_objects.objects.size;

describe('earlier versions', () => {
  const now = Date.now;
  afterEach(() => {
    Date.now = now;
  });

  it('are the states from before each pause, with their times; opening one can be undone', async () => {
    const store = memoryStore();
    const { session, autosave } = await open(store);
    const start = now();
    for (const [hour, x] of [10, 30, 50, 70].entries()) {
      Date.now = () => start + hour * 3_600_000;
      await commitAt(session, 30, x);
      await autosave.flush();
    }
    const versions = await versionsOf(store);
    assert.deepEqual(versions.map(objectsOf), [3, 2, 1]);
    const hours = versions.map(({ time = 0 }) => (time - start) / 3_600_000);
    assert.deepEqual(hours, [2, 1, 0]);
    const latest = exportSession(session.state);
    session.apply(loadSession(versions[1].state));
    assert.equal(session.state.layers.committed_objects.objects.size, 2);
    await autosave.flush();
    assert.equal(exportSession((await open(store)).session.state), exportSession(session.state));
    session.undo();
    assert.equal(exportSession(session.state), latest);
  });

  it('nothing is lost or confused when the clock jumps', async () => {
    const store = memoryStore();
    const start = now();
    const jumps = [0, 86_400_000, -86_400_000, 5, -3_600_000 * 24 * 400];
    for (const [index, jump] of jumps.entries()) {
      Date.now = () => start + jump;
      const { session, autosave } = await open(store);
      assert.equal(session.state.layers.committed_objects.objects.size, index);
      await commitAt(session, 30, 10 + index * 12);
      await autosave.close();
    }
    assert.equal((await open(store)).session.state.layers.committed_objects.objects.size, jumps.length);
  });

  it('the copy of a second window is among them', async () => {
    const store = memoryStore();
    const one = await open(store);
    const two = await open(store);
    await commitAt(one.session, 30, 20);
    await one.autosave.flush();
    for (const x of [40, 60]) await commitAt(two.session, 30, x);
    await two.autosave.flush();
    const copies = (await versionsOf(store)).filter(({ kind }) => kind === 'copy');
    assert.deepEqual(copies.map(objectsOf), [2]);
  });

  it('what is damaged is brought back as far as it can be read, whoever has opened the work since', async () => {
    const store = memoryStore();
    const { session, autosave } = await open(store);
    const other = new AnnotationSession();
    other.open(WALK_IMAGE, new DiscAnnotator([60, 80], 3), session.state);
    for (const x of [10, 30, 50]) await commitAt(other, 10, x);
    session.apply({ title: 'Three at once', change: (before) => ({ ...before, layers: other.state.layers }) });
    await autosave.close();
    const [file] = await listKeys(store, 'abc/journal/');
    const bytes = (await store.get(file))!.slice();
    bytes[bytes.length - 40] ^= 1;
    await store.set(file, bytes);
    for (let opening = 1; opening <= 4; opening++) {
      Date.now = () => now() + opening * 3_600_000;
      const next = await open(store);
      await commitAt(next.session, 40, 10 + 15 * opening);
      await next.autosave.close();
    }
    assert.equal(await store.get(file), undefined, 'its time has come');
    const rescued = (await versionsOf(store)).filter(({ kind }) => kind === 'rescued');
    assert.deepEqual(rescued.map(objectsOf), [2]);
  });

  it('what version 1 set aside as damaged is brought back as far as it can be read', async () => {
    const store = memoryStore();
    const { session, autosave } = await open(memoryStore());
    await commitAt(session, 30, 20);
    await store.set('abc/damaged/100-snapshot', sealedWhole(`5\n${exportSession(session.state)}`));
    await commitAt(session, 30, 60);
    const [, record] = JSON.parse(exportSession(session.state)).layers.committed_objects;
    const change = JSON.stringify({ layers: { committed_objects: [[2, record]] }, settings: {} });
    await store.set('abc/damaged/100-journal-000000006', sealedWhole('{"cut off'));
    await store.set('abc/damaged/100-journal-000000007', sealedWhole(change));
    await autosave.close();
    const [rescued] = await versionsOf(store);
    assert.equal(rescued.kind, 'rescued');
    assert.equal(objectsOf(rescued), 2);
  });

  it('are thinned: the newest three and the oldest stay, the others get sparser with age', () => {
    let numbers: number[] = [];
    for (let number = 1; number <= 400; number++)
      numbers = [...thinned([number, ...numbers], 12)].sort((a, b) => b - a);
    assert.equal(numbers.length, 12);
    assert.deepEqual(numbers.slice(0, 3), [400, 399, 398]);
    assert.equal(numbers.at(-1), 1);
    const gaps = numbers.slice(1).map((number, i) => numbers[i] - number);
    assert.ok(
      gaps.slice(-4).every((gap) => gap > 10),
      `${numbers}`,
    );
  });

  it('a store that cannot read one file gives all others', async () => {
    const inner = memoryStore();
    const { session, autosave } = await open(inner);
    for (const x of [10, 30, 50]) {
      await commitAt(session, 30, x);
      await autosave.flush();
    }
    await autosave.close();
    const [, bad] = await listKeys(inner, 'abc/journal/');
    const store: Store = {
      ...inner,
      get: (key) => (key === bad ? Promise.reject(new Error('EIO: i/o error, read')) : inner.get(key)),
    };
    const again = await open(store);
    assert.ok(again.session.state.layers.committed_objects.objects.size >= 2);
    assert.match(again.session.state.message?.text ?? '', /could not be read/);
    await commitAt(again.session, 50, 70);
    await again.autosave.flush();
    assert.equal(again.session.state.autosave, 'saved', 'saving goes on');
  });
});

function sealedWhole(text: string): Uint8Array {
  return new TextEncoder().encode(`${createHash('sha256').update(text).digest('hex')}\n${text}`);
}
