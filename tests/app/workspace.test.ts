import assert from 'node:assert/strict';
import { Workspace } from '../../src/app/workspace.js';
import { SamError } from '../../src/errors.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { forgetModel, registerModel } from '../../src/model/registry.js';
import type { EncodingChange } from '../../src/service/engine.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/** How an image goes to the model, as a window changes it: what fails leaves all as it was, however changes overlap. */
describe('the encoding of an open image', () => {
  const names = ['one', 'two', 'three'];
  const { image } = cellPhantom({ seed: 3, size: [64, 64], cells: 3 });
  /** By model: what ends its loading. */
  const loading = new Map<string, { readonly finish: () => void; readonly fail: () => void }>();
  let workspace: Workspace;

  before(() => {
    for (const name of names)
      registerModel({ name, encoder: `http://127.0.0.1/${name}`, decoder: 'http://127.0.0.1/d' });
  });
  after(() => {
    for (const name of names) forgetModel(name, undefined);
  });
  beforeEach(async () => {
    const unused = () => Promise.reject(new SamError('no_worker', 'There is no model here.'));
    const worker: SamWorker = {
      load: ({ name }) =>
        new Promise((resolve, reject) => {
          loading.set(name, {
            finish: resolve,
            fail: () => reject(new SamError('model_unavailable', `${name} is not there.`)),
          });
        }),
      info: unused,
      encode: unused,
      decode: unused,
      decodeCandidates: unused,
      instanceMaps: unused,
      close: async () => undefined,
    };
    const lease = { held: true, take: async () => undefined, release: async () => undefined };
    workspace = new Workspace(Promise.resolve({ worker, store: memoryStore(), lease: async () => lease }));
    await workspace.open({ ...image, name: 'cells' });
  });
  afterEach(() => workspace.close());

  /** Asks for the model; resolves once it is being loaded, with how it ends. */
  async function change(
    name: string,
    wanted: EncodingChange = { model: name },
  ): Promise<{ readonly ended: Promise<unknown> }> {
    loading.delete(name);
    const ended = workspace.setEncoding(wanted).catch((error: unknown) => error);
    while (!loading.has(name)) await new Promise((resolve) => setImmediate(resolve));
    return { ended };
  }
  const shown = () => workspace.encodingSettings.model ?? workspace.model.name;

  it('is another when the model is there, and not before', async () => {
    const inUse = workspace.model.name;
    const { ended } = await change('one');
    assert.equal(workspace.model.name, inUse);
    assert.equal(shown(), 'one', 'the panel shows what was chosen');
    loading.get('one')?.finish();
    assert.equal(await ended, undefined);
    assert.deepEqual([workspace.model.name, shown()], ['one', 'one']);
  });

  it('stays as it was when overlapping changes fail', async () => {
    const first = await change('one');
    loading.get('one')?.finish();
    await first.ended;
    const second = await change('two');
    const third = await change('three');
    loading.get('three')?.fail();
    assert.match(String(await third.ended), /three is not there/);
    assert.deepEqual([workspace.model.name, shown()], ['one', 'one']);
    loading.get('two')?.fail();
    assert.match(String(await second.ended), /Cancelled/, 'the later choice took its place');
    assert.deepEqual([workspace.model.name, shown()], ['one', 'one']);
    await workspace.setEncoding({ objectDiameter: 20 });
    assert.deepEqual([workspace.model.name, workspace.encodingSettings.objectDiameter], ['one', 20]);
  });

  it('is changed in another way together with a model that is still being loaded, or not at all', async () => {
    const inUse = workspace.model.name;
    await change('two');
    const both = await change('two', { objectDiameter: 9 });
    assert.equal(workspace.model.name, inUse);
    loading.get('two')?.fail();
    assert.match(String(await both.ended), /two is not there/);
    assert.deepEqual(
      [workspace.model.name, shown(), workspace.encodingSettings.objectDiameter],
      [inUse, inUse, undefined],
    );
  });

  it('keeps a pixel size that is stated while a model that fails is being loaded', async () => {
    const { ended } = await change('two');
    const pixelSize = { y: 0.5, x: 0.5, unit: 'µm' };
    await workspace.setEncoding({ pixelSize });
    loading.get('two')?.fail();
    await ended;
    assert.deepEqual(workspace.source?.pixelSize, pixelSize);
    assert.notEqual(shown(), 'two');
  });

  it('begins with the default model, single planes and stacks, until one is chosen', async () => {
    const stack = { data: new Uint8Array(3 * 64 * 64), shape: [3, 64, 64], axes: 'zyx', name: 'stack' } as const;
    assert.equal(workspace.model.name, 'msi_lm');
    await workspace.open(stack as never);
    assert.equal(workspace.model.name, 'msi_lm');
    const { ended } = await change('one');
    loading.get('one')?.finish();
    assert.equal(await ended, undefined);
    assert.equal(workspace.model.name, 'one');
    await workspace.open({ ...image, name: 'cells again' });
    assert.equal(workspace.model.name, 'one');
  });
});
