import assert from 'node:assert/strict';
import { Workspace } from '../../src/app/workspace.js';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { hashEncoder } from '../support/hash-encoder.js';
import { seededRandom } from '../support/random.js';

/** What a window does when it opens an image, without a model: no embedding ever comes. */
describe('opening an image in a window', () => {
  const worker = {
    load: async () => {},
    encode: () => new Promise(() => {}),
    close: async () => {},
  } as unknown as SamWorker;
  const lease = async () => ({ held: true, take: async () => {}, release: async () => {} });
  const open = () => new Workspace(Promise.resolve({ worker, store: memoryStore(), lease }));
  const image = (name: string, shape: readonly number[], axes: string) => {
    const data = Uint8Array.from(
      { length: shape.reduce((a, b) => a * b) },
      (_, i) => (i * 31 + axes.charCodeAt(0)) % 251,
    );
    return { data, shape, axes, name };
  };

  it('shows progress and can be stopped: then what was open stays', async () => {
    const workspace = open();
    const { session } = workspace;
    await workspace.open(image('first', [16, 20], 'yx'));
    const seen = new Set<string>();
    const told = new Set<string | undefined>();
    const stop = session.subscribe(({ tasks, message }) => {
      told.add(message?.text);
      const task = tasks.find(({ slot }) => slot === 'open');
      if (!task) return;
      seen.add(task.name);
      session.cancel(task.id);
    });
    await assert.rejects(workspace.open(image('second', [16, 20], 'yx'), { name: 'second' }), /cancelled/i);
    assert.deepEqual([...seen], ['Open image']);
    assert.equal(session.state.image?.name, 'first');
    assert.equal(session.state.message?.text, 'Stopped: second was not opened.');
    await assert.rejects(workspace.open('http://127.0.0.1:1/some/cells.tif?v=2'), /cancelled/i);
    assert.ok(told.has('Opening cells.tif …'), [...told].join(' | '));
    assert.equal(session.state.message?.text, 'Stopped: cells.tif was not opened.');
    stop();
    await workspace.open(image('second', [16, 20], 'yx'));
    assert.equal(session.state.image?.name, 'second');
    await workspace.close();
  });

  it('of images opened in quick succession the last is shown, however long each of them takes to be presented', async () => {
    const random = seededRandom(17);
    const pause = async () => {
      for (let ticks = Math.floor(random() * 40); ticks > 0; ticks--) await new Promise((done) => setImmediate(done));
    };
    const slowly = async () => {
      await pause();
      return lease();
    };
    const workspace = new Workspace(Promise.resolve({ worker, store: memoryStore(), lease: slowly }));
    const { session } = workspace;
    for (let round = 0; round < 30; round++) {
      const ends: Promise<string>[] = [];
      const last = Math.floor(random() * 4);
      for (let k = 0; k <= last; k++) {
        const opened = workspace.open(image(`${round}.${k}`, [8 + k, 12], 'yx'));
        ends.push(
          opened.then(
            () => 'shown',
            (error: Error) => error.message,
          ),
        );
        await pause();
      }
      const said = await Promise.all(ends);
      assert.equal(said.pop(), 'shown', `round ${round}`);
      for (const end of said) assert.match(end, /^shown$|^Another image was opened instead/);
      assert.equal(session.state.image?.name, `${round}.${last}`);
      assert.deepEqual(
        session.state.tasks.filter(({ slot }) => slot === 'open'),
        [],
      );
    }
    await workspace.close();
  });

  it('a volume opens at its middle slice, and again where one has worked', async () => {
    const workspace = open();
    const { session } = workspace;
    await session.run('set_settings', { autoSegment: false });
    const volume = image('volume', [9, 16, 20], 'zyx');
    await workspace.open(volume);
    assert.equal(session.state.plane, 4);
    await session.run('set_plane', { plane: 7 });
    await session.run('put_prompts', { prompts: [{ kind: 'point', id: 'p', plane: 7, at: [3, 4], positive: true }] });
    await workspace.open(image('other', [16, 20], 'yx'));
    await workspace.open(volume);
    assert.equal(session.state.plane, 7);
    await workspace.open(image('series', [9, 16, 20], 'tyx'));
    assert.equal(session.state.plane, 0);
    await workspace.close();
  });

  it('the model is given what is shown, until the two are unlinked', async () => {
    const workspace = open();
    await workspace.open(image('colours', [4, 16, 20], 'cyx'));
    const show = async (index: number, visible: boolean) => {
      await workspace.display!.change({ index, visible }, 0);
      await workspace.followShown();
    };
    assert.deepEqual(workspace.channels, [0]);
    await show(3, false);
    assert.deepEqual(workspace.channels, [0, 1, 2]);
    await show(0, false);
    assert.deepEqual(workspace.channels, [1, 2]);
    workspace.linked = false;
    await show(1, false);
    assert.deepEqual(workspace.channels, [1, 2]);
    workspace.linked = true;
    await workspace.followShown();
    assert.deepEqual(workspace.channels, [2]);
    await workspace.close();
  });

  it('uses embeddings that were computed before, where they are of this image', async () => {
    const before = memoryStore();
    const picture = image('cells', [16, 20], 'yx');
    const source = await openImage(picture);
    const model = resolveModel();
    const computed = await openEmbeddings({ source, worker: hashEncoder(), model, store: before });
    const { features } = await computed.embedding({ plane: 0 });
    await computed.stored();
    const workspace = open();
    await workspace.open(picture, { embeddings: before });
    await workspace.session.prepare();
    assert.equal(workspace.session.state.embedding, 'ready', 'nothing had to be encoded');
    assert.equal(features.data.length, 256 * 64 * 64);
    await workspace.open(image('other', [16, 24], 'yx'), { embeddings: before });
    assert.equal(workspace.session.state.image?.name, 'other');
    assert.match(workspace.embeddingNotes.join(' '), /embeddings given with -e are not used/);
    await workspace.close();
  });

  it('goes on with the model that made the embeddings of a stack, unless another is chosen', async () => {
    const picture = image('stack', [3, 16, 20], 'zyx');
    for (const name of ['vit_t', 'msi_lm']) {
      const before = memoryStore();
      const source = await openImage(picture);
      const model = resolveModel(name);
      const computed = await openEmbeddings({ source, worker: hashEncoder(), model, store: before });
      await computed.embedding({ plane: 0 });
      await computed.stored();
      const workspace = open();
      await workspace.open(picture, { embeddings: before });
      assert.equal(workspace.model.name, name);
      assert.deepEqual(workspace.embeddingNotes, []);
      await workspace.open(picture);
      assert.equal(workspace.model.name, DEFAULT_MODEL, 'the choice was of that store');
      await workspace.close();
    }
  });
});
