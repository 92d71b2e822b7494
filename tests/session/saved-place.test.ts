import assert from 'node:assert/strict';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { homeOf } from '../../src/session/saving/home.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { savedVersions } from '../../src/session/saving/versions.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';
import { openSaved } from '../support/open-saved.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** Images of equal bytes, whose pixels have one signature, and other shapes. */
const SHAPES = [
  [1, 200, 1],
  [1, 1, 200],
  [1, 20, 10],
  [1, 10, 20],
  [2, 10, 10],
  [10, 2, 10],
] as const;
const IMAGES = SHAPES.map(
  ([planes, height, width]): ImageInfo => ({
    name: `${planes} x ${height} x ${width}`,
    axes: planes > 1 ? 'zyx' : 'yx',
    size: [height, width],
    planes,
    signature: '5a1f',
  }),
);

async function opened(store: Store, image: ImageInfo) {
  const session = new AnnotationSession();
  const autosave = await openSaved(session, store, image);
  return { session, autosave };
}

/** An object of one pixel at the end of the image, which is outside every other one, or at its beginning. */
async function commit(session: AnnotationSession, atEnd: boolean): Promise<void> {
  const { planes, size } = session.state.image!;
  await session.run('set_plane', { plane: atEnd ? planes - 1 : 0 });
  const path = [atEnd ? ([size[0] - 0.5, size[1] - 0.5] as const) : ([0.5, 0.5] as const)];
  await session.run('paint', { tool: 'brush', path, radius: 1 });
  await session.run('commit').catch(() => undefined); // there may be an object already
}

const textOf = ({ state }: AnnotationSession) => exportSession(state);

/** As versions of the program before left it: nothing says of which image it is. */
async function asBefore(store: Store): Promise<void> {
  for (const key of await listKeys(store)) if (key.includes('/shape-')) await store.delete(key);
}

describe('the place where work is saved', () => {
  it('is another for images of equal bytes and another shape, in whatever order they are worked on', () =>
    visit(10, 77));

  it('is so in more orders (thorough)', () => visit(40, 78));

  async function visit(trials: number, seed: number): Promise<void> {
    const random = seededRandom(seed);
    for (let trial = 0; trial < trials; trial++) {
      const store = memoryStore();
      const expected = new Map<ImageInfo, string>();
      for (let time = 0; time < 8; time++) {
        const image = IMAGES[randomInteger(random, 0, IMAGES.length)];
        const { session, autosave } = await opened(store, image);
        const before = expected.get(image);
        if (before === undefined) assert.equal(session.state.layers.committed_objects.objects.size, 0, image.name);
        else assert.equal(textOf(session), before, image.name);
        if (random() < 0.8) {
          await commit(session, random() < 0.5);
          await autosave.close();
          expected.set(image, textOf(session));
        }
      }
      for (const [image, text] of expected) {
        assert.equal(textOf((await opened(store, image)).session), text);
        for await (const { state } of savedVersions(store, image))
          for (const { masks } of state.layers?.committed_objects.objects.values() ?? [])
            for (const [plane, { box }] of masks)
              assert.ok(plane < image.planes && box[2] <= image.size[0] && box[3] <= image.size[1]);
      }
    }
  }

  it('is that of earlier versions for the image that the work there fits, and for no other', async () => {
    for (const image of IMAGES)
      for (const other of IMAGES) {
        if (other === image) continue;
        const store = memoryStore();
        const first = await opened(store, image);
        await commit(first.session, true);
        await first.autosave.close();
        await asBefore(store);
        const stranger = await opened(store, other);
        assert.equal(stranger.session.state.layers.committed_objects.objects.size, 0, `${image.name}: ${other.name}`);
        await commit(stranger.session, false);
        await commit(stranger.session, true);
        await stranger.autosave.close();
        for (const [one, count] of [
          [image, 1],
          [other, 2],
        ] as const) {
          const { session, autosave } = await opened(store, one);
          assert.equal(session.state.layers.committed_objects.objects.size, count);
          await autosave.close();
        }
        const again = await opened(store, image);
        assert.equal(textOf(again.session), textOf(first.session));
      }
  });

  it('is found again where nothing was changed since the earlier version', async () => {
    const store = memoryStore();
    const [image] = IMAGES;
    const first = await opened(store, image);
    await commit(first.session, false);
    await first.autosave.close();
    await asBefore(store);
    assert.equal(textOf((await opened(store, image)).session), textOf(first.session));
    assert.equal(await homeOf(store, image), '5a1f');
  });

  it('goes to one of two that are worked on for the first time at once; both find all of theirs', async () => {
    for (let trial = 0; trial < 10; trial++) {
      const store = memoryStore();
      const pair = IMAGES.slice(0, 2);
      const both = await Promise.all(pair.map((image) => opened(store, image)));
      await Promise.all(both.map(({ session }) => commit(session, trial % 2 === 0)));
      await Promise.all(both.map(({ autosave }) => autosave.flush()));
      await Promise.all(both.map(({ session }) => commit(session, trial % 2 !== 0)));
      await Promise.all(both.map(({ autosave }) => autosave.close()));
      for (const [k, image] of pair.entries())
        assert.equal(textOf((await opened(store, image)).session), textOf(both[k].session));
    }
  });

  it('of a session file is the image it was made on, not one of equal bytes', async () => {
    const { session, autosave } = await opened(memoryStore(), IMAGES[0]);
    await commit(session, false);
    await autosave.close();
    const text = exportSession(session.state);
    assert.equal(importSession(text, IMAGES[0]).layers?.committed_objects.objects.size, 1);
    assert.throws(() => importSession(text, IMAGES[1]), /signature_mismatch|1 x 200 x 1 pixels/);
  });
});
