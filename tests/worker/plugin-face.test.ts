import assert from 'node:assert/strict';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { registerModel } from '../../src/model/registry.js';
import { type PortLike, portChannel } from '../../src/worker/channel.js';
import { servePlugin } from '../../src/worker/plugin-face.js';
import { referenceResults } from '../contracts/worker.js';
import { diskImage } from '../support/real-worker.js';
import { type RemoteApi, rpcPeer } from '../support/rpc-peer.js';
import { TINY_MODEL } from '../support/tiny-model.js';

interface NdArray {
  _rvalue: ArrayBuffer;
  _rshape: number[];
  _rdtype: string;
}

/** The worker as another ImJoy plugin meets it: plain imjoy-rpc on the other side, none of this project's code. */
describe('servePlugin', () => {
  const { data, shape } = diskImage();
  const image = { _rtype: 'ndarray', _rvalue: data.buffer, _rshape: [...shape], _rdtype: 'uint8' };
  let plugin: RemoteApi;
  let initialized: Promise<{ config: { name: string; type: string; allow_execution: boolean } }>;
  let port: MessagePort;
  before(async () => {
    const { port1, port2 } = new MessageChannel();
    port = port2;
    initialized = new Promise((resolve) =>
      port.on('message', (message) => {
        if (message.type === 'initialized') resolve(message);
      }),
    );
    const { worker } = await referenceResults();
    registerModel(TINY_MODEL);
    void servePlugin(portChannel(port1 as unknown as PortLike), worker);
    plugin = await rpcPeer(port, {}, 'a plugin');
  });
  after(() => port.close());

  it('introduces itself as a plugin', async () => {
    const { config } = await initialized;
    assert.deepEqual([config.name, config.type, config.allow_execution], ['micro-sam-worker', 'rpc-worker', false]);
    await plugin.setup();
    assert.equal(((await plugin.get_info()) as { name: string }).name, 'reference');
  });

  it('encodes an ndarray to the features of the worker itself, with progress', async () => {
    const steps: unknown[] = [];
    const progress = { _rintf: true, report: async (step: unknown) => void steps.push(step) };
    const answer = (await plugin.encode(image, { model: TINY_MODEL.name, progress })) as {
      features: NdArray;
      original_size: number[];
    };
    const { tiny } = await referenceResults();
    assert.deepEqual(new Float32Array(answer.features._rvalue), tiny.features.data);
    assert.deepEqual([answer.features._rshape, answer.features._rdtype], [[1, 256, 64, 64], 'float32']);
    assert.deepEqual(answer.original_size, [256, 256]);
    assert.ok(steps.length > 0);
  });

  it('segments the disk from a point and from a box, with the real model', async () => {
    const { id } = (await plugin.encode(image)) as { id: string };
    for (const prompt of [{ points: [[128, 128]] }, { box: [107, 107, 150, 150] }]) {
      const { mask, score } = (await plugin.predict(id, prompt)) as { mask: NdArray; score: number };
      const found = new Uint8Array(mask._rvalue);
      assert.deepEqual([mask._rshape, mask._rdtype], [[256, 256], 'uint8']);
      let [both, either] = [0, 0];
      found.forEach((inside, i) => {
        const truth = data[i * 3] > 0;
        if (inside && truth) both++;
        if (inside || truth) either++;
      });
      assert.ok(both / either > 0.9, `IoU ${both / either}`);
      assert.ok(score > 0.8 && score <= 1.1);
    }
  });

  it('says what is wrong by code and sentence', async () => {
    const message = (call: Promise<unknown>) => call.then(String, (error) => String(error.message ?? error));
    assert.match(await message(plugin.predict('nothing', { points: [[1, 1]] })), /no_embedding: .*call encode first/);
    assert.match(await message(plugin.encode({ ...image, _rshape: [3, 3] })), /invalid_image: .*do not fill/);
    assert.match(await message(plugin.encode({ ...image, _rdtype: 'object' })), /unsupported: .*type object/);
    assert.match(await message(plugin.encode('cells.tif')), /invalid_argument: Expected an ndarray/);
    assert.match(await message(plugin.encode(image, { model: 'vit_nonsense' })), /model_unavailable: /);
    const { id } = (await plugin.encode(image, { model: TINY_MODEL.name })) as { id: string };
    assert.match(await message(plugin.predict(id, {})), /no_prompts: /);
    assert.match(
      await message(plugin.predict(id, { points: [[1, 1]], labels: [1, 0] })),
      /invalid_prompt: .*1 points and 2 labels/,
    );
    assert.match(await message(plugin.predict(id, { points: [1] })), /invalid_prompt: /);
    assert.match(await message(plugin.predict(id, { box: ['a', 1, 2, 3] })), /invalid_prompt: /);
  });
});
