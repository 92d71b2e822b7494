import assert from 'node:assert/strict';
import { SavedImage } from '../../src/app/saved-image.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { prefixStore } from '../../src/io/stores/prefix.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { savedTexts } from '../support/saving-trials.js';
import { WALK_IMAGE } from '../support/session-walk.js';

describe('an image that another window takes over', () => {
  /** A window that has the image, and how it loses it. */
  async function opened(store: Store) {
    let lose: () => Promise<void> = async () => undefined;
    const session = new AnnotationSession();
    const annotator = new DiscAnnotator([60, 80]);
    const image = new SavedImage(
      session,
      {
        store,
        lease: async (_, onChange) => {
          lose = async () => void (await onChange(false));
          return { held: true, take: async () => undefined, release: async () => undefined };
        },
      },
      WALK_IMAGE,
    );
    await image.open(annotator);
    const put = (id: string, x: number) =>
      session.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at: [30, x], positive: true }] });
    return { session, annotator, put, lose: () => lose() };
  }

  it('refuses a commit that waits for its mask, and has nothing left to save', async () => {
    const store = memoryStore();
    const { session, annotator, put, lose } = await opened(store);
    await put('a', 20);
    let open: () => void = () => undefined;
    annotator.gate = new Promise((resolve) => (open = resolve));
    const segmenting = put('b', 60);
    const committing = session.run('commit');
    segmenting.catch(() => undefined);
    const refused = assert.rejects(committing, { code: 'read_only' });
    const lost = lose();
    open();
    await Promise.allSettled([lost, segmenting, refused]);
    await refused;
    assert.equal(session.state.layers.committed_objects.objects.size, 0);
    assert.equal(session.state.prompts.length, 2);
    assert.equal((await saved(store)).prompts.length, 2);
    assert.equal(session.state.autosave, undefined);
  });

  it('takes no change while its last one is being saved: what is shown is what is saved', async () => {
    let open: () => void = () => undefined;
    let gate: Promise<void> = Promise.resolve();
    const inner = memoryStore();
    const store: Store = { ...inner, create: async (key, value) => gate.then(() => inner.create(key, value)) };
    const { session, put, lose } = await opened(store);
    gate = new Promise((resolve) => (open = resolve));
    await put('a', 20);
    await session.run('commit');
    const lost = lose();
    const late = put('b', 60);
    const refused = assert.rejects(late, { code: 'read_only' });
    open();
    await Promise.all([lost, refused]);
    const { main } = await savedTexts(prefixStore(inner, 'sessions'), WALK_IMAGE);
    assert.equal(main, exportSession(session.state));
  });

  async function saved(store: Store): Promise<{ prompts: unknown[] }> {
    return JSON.parse((await savedTexts(prefixStore(store, 'sessions'), WALK_IMAGE)).main);
  }
});
