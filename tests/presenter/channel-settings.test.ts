import assert from 'node:assert/strict';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { RememberedChannels } from '../../src/presenter/image/channel-settings.js';

describe('what was chosen of channels', () => {
  const KEY = '12ab.json';
  const storeWith = async (text: string) => {
    const store = memoryStore();
    await store.set(KEY, new TextEncoder().encode(text));
    return store;
  };
  const open = (store: ReturnType<typeof memoryStore>) => RememberedChannels.open(store, '12ab', 2);

  it('is there again, in a file that says its version', async () => {
    const store = memoryStore();
    const channels = await open(store);
    channels.change(1, { color: '#00ff00', limits: [3, 9] });
    await channels.flush();
    assert.deepEqual(await listKeys(store), [KEY]);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(await store.get(KEY))), {
      version: 2,
      channels: [{}, { color: '#00ff00', limits: [3, 9] }],
    });
    const again = await open(store);
    assert.deepEqual([again.at(0), again.at(1)], [{}, { color: '#00ff00', limits: [3, 9] }]);
  });

  it('is read of the first files, which were a list', async () => {
    const channels = await open(await storeWith('[{"visible":false},{"color":"#ff0000"}]'));
    assert.deepEqual([channels.at(0), channels.at(1)], [{ visible: false }, { color: '#ff0000' }]);
  });

  it('stays as a newer program has written it', async () => {
    const text = '{"version":3,"channels":[{"visible":false},{}]}';
    const store = await storeWith(text);
    const channels = await open(store);
    assert.deepEqual(channels.at(0), {});
    channels.change(0, { visible: true });
    await channels.flush();
    assert.deepEqual(channels.at(0), { visible: true });
    assert.equal(new TextDecoder().decode(await store.get(KEY)), text);
  });

  it('is nothing where it is damaged, or of another number of channels', async () => {
    for (const text of ['', '{', '[{}]', 'null', '{"channels":[{},{"color":"red"}]}']) {
      const channels = await open(await storeWith(text));
      assert.deepEqual([channels.at(0), channels.at(1)], [{}, {}], text);
    }
  });
});
