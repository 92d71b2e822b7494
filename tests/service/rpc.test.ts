import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { ERROR_CODES, SamError } from '../../src/errors.js';
import { fromRpcArray } from '../../src/io/rpc-array.js';
import { arrayImage, discService } from '../support/disc-service.js';
import { rpcPeer } from '../support/rpc-peer.js';

/** The error behind a text that `encodeError` made. */
function decodeError(error: unknown): SamError {
  const text = error instanceof Error ? error.message : String(error);
  const [, word, message] = /(?:^|\b)([a-z_]+): ([\s\S]*)$/.exec(text) ?? [];
  const code = ERROR_CODES.find((known) => known === word);
  return code && message !== undefined ? new SamError(code, message) : new SamError('internal', text);
}

describe('service over imjoy-rpc', () => {
  let close = () => {};
  afterEach(() => close());

  async function remote() {
    const { service, session } = discService();
    const { port1, port2 } = new MessageChannel();
    close = () => {
      port1.close();
      port2.close();
    };
    void rpcPeer(port2, service, 'plugin');
    return { api: await rpcPeer(port1, {}, 'script'), session };
  }

  it('arrays, results and error codes arrive', async () => {
    const { api } = await remote();
    const failed = await api.commit().catch(decodeError);
    assert.equal((failed as { code: string }).code, 'no_image');
    assert.match((failed as Error).message, /^Open an image first/);
    await api.open_image(arrayImage(), { name: 'sent' });
    await api.add_point_prompts([[10, 12]], { labels: [1] });
    assert.deepEqual(await api.commit(), { added: [1], dropped: [], overwritten: [] });
    const labels = fromRpcArray(await api.get_layer('committed_objects'));
    assert.equal(labels.data[10 * 60 + 12], 1);
  });

  it('a subscribed interface hears every change', async () => {
    const { api } = await remote();
    await api.open_image(arrayImage());
    const heard: number[][] = [];
    await api.on('commit', { _rintf: true, commit: ({ ids }: { ids: number[] }) => void heard.push([...ids]) });
    for (const x of [10, 30, 50]) {
      await api.add_point_prompts([[10, x]]);
      await api.commit();
    }
    const deadline = Date.now() + 5000;
    while (heard.length < 3 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(heard, [[1], [1, 2], [1, 2, 3]]);
  });
});
