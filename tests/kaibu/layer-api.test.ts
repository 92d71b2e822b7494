import assert from 'node:assert/strict';
import { closeApi, layerApi } from '../../plugin/viewer/layers/layer.js';

describe("a layer's functions over RPC", () => {
  /** As imjoy-rpc keeps an object with functions, each time that it sends it (`RPC._encode`). */
  const kept = new Map<string, object>();
  function send(id: string, api: Record<string, unknown>): string[] {
    kept.set(id, api);
    if (typeof api.on === 'function') api.on('close', () => kept.delete(id));
    return Object.keys(api);
  }

  it('are let go of when the layer is removed, however often they were sent', () => {
    const [gone, there] = ['gone', 'there'].map((name) => layerApi({ name, id: name, set_image: () => undefined }));
    assert.deepEqual(send('1', gone), ['_rintf', 'name', 'id', 'set_image']);
    send('2', gone);
    send('3', there);
    closeApi(gone);
    assert.deepEqual([...kept.keys()], ['3']);
  });
});
