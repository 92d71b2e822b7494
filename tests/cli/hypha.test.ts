import assert from 'node:assert/strict';
import { once } from 'node:events';
import { decodeMulti, encode } from '@msgpack/msgpack';
import { WebSocket } from 'ws';
import { nodeService } from '../../src/app/node-service.js';
import { HyphaEndpoint } from '../../src/cli/serve/hypha-endpoint.js';
import { fromRpcArray } from '../../src/io/rpc-array.js';
import { brightWorker } from '../support/bright-worker.js';
import { type SocketServer, serveSockets } from '../support/socket-server.js';

type Message = Readonly<Record<string, unknown>>;

/** The wire of Hypha's clients, by hand; tests/integration/python-client.test.ts has a real one. */
describe('server for clients of Hypha', () => {
  const token = 'a token of the test';
  let server: SocketServer;
  let address: string;
  let worker: ReturnType<typeof brightWorker>;
  beforeEach(async () => {
    worker = brightWorker(1);
    const open = () => nodeService(worker);
    server = await serveSockets([new HyphaEndpoint({ token, open, log: () => undefined })], token);
    address = `${server.address}/ws`;
  });
  afterEach(() => server.close());

  async function connected() {
    const socket = new WebSocket(address);
    await once(socket, 'open');
    socket.send(JSON.stringify({ token, client_id: 'me' }));
    const [hello] = await once(socket, 'message');
    let count = 0;
    const call = async (method: string, args: readonly unknown[], extra: Message = {}, of = 'services.') => {
      const session = `s${++count}`;
      const answer = new Promise<unknown>((resolve, reject) => {
        const listen = (data: Buffer) => {
          const [main, { args: given }] = [...decodeMulti(data)] as [Message, { args: [unknown] }];
          if (!String(main.method).startsWith(`${session}.`) || String(main.method).endsWith('heartbeat')) return;
          socket.off('message', listen);
          if (main.method === `${session}.resolve`) resolve(given[0]);
          else reject(new Error(String((given[0] as Message)._rvalue)));
        };
        socket.on('message', listen);
      });
      const main = { type: 'method', from: 'micro-sam/me', to: '*/micro-sam', method: `${of}${method}`, session };
      socket.send(Buffer.concat([encode(main), encode({ args, promise: '*', t: 30, ...extra })]));
      return answer;
    };
    return { socket, hello: JSON.parse(String(hello)) as Message, call };
  }

  it('gives the service to who knows the token, each with an image of its own', async () => {
    const { hello, call } = await connected();
    assert.deepEqual([hello.type, hello.workspace, hello.client_id], ['connection_info', 'micro-sam', 'me']);
    const service = (await call('default.get_service', ['micro-sam'])) as Record<string, Message>;
    assert.equal(service.open_image._rmethod, 'services.micro-sam.open_image');
    const values = Uint8Array.from({ length: 40 * 60 }, (_, p) => (p % 60 < 20 ? 200 : 0));
    const image = { _rtype: 'ndarray', _rvalue: values, _rshape: [40, 60], _rdtype: 'uint8' };
    await call('micro-sam.open_image', [image, { name: 'cells' }], { with_kwargs: true });
    await call('micro-sam.add_point_prompts', [[[9, 9]], { labels: [1] }], { with_kwargs: true });
    assert.deepEqual(await call('micro-sam.commit', []), { added: [1], dropped: [], overwritten: [] });
    const labels = fromRpcArray(await call('micro-sam.get_layer', ['committed_objects']));
    assert.deepEqual(labels.shape, [40, 60]);
    assert.deepEqual([labels.data[9 * 60 + 9], labels.data[9 * 60 + 40]], [1, 0]);
    const other = await connected();
    await assert.rejects(other.call('micro-sam.commit', []), /^Error: no_image: /);
    await assert.rejects(call('micro-sam.add_point_prompts', [[[1, 1]], { plan: 0 }]), /did you mean `plane`/);
  });

  it('refuses other tokens, pages from elsewhere, functions that nobody offers, and what is no message', async () => {
    const wrong = new WebSocket(address);
    await once(wrong, 'open');
    wrong.send(JSON.stringify({ token: 'another' }));
    const [told] = await once(wrong, 'message');
    assert.match(String(told), /"error".*token is missing or wrong/);
    const elsewhere = new WebSocket(address, { origin: 'http://elsewhere.org' });
    const [error] = await once(elsewhere, 'error');
    assert.match(String(error), /403/);
    const { socket, call } = await connected();
    for (const method of ['micro-sam.constructor', 'micro-sam.__proto__.x', 'other.run', 'built-in.eval'])
      await assert.rejects(call(method, []), /not_found|no function/, method);
    await assert.rejects(call('micro-sam.open_image', [{ _rtype: 'iostream' }]), /cannot be sent here/);
    socket.send(Buffer.from([0xc1, 1, 2, 3]));
    const [code] = await once(socket, 'close');
    assert.equal(code, 1007);
  });

  it('answers several scripts at once, each about its own image', async () => {
    const scripts = await Promise.all(Array.from({ length: 4 }, (_, k) => annotated(10 * k)));
    for (const [k, { labels }] of scripts.entries()) {
      const row = labels.subarray(9 * 60, 10 * 60);
      assert.deepEqual([row.indexOf(1), row.lastIndexOf(1)], [10 * k, 10 * k + 19]);
    }
  });

  async function annotated(left: number) {
    const { call } = await connected();
    const values = Uint8Array.from({ length: 40 * 60 }, (_, p) => (p % 60 >= left && p % 60 < left + 20 ? 200 : 0));
    await call('micro-sam.open_image', [
      { _rtype: 'ndarray', _rvalue: values, _rshape: [40, 60], _rdtype: 'uint8' },
      { name: `cells ${left}` },
    ]);
    // Nothing is awaited in between.
    const asked = [
      call('micro-sam.add_point_prompts', [[[9, left + 9]]]),
      call('micro-sam.commit', []),
      call('micro-sam.get_layer', ['committed_objects']),
    ];
    return { labels: fromRpcArray((await Promise.all(asked))[2]).data as Uint32Array };
  }

  it('ends what a script has asked for when the script is gone, and goes on for the others', async () => {
    const [dying, other] = [await connected(), await connected()];
    const planes = 500;
    const values = Uint8Array.from({ length: planes * 16 * 16 }, (_, p) => (p % 251) ^ (p >> 8));
    const stack = { _rtype: 'ndarray', _rvalue: values, _rshape: [planes, 16, 16], _rdtype: 'uint8' };
    const ended = dying.call('micro-sam.precompute_image_embeddings', [stack, { axes: 'zyx' }]);
    ended.catch(() => undefined);
    while (worker.encoded === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    dying.socket.terminate();
    const one = { _rtype: 'ndarray', _rvalue: values.subarray(0, 256), _rshape: [16, 16], _rdtype: 'uint8' };
    const ask = () => other.call('micro-sam.segment_from_points', [one, [[1, 1]]]);
    let before: number;
    do {
      before = worker.encoded;
      await ask();
    } while (worker.encoded > before + 1 && worker.encoded < planes);
    assert.ok(worker.encoded < planes, 'only what the other asks for is encoded');
  });

  it('hands out results as they come, to who asked for them, and ends what nobody reads on', async () => {
    const [reader, other] = [await connected(), await connected()];
    const planes = 400;
    const values = Uint8Array.from({ length: planes * 16 * 16 }, (_, p) => (p % 251) ^ (p >> 8));
    const stack = { _rtype: 'ndarray', _rvalue: values, _rshape: [planes, 16, 16], _rdtype: 'uint8' };
    const options = { ndim: 2, axes: 'zyx', mode: 'ais', stream: true };
    const asked = { with_kwargs: true };
    const stream = (await reader.call('micro-sam.automatic_instance_segmentation', [stack, options], asked)) as Message;
    assert.equal(stream._rtype, 'generator');
    const next = String(stream._rmethod);
    const item = (await reader.call(next, [], {}, '')) as { plane: number; labels: unknown };
    assert.deepEqual([item.plane, fromRpcArray(item.labels).shape], [0, [16, 16]]);
    const over = { _rtype: 'stop_iteration' };
    assert.deepEqual(await other.call(next, [], {}, ''), over);
    assert.deepEqual(await reader.call(String(stream._rclose_method), [], {}, ''), over);
    assert.deepEqual(await reader.call(next, [], {}, ''), over);
    const { encoded } = worker;
    assert.ok(encoded < planes, `${encoded} encoded`);
  });

  it('takes messages in pieces', async () => {
    const { call } = await connected();
    const message = Buffer.concat([
      encode({
        type: 'method',
        from: 'micro-sam/me',
        to: '*/micro-sam',
        method: 'services.micro-sam.set_settings',
        session: 'none',
      }),
      encode({ args: [{ brush_size: 7 }] }),
    ]);
    await call('built-in.message_cache.create', ['k', false]);
    await call('built-in.message_cache.set', ['k', 1, message.subarray(40), false]);
    await call('built-in.message_cache.set', ['k', 0, message.subarray(0, 40), false]);
    await call('built-in.message_cache.process', ['k', false]);
    assert.equal(((await call('micro-sam.get_settings', [])) as { brush_size: number }).brush_size, 7);
    await assert.rejects(call('built-in.message_cache.set', ['other', 0, message, false]), /belongs to no message/);
  });
});
