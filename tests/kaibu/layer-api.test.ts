import assert from 'node:assert/strict';
import { closeApi, layerApi } from '../../plugin/viewer/layers/layer.js';

describe("a layer's functions over RPC", () => {
  it('do nothing once the layer is gone, and hold nothing of it', () => {
    const done: string[] = [];
    const api = layerApi({ name: 'a', id: '1', set_image: () => done.push('set_image') });
    const sent = api; // imjoy-rpc keeps this very object
    (sent.set_image as () => void)();
    const { set_image: before } = api;
    closeApi(api);
    assert.equal((sent.set_image as () => unknown)(), undefined);
    assert.deepEqual(done, ['set_image']);
    assert.notEqual(sent.set_image, before);
    assert.deepEqual([sent.name, sent.id, sent._rintf], ['a', '1', true]);
  });
});
