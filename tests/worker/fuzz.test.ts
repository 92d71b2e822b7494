import assert from 'node:assert/strict';
import { tensor } from '../../src/ndimage/array.js';
import { type PortLike, portChannel } from '../../src/worker/channel.js';
import { Connection } from '../../src/worker/connection.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { serveWorker } from '../../src/worker/served.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import { type FuzzOutcome, fuzzCalls, fuzzMessages, fuzzModels, fuzzWire } from '../support/worker-fuzz.js';

/** A short run; `MICRO_SAM_FUZZ=200000 node tests/run.mjs worker/fuzz` is the long one. */
const LONG = Number(process.env.MICRO_SAM_FUZZ ?? 0);

describe('what is wrong by its grammar', function () {
  this.timeout(120_000 + LONG * 10);
  let worker: SamWorker;

  before(async () => {
    worker = await realWorker();
    await worker.load(TINY_MODEL);
  });
  after(() => worker.close());

  const isFine = ({ failures, refused, cases }: FuzzOutcome) => {
    assert.deepEqual(failures.slice(0, 5), []);
    assert.ok(refused > 0 && refused < cases, `${refused} of ${cases} were refused`);
  };

  it('models are read or refused', async () => isFine(await fuzzModels(LONG || 2000, 1)));

  it('bytes are read as messages or refused', async () => isFine(await fuzzWire(LONG || 5000, 2)));

  it('messages are answered, passed over, or end their connection', async () =>
    isFine(await fuzzMessages(LONG || 2000, 4)));

  it('calls are answered or refused', async () => {
    const { port1, port2 } = new MessageChannel();
    serveWorker(portChannel(port1 as PortLike), worker);
    const client = new Connection(portChannel(port2 as PortLike), {});
    const image = diskImage(64);
    const embedding = await worker.encode('tiny', image);
    const prompts = { coords: Float32Array.of(512, 512), labels: Float32Array.of(1), batch: 1, points: 1 };
    const good = {
      load: [TINY_MODEL],
      encode: ['tiny', image, {}],
      decode: ['tiny', embedding, prompts, { iouFloor: 2, edges: { tokens: [1], background: true } }],
      decodeCandidates: ['tiny', embedding, prompts, { iouFloor: 2, stabilityFloor: 0 }],
      instanceMaps: ['tiny', embedding, tensor(image.data, image.shape)],
    };
    isFine(await fuzzCalls(client, good, LONG ? LONG / 20 : 300, 3));
    assert.equal((await worker.encode('tiny', image)).features.data.length, 256 * 64 * 64);
    client.close();
    port1.close();
  });
});
