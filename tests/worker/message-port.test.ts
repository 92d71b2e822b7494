import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { giveAway, type PortLike, portChannel } from '../../src/worker/channel.js';
import { connectWorker } from '../../src/worker/connect.js';
import { serveWorker } from '../../src/worker/served.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { diskImage } from '../support/real-worker.js';
import { TINY_MODEL } from '../support/tiny-model.js';

async function overPort() {
  const { worker } = await referenceResults();
  const { port1, port2 } = new MessageChannel();
  serveWorker(portChannel(port1 as unknown as PortLike), worker);
  return { worker: await connectWorker(port2 as unknown as PortLike), server: port1 };
}

workerContract('a worker behind a MessagePort', async () => (await overPort()).worker);

describe('connectWorker over a MessagePort', () => {
  it('rejects what is pending when the other side closes', async () => {
    const { worker, server } = await overPort();
    const pending = worker.encode(TINY_MODEL.name, diskImage());
    server.close();
    await assert.rejects(pending, { code: 'worker_lost' });
    await assert.rejects(worker.info(), { code: 'worker_lost' });
  });

  it('gives up when nobody answers', async () => {
    const { port1, port2 } = new MessageChannel();
    await assert.rejects(connectWorker(port1 as unknown as PortLike, { timeout: 50 }), { code: 'worker_lost' });
    port2.close();
  });
});

describe('portChannel', () => {
  it('moves the buffers that were given away, and copies the others', async () => {
    const { port1, port2 } = new MessageChannel();
    const [kept, given] = [Float32Array.of(1, 2), Float32Array.of(3, 4)];
    giveAway(given.buffer);
    const arrived = new Promise<object>((resolve) => portChannel(port2 as unknown as PortLike).onMessage(resolve));
    portChannel(port1 as unknown as PortLike).send({ type: 'reply', parts: [{ kept, given: given.buffer }] });
    assert.deepEqual(await arrived, {
      type: 'reply',
      parts: [{ kept: Float32Array.of(1, 2), given: Float32Array.of(3, 4).buffer }],
    });
    assert.deepEqual([kept.length, given.length], [2, 0]);
    port1.close();
  });
});
