import assert from 'node:assert/strict';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime, OrtSession, OrtTensor } from '../../src/model/runtime.js';
import { buildPrompts } from '../../src/model/transforms.js';
import { type PortLike, portChannel } from '../../src/worker/channel.js';
import { createLocalWorker } from '../../src/worker/local.js';
import { remoteWorker } from '../../src/worker/remote.js';
import type { SamWorker, WorkerInfo } from '../../src/worker/sam-worker.js';
import { serveWorker } from '../../src/worker/served.js';
import { diskImage, realWorker, sharedRuntime } from '../support/real-worker.js';
import { TINY_MODEL } from '../support/tiny-model.js';

/** A graphics device that computes rightly until something happens to it: ONNX Runtime itself, with a fault put in. */
class Device {
  private readonly listeners = new Set<(reason: string) => void>();
  private fault?: 'hangs' | 'rejects';

  /** @param change of what an output holds */
  constructor(private readonly change?: (output: OrtTensor) => void) {}

  async runtime(patience?: number): Promise<OrtRuntime> {
    const real = await sharedRuntime();
    return {
      name: real.name,
      provider: 'device',
      patience,
      tensor: real.tensor,
      whenLost: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
      createSession: async (...args) => this.session(await real.createSession(...args)),
    };
  }

  breakDown(fault: 'hangs' | 'rejects', { silently = false } = {}): void {
    this.fault = fault;
    if (!silently) for (const listener of this.listeners) listener('the graphics device was lost');
  }

  private session(session: OrtSession): OrtSession {
    return {
      ...session,
      release: () => session.release(),
      run: async (...args) => {
        if (this.fault === 'hangs') return new Promise(() => undefined);
        if (this.fault === 'rejects') throw new Error('/onnxruntime_src/core/webgpu.cc:99 mapAsync failed');
        const outputs = await session.run(...args);
        for (const output of Object.values(outputs)) this.change?.(output);
        return outputs;
      },
    };
  }
}

async function workerOn(device: Device, patience?: number): Promise<SamWorker> {
  const runtimes = [await device.runtime(patience), await sharedRuntime()];
  return createLocalWorker(runtimes, { fetchBytes: fetchBytesInNode });
}

describe('a device that fails in mid-work', function () {
  this.timeout(120_000);
  let wanted: { features: Float32Array; iou: Float32Array };

  const answers = async (worker: SamWorker) => {
    const embedding = await worker.encode('tiny', diskImage());
    const prompts = buildPrompts([{ points: [{ at: [128, 128], positive: true }] }], embedding);
    const { iou } = await worker.decode('tiny', embedding, prompts);
    return { features: embedding.features.data, iou };
  };

  before(async () => {
    const worker = await realWorker();
    await worker.load(TINY_MODEL);
    wanted = await answers(worker);
    await worker.close();
  });

  for (const fault of ['hangs', 'rejects'] as const)
    it(`is replaced by the other and the work done again, when what it is asked ${fault}`, async () => {
      const device = new Device();
      const worker = await workerOn(device);
      await worker.load(TINY_MODEL);
      assert.equal((await worker.info()).provider, 'device');
      assert.deepEqual(await answers(worker), wanted);
      device.breakDown(fault);
      const told = setTimeout(() => device.breakDown(fault), 100); // while the request is under way
      assert.deepEqual(await answers(worker), wanted);
      clearTimeout(told);
      const { provider, note, loaded } = await worker.info();
      assert.match(provider, /^cpu/);
      assert.match(note ?? '', /^device failed \(.*\); the work goes on with cpu/);
      assert.deepEqual(loaded, ['tiny']);
      await worker.close();
    });

  it('is given up when nothing is heard of it (thorough)', async () => {
    const device = new Device();
    const worker = await workerOn(device, 3000);
    await worker.load(TINY_MODEL);
    device.breakDown('hangs', { silently: true });
    assert.deepEqual(await answers(worker), wanted);
    assert.match((await worker.info()).note ?? '', /nothing was heard from it for 3 s/);
    await worker.close();
  });

  it('is not used for a model that is loaded after (thorough)', async () => {
    const device = new Device();
    const worker = await workerOn(device);
    await worker.load(TINY_MODEL);
    device.breakDown('hangs');
    const loading = worker.load({ ...TINY_MODEL, name: 'second' });
    setTimeout(() => device.breakDown('hangs'), 1000);
    await loading;
    assert.match((await worker.info()).provider, /^cpu/);
    await worker.close();
  });

  it('does not hide what is wrong with a request', async () => {
    const worker = await workerOn(new Device());
    await worker.load(TINY_MODEL);
    await assert.rejects(worker.encode('tiny', { data: new Uint8Array(3), shape: [9, 9, 3] }), {
      code: 'invalid_image',
    });
    assert.equal((await worker.info()).provider, 'device');
    await worker.close();
  });

  it('is told to the client of a connection', async () => {
    const device = new Device();
    const worker = await workerOn(device);
    const { port1, port2 } = new MessageChannel();
    const told: WorkerInfo[] = [];
    serveWorker(portChannel(port1 as PortLike), worker);
    const client = await remoteWorker(portChannel(port2 as PortLike), { onChange: (info) => told.push(info) });
    await client.load(TINY_MODEL);
    device.breakDown('rejects');
    await client.encode('tiny', diskImage());
    for (let tries = 0; told.length === 0 && tries < 100; tries++) await new Promise((r) => setTimeout(r, 10));
    assert.match(told[0].note ?? '', /device failed/);
    await client.close();
    port1.close();
    await worker.close();
  });
});

describe('the self-test of a device', function () {
  this.timeout(120_000);
  const changes: Record<string, (output: OrtTensor) => void> = {
    'features that are all too large by a fiftieth': (output) => scale(output, 256 * 64 * 64, () => 1.02),
    'features of which half are zero': (output) => scale(output, 256 * 64 * 64, (i) => (i % 2 ? 0 : 1)),
    'masks that are empty': (output) => scale(output, 256 * 256, () => 0),
    'scores that are wrong': (output) => scale(output, 4, () => 0.9),
  };
  for (const [what, change] of Object.entries(changes))
    it(`finds ${what}, for a model without stored values`, async () => {
      const worker = await workerOn(new Device(change));
      await worker.load(TINY_MODEL);
      const { provider, note } = await worker.info();
      assert.match(provider, /^cpu/);
      assert.match(note ?? '', /^device is not used: It failed its self-test/);
      await worker.close();
    });
});

/** Changes outputs of a size, or whole multiples of it where it is that of a mask. */
function scale({ data }: OrtTensor, size: number, factor: (i: number) => number): void {
  if (!(data instanceof Float32Array)) return;
  const fits = size === 256 * 256 ? data.length >= size && data.length < 64 * size : data.length === size;
  if (fits) for (let i = 0; i < data.length; i++) data[i] *= factor(i);
}
