import assert from 'node:assert/strict';
import { openService } from '../../src/app/script-service.js';
import { Workspace } from '../../src/app/workspace.js';
import { fromRpcArray } from '../../src/io/rpc-array.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { brightWorker } from '../support/bright-worker.js';
import { arrayImage } from '../support/disc-service.js';

/** A script's own annotator, as scripts call it: without waiting, too early, too late, wrongly. */
describe('the service of a script', () => {
  const cell = (left: number) => {
    const data = Uint8Array.from({ length: 40 * 60 }, (_, p) => (p % 60 >= left && p % 60 < left + 20 ? 200 : 0));
    return { _rtype: 'ndarray', _rvalue: data.buffer, _rshape: [40, 60], _rdtype: 'uint8' };
  };
  const reasonOf = (call: Promise<unknown>) =>
    call.then(
      () => 'done',
      (error: Error) => error.message,
    );

  it('takes what is asked right after an image for that image, though nothing is awaited', async () => {
    const sam = await openService({ worker: brightWorker(5) });
    await sam.open_image(cell(0), { name: 'earlier' });
    const opened = sam.open_image(cell(30), { name: 'cells' });
    void sam.set_settings({ brush_size: 17 });
    void sam.load_model('vit_t');
    void sam.add_point_prompts([[9, 40]]);
    const committed = sam.commit();
    const labels = sam.get_layer('committed_objects');
    void sam.undo();
    const undone = sam.get_layer('committed_objects');
    const info = sam.get_settings();
    assert.equal((await opened).image?.name, 'cells');
    assert.deepEqual((await committed)?.added, [1]);
    const { data } = fromRpcArray(await labels);
    assert.deepEqual([data[9 * 60 + 9], data[9 * 60 + 40]], [0, 1]);
    assert.ok(fromRpcArray(await undone).data.every((label) => label === 0));
    assert.equal((await info).brush_size, 17);
    assert.equal(((await sam.get_info()) as unknown as { model: string }).model, 'vit_t');
    await sam.close();
  });

  it('does nothing to the image that stays where the one that was asked for cannot be opened, or another takes its place', async () => {
    const sam = await openService({ worker: brightWorker() });
    await sam.open_image(cell(0), { name: 'first' });
    const broken = reasonOf(sam.open_image(new Uint8Array(0), { name: 'broken.tif' }));
    const asked = [sam.add_point_prompts([[9, 9]]), sam.commit(), sam.get_layer('committed_objects')].map(reasonOf);
    assert.match(await broken, /^invalid_image: /);
    for (const said of await Promise.all(asked)) assert.match(said, /^cancelled: Not done.*broken\.tif/);
    assert.deepEqual(await sam.get_prompts(), []);
    const [second, commit, third] = [sam.open_image(cell(5)), sam.commit(), sam.open_image(cell(9))].map(reasonOf);
    assert.deepEqual([await second, await third], ['cancelled: Another image was opened instead.', 'done']);
    assert.match(await commit, /^cancelled: Not done/);
    assert.equal((await sam.get_state()).image?.name, 'array');
    await sam.close();
  });

  it('can be closed while it opens an image, twice, and refuses what comes after', async () => {
    const sam = await openService({ worker: brightWorker(5) });
    const opening = reasonOf(sam.open_image(cell(0)));
    const asked = reasonOf(sam.add_point_prompts([[9, 9]]));
    await Promise.all([sam.close(), sam.close()]);
    assert.match(await opening, /^cancelled: /);
    assert.match(await asked, /^cancelled: /);
    await sam.close();
    for (const late of [sam.open_image(cell(0)), sam.add_point_prompts([[9, 9]]), sam.commit()])
      assert.match(await reasonOf(late), /^(cancelled|no_image): /);
  });

  it('lets an image open to its end when the encoding is changed meanwhile, and changes it then', async () => {
    const lease = async () => ({ held: true, take: async () => undefined, release: async () => undefined });
    const parts = Promise.resolve({ worker: brightWorker(), store: memoryStore(), lease });
    const workspace = new Workspace(parts);
    const image = (name: string) => ({ data: new Uint8Array(60 * 40), shape: [4, 20, 30], axes: 'cyx', name });
    await workspace.open(image('first'));
    const opening = workspace.open({ ...image('second'), data: new Uint8Array(2400).fill(3) });
    const changed = workspace.setEncoding({ channels: [2] });
    await opening;
    await changed;
    assert.equal(workspace.session.state.image?.name, 'second');
    assert.deepEqual(workspace.channels, [2]);
    await workspace.close();
  });

  it('hands out an object slice by slice, and what is asked for meanwhile comes after it', async () => {
    const sam = await openService({ worker: brightWorker(1) });
    const planes = 6;
    const slice = new Uint8Array(cell(20)._rvalue);
    const stack = new Uint8Array(planes * slice.length);
    for (let plane = 0; plane < planes; plane++) stack.set(slice, plane * slice.length);
    void sam.annotator_3d({ _rtype: 'ndarray', _rvalue: stack.buffer, _rshape: [planes, 40, 60], _rdtype: 'uint8' });
    void sam.add_point_prompts([[9, 30]], { plane: 2 });
    const slices = await sam.segment_all_slices({ stream: true });
    const committed = sam.commit();
    const found = new Map<number, number>();
    for await (const item of slices) {
      const { plane, mask } = item as { plane: number; mask: unknown };
      const { data, shape } = fromRpcArray(mask);
      assert.deepEqual(shape, [40, 60]);
      found.set(
        plane,
        (data as Uint8Array).reduce((sum, one) => sum + one, 0),
      );
    }
    assert.deepEqual([...found.keys()].sort(), [0, 1, 2, 3, 4, 5]);
    assert.ok([...found.values()].every((area) => area === 800));
    assert.deepEqual((await committed)?.added, [1]);
    await sam.close();
  });

  it('knows no paths in a page, and says so', async () => {
    const sam = await openService({ worker: brightWorker() });
    await assert.rejects(sam.open_image('/data/cells.tif'), /^SamError: [a-z_]+: .*cells\.tif/);
    await assert.rejects(
      sam.precompute_image_embeddings(arrayImage(), { embedding_path: 'here' }),
      /A page has no folders/,
    );
    await sam.close();
  });
});
