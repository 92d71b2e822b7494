import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { SamError } from '../../src/errors.js';
import type { Progress } from '../../src/task.js';
import { type Channel, giveAway, type PortLike, portChannel } from '../../src/worker/channel.js';
import { Connection, type Functions } from '../../src/worker/connection.js';
import { postboxChannel, servePostbox } from '../../src/worker/postbox.js';
import { remoteWorker } from '../../src/worker/remote.js';
import { PROTOCOL, type SamWorker } from '../../src/worker/sam-worker.js';
import { serveWorker } from '../../src/worker/served.js';
import { bytesChannel } from '../support/bytes-channel.js';

interface Ends {
  readonly here: Channel;
  readonly there: Channel;
}

const opened: Channel[] = [];
afterEach(() => {
  for (const channel of opened.splice(0)) channel.close();
});

function ports(): Ends {
  const { port1, port2 } = new MessageChannel();
  return { here: portChannel(port1 as unknown as PortLike), there: portChannel(port2 as unknown as PortLike) };
}

async function postbox(): Promise<Ends> {
  let there: Channel | undefined;
  const box = servePostbox((channel) => {
    there = channel;
  });
  const here = await postboxChannel(box);
  return { here, there: there as unknown as Channel };
}

const LINKS = { bytes: bytesChannel, ports, postbox };

function opening({ here, there }: Ends): Ends {
  opened.push(here, there);
  return { here, there };
}

const reasonOf = (channel: Channel) => new Promise<string>((resolve) => channel.onClose(resolve));
const hello = { type: 'hello', protocol: PROTOCOL };

for (const [name, link] of Object.entries(LINKS))
  describe(`a connection over ${name}`, () => {
    async function connected(functions: Functions) {
      const { here, there } = opening(await link());
      const served = new Connection(there, functions);
      return { client: new Connection(here, {}), served, here, there };
    }

    it('gives every array as the array it was, with only its own bytes', async () => {
      const { client } = await connected({ echo: async (_, ...args) => args });
      const whole = Uint8Array.from({ length: 64 }, (_, i) => i);
      const types = [
        Int8Array,
        Uint8Array,
        Int16Array,
        Uint16Array,
        Int32Array,
        Uint32Array,
        Float32Array,
        Float64Array,
      ];
      const views = types.map((ArrayType) => new ArrayType(whole.buffer, 8, 3));
      const sent = {
        views,
        empty: new Float32Array(0),
        buffer: whole.slice(0, 5).buffer,
        absent: undefined,
        none: null,
      };
      const [got] = await client.call<(typeof sent)[]>('echo', [sent]);
      assert.deepEqual(Object.keys(got).sort(), ['buffer', 'empty', 'none', 'views']);
      assert.deepEqual([got.views, got.empty, got.none], [views, sent.empty, null]);
      assert.deepEqual(new Uint8Array(got.buffer), whole.slice(0, 5));
      for (const view of got.views) assert.equal(view.buffer.byteLength, view.byteLength);
    });

    it('gives errors with their code and details, and names what there is not', async () => {
      const { client } = await connected({
        refuse: async () => {
          throw new SamError('no_prompts', 'Give points.', { details: { got: [1, 2], expected: 'points' } });
        },
        break: () => {
          throw new RangeError('Too long.');
        },
        odd: async () => Promise.reject(Object.assign(new SamError('internal', 'Odd.'), { code: 'no such code' })),
        circle: async () => {
          const details: Record<string, unknown> = {};
          details.self = details;
          throw new SamError('storage', 'Full.', { details });
        },
        unsendable: async () => [new BigInt64Array(1), () => 1],
      });
      const failure = (call: Promise<unknown>) =>
        call.then(
          () => assert.fail('It was answered.'),
          (error: SamError) => {
            assert.ok(error instanceof SamError);
            return [error.code, error.message, error.details];
          },
        );
      assert.deepEqual(await failure(client.call('refuse')), [
        'no_prompts',
        'Give points.',
        { got: [1, 2], expected: 'points' },
      ]);
      assert.deepEqual(await failure(client.call('break')), ['internal', 'Too long.', {}]);
      assert.deepEqual(await failure(client.call('odd')), ['internal', 'Odd.', {}]);
      assert.deepEqual(await failure(client.call('circle')), ['storage', 'Full.', {}]);
      assert.equal((await failure(client.call('unsendable')))[0], 'internal');
      for (const missing of ['nothing', 'constructor', 'toString', '__proto__', ''])
        assert.deepEqual(await failure(client.call(missing)), [
          'unsupported',
          `There is no function '${missing}' here: both sides must be of one version.`,
          {},
        ]);
    });

    it('tells of progress before the result, and ends the call of who cannot take it', async () => {
      const ended: boolean[] = [];
      const { client } = await connected({
        count: async ({ onProgress, signal }, to) => {
          for (let done = 1; done <= Number(to); done++) onProgress({ done, total: Number(to), message: 'Counting' });
          while (to === 4 && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1));
          ended.push(signal.aborted);
          return to;
        },
      });
      const steps: Progress[] = [];
      assert.equal(await client.call('count', [3], { onProgress: (step) => steps.push(step) }), 3);
      assert.deepEqual(
        steps.map(({ done, total, message }) => [done, total, message]),
        [1, 2, 3].map((done) => [done, 3, 'Counting']),
      );
      const onProgress = () => {
        throw new Error('I cannot draw this.');
      };
      await assert.rejects(client.call('count', [4], { onProgress }), /I cannot draw this/);
      while (ended.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      assert.deepEqual(ended, [false, true]);
    });

    it('cancels at once, also on the other side, and sends nothing for what was cancelled before', async () => {
      let began = 0;
      const cancelled: unknown[] = [];
      const { client } = await connected({
        wait: ({ signal }, what) => {
          began++;
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => {
              cancelled.push(what);
              reject(new SamError('cancelled', 'Cancelled.'));
            }),
          );
        },
        info: async () => 'fine',
      });
      const controller = new AbortController();
      const [first, second] = ['first', 'second'].map((what) =>
        client.call('wait', [what], { signal: what === 'first' ? controller.signal : undefined }),
      );
      second.catch(() => undefined);
      while (began < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      controller.abort('enough');
      await assert.rejects(first, (error: SamError) => error.code === 'cancelled' && error.cause === 'enough');
      await assert.rejects(client.call('wait', ['third'], { signal: AbortSignal.abort() }), { code: 'cancelled' });
      assert.equal(await client.call('info'), 'fine');
      assert.deepEqual([began, cancelled], [2, ['first']]);
    });

    it('rejects what is pending when it ends, and cancels what runs', async () => {
      const signals: AbortSignal[] = [];
      const { client, there } = await connected({
        wait: ({ signal }) => {
          signals.push(signal);
          return new Promise(() => undefined);
        },
      });
      const pending = [client.call('wait'), client.call('wait')];
      const settled = Promise.allSettled(pending);
      while (signals.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      there.close();
      for (const result of await settled)
        assert.equal(result.status === 'rejected' && result.reason.code, 'worker_lost');
      await assert.rejects(client.call('wait'), { code: 'worker_lost' });
      assert.ok(signals.every(({ aborted }) => aborted));
    });

    it('is called in both directions', async () => {
      const { here, there } = opening(await link());
      const a = new Connection(here, { name: async () => 'here' });
      const b = new Connection(there, { name: async () => 'there' });
      assert.deepEqual(await Promise.all([a.call('name'), b.call('name')]), ['there', 'here']);
    });

    it('says so when the other side is of another version, and calls nothing', async () => {
      for (const [first, theirs] of [
        [{ type: 'hello', protocol: PROTOCOL + 1 }, `protocol ${PROTOCOL + 1}`],
        [{ type: 'hello', protocol: 'new', more: 1 }, 'another protocol'],
        [{ type: 'getInterface' }, 'another protocol'], // what versions before 3 said
        [{}, 'another protocol'],
      ] as const) {
        const { here, there } = opening(await link());
        const heard: object[] = [];
        const reason = reasonOf(here);
        there.onMessage((message) => heard.push(message));
        const client = new Connection(here, {});
        const call = client.call('info');
        there.send(first);
        const message = `The other side speaks ${theirs}, this program ${PROTOCOL}: install the same version on both sides.`;
        await assert.rejects(call, { code: 'unsupported', message });
        await assert.rejects(client.ready, { code: 'unsupported' });
        assert.equal(await reason, message);
        assert.ok(heard.every((one) => (one as { type: string }).type === 'hello'));
      }
    });

    it('is closed to who sends what is no message', async () => {
      let deep: unknown = 1;
      for (let i = 0; i < 100; i++) deep = [deep];
      const call = { type: 'call', id: 1, name: 'wait', args: [] };
      for (const wrong of [
        { type: 'method', name: 'wait', args: [] },
        { type: 'hello', protocol: PROTOCOL },
        { ...call, id: 0 },
        { ...call, id: 1.5 },
        { ...call, id: '1' },
        { ...call, id: 2 ** 60 },
        { ...call, name: 7 },
        { ...call, name: 'x'.repeat(1000) },
        { ...call, args: { length: 1 } },
        { ...call, args: Array(100).fill(0) },
        { ...call, args: [deep] },
        { ...call, args: [{ constructor: 1 }] },
        { ...call, args: [JSON.parse('{"__proto__":{"polluted":1}}')] },
        { type: 'progress', id: 1, progress: 7 },
        { type: 'error', id: 1 },
        { type: 'error', id: 1, error: { code: 7, message: 'x', details: {} } },
        { type: 'cancel' },
        {},
      ]) {
        const { here, there } = opening(await link());
        const reasons = reasonOf(there);
        let called = 0;
        new Connection(there, { wait: () => called++ });
        here.onClose(() => undefined);
        for (const message of [hello, wrong]) here.send(message);
        assert.match(await reasons, /not a message of this program/, JSON.stringify(wrong));
        assert.equal(called, 0);
      }
      assert.equal(({} as { polluted?: number }).polluted, undefined);
    });

    it('is closed to who takes the number of a call that is under way, and passes over what nobody waits for', async () => {
      const { here, there } = opening(await link());
      let called = 0;
      const reason = reasonOf(there);
      new Connection(there, {
        wait: () => {
          called++;
          return new Promise(() => undefined);
        },
        info: async () => 'fine',
      });
      const heard: object[] = [];
      here.onMessage((message) => heard.push(message));
      for (const message of [
        hello,
        { type: 'value', id: 9, value: 1 },
        { type: 'error', id: 9, error: { code: 'x', message: 'x', details: {} } },
        { type: 'progress', id: 9, progress: {} },
        { type: 'cancel', id: 9 },
        { type: 'call', id: 9, name: 'info', args: [] },
      ])
        here.send(message);
      while (heard.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      assert.deepEqual(heard, [hello, { type: 'value', id: 9, value: 'fine' }]);
      for (let i = 0; i < 2; i++) here.send({ type: 'call', id: 10, name: 'wait', args: [] });
      assert.match(await reason, /not a message of this program/);
      assert.equal(called, 1);
    });
  });

describe('a connection', () => {
  it('moves the buffers that were given away', async () => {
    const { here, there } = opening(ports());
    const made: Float32Array[] = [];
    new Connection(there, {
      make: async (_, given) => {
        made.push(Float32Array.of(1, 2));
        if (given) giveAway(made.at(-1)!.buffer);
        return made.at(-1);
      },
    });
    const client = new Connection(here, {});
    for (const given of [false, true]) assert.deepEqual(await client.call('make', [given]), Float32Array.of(1, 2));
    assert.deepEqual(
      made.map(({ length }) => length),
      [2, 0],
    );
  });

  it('says of a worker of another version what to do', async () => {
    const { here, there } = opening(ports());
    there.onMessage(() => undefined);
    there.send({ type: 'hello', protocol: PROTOCOL + 1 });
    await assert.rejects(remoteWorker(here), { code: 'unsupported', message: /install the same version/ });
  });

  it('takes no notice of a client that goes before it has said hello', async () => {
    const { here, there } = opening(bytesChannel());
    serveWorker(there, { info: async () => ({ provider: 'none' }) } as unknown as SamWorker);
    here.close();
    await new Promise((resolve) => setTimeout(resolve)); // an unhandled rejection would end the run
  });
});
