import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Channel } from '../../src/worker/channel.js';
import { type Postbox, postboxChannel, servePostbox } from '../../src/worker/postbox.js';
import { remoteWorker } from '../../src/worker/remote.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { serveWorker } from '../../src/worker/served.js';
import { packMessage } from '../../src/worker/wire.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { seededRandom } from '../support/random.js';

/** Calls that take their time, each another. */
function slowly(box: Postbox, seed: number): Postbox {
  const random = seededRandom(seed);
  const late = async <T>(call: () => Promise<T>) => {
    await pause(3 * random());
    const result = await call();
    await pause(3 * random());
    return result;
  };
  return {
    open: () => late(() => box.open()),
    post: (...args) => late(() => box.post(...args)),
    collect: (...args) => late(() => box.collect(...args)),
    close: (...args) => late(() => box.close(...args)),
  };
}

function served(worker: SamWorker): Postbox {
  return servePostbox((channel) => serveWorker(channel, worker));
}

workerContract('a worker behind a postbox', async () => {
  const { worker } = await referenceResults();
  return remoteWorker(await postboxChannel(slowly(served(worker), 1)));
});

/** A link, and what has arrived at each end. */
async function linked(options: Parameters<typeof servePostbox>[1] = {}, seed = 1) {
  let there: Channel | undefined;
  const box = servePostbox((channel) => {
    there = channel;
  }, options);
  const here = await postboxChannel(slowly(box, seed));
  assert.ok(there);
  const arrived = { here: [] as object[], there: [] as object[] };
  here.onMessage((message) => arrived.here.push(message));
  there.onMessage((message) => arrived.there.push(message));
  return { box, here, there, arrived };
}

describe('a channel through a postbox', () => {
  it('keeps the order of messages in both directions, whatever the calls take', async () => {
    const { here, there, arrived } = await linked({ patience: 5 });
    const random = seededRandom(2);
    const sent = { here: [] as object[], there: [] as object[] };
    for (let n = 0; n < 300; n++) {
      const fromHere = random() < 0.5;
      const message = { n, bytes: new Uint8Array(n % 7).fill(n) };
      (fromHere ? here : there).send(message);
      sent[fromHere ? 'here' : 'there'].push(message);
      if (random() < 0.3) await pause(4 * random());
    }
    while (arrived.here.length < sent.there.length || arrived.there.length < sent.here.length) await pause(1);
    assert.deepEqual(arrived, { here: sent.there, there: sent.here });
    here.close();
  });

  it('tells both ends when one closes it, and sends nothing after that', async () => {
    for (const closing of ['here', 'there'] as const) {
      const { here, there } = await linked();
      const reasons = Promise.all([here, there].map((end) => new Promise<string>((resolve) => end.onClose(resolve))));
      (closing === 'here' ? here : there).close();
      assert.ok((await reasons).every((reason) => reason.length > 10));
      for (const end of [here, there]) assert.throws(() => end.send({}), { code: 'worker_lost' });
    }
  });

  it('is closed where the client is not heard of, and a name that is not known gets nothing', async () => {
    const ended: string[] = [];
    const box = servePostbox((channel) => channel.onClose((reason) => ended.push(reason)), { silence: 20 });
    const name = await box.open();
    while (ended.length === 0) await pause(1);
    assert.match(ended[0], /no longer heard from/);
    for (const link of [name, 'guess', undefined as unknown as string, {} as string]) {
      await assert.rejects(box.post(link, [packMessage({})]), { code: 'worker_lost' });
      await assert.rejects(box.collect(link), { code: 'worker_lost' });
      await box.close(link);
    }
  });

  it('ends the link of who sends what is no message, and takes no more links than it can hold', async () => {
    const channels: Channel[] = [];
    const box = servePostbox((channel) => channels.push(channel), { most: 2 });
    const [bad, good] = [await box.open(), await box.open()];
    await assert.rejects(box.open(), { code: 'worker_lost', message: /2 clients already/ });
    for (const garbage of [[new Uint8Array(3)], 7, null, ['text'], { length: 1 }])
      await assert.rejects(box.post(bad, garbage as unknown as Uint8Array[]));
    await assert.rejects(box.collect(bad), { code: 'worker_lost' });
    await box.post(good, [packMessage({ fine: 1 })]);
    assert.equal(typeof (await box.open()), 'string');
  });

  it('answers a call for messages that overtakes another one at once', async () => {
    const channels: Channel[] = [];
    const box = servePostbox((channel) => channels.push(channel), { patience: 60_000 });
    const name = await box.open();
    const first = box.collect(name);
    const second = box.collect(name);
    assert.deepEqual(await first, []);
    channels[0].send({ hello: 1 });
    assert.equal((await second).length, 1);
    await box.close(name);
  });
});
