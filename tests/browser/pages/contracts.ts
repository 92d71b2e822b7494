import { indexedDbStore } from '../../../src/io/stores/indexeddb.js';
import { opfsStore } from '../../../src/io/stores/opfs.js';
import type { ModelSpec } from '../../../src/model/model-spec.js';
import { socketChannel } from '../../../src/worker/channel.js';
import { connectWorker } from '../../../src/worker/connect.js';
import type { SamWorker } from '../../../src/worker/sam-worker.js';
import { serveWorker } from '../../../src/worker/served.js';
import { packMessage, unpackMessage } from '../../../src/worker/wire.js';
import { storeContract } from '../../contracts/store.js';

/** What tests/browser/contracts.test.ts runs in a page: real browser stores under mocha, and the built web worker. */
export interface ContractsPage {
  /** @returns titles of the tests that passed, and what failed */
  stores(): Promise<{ passed: number; failed: string[] }>;
  /** Starts a web worker, the built one or that of the script, and serves it to whoever listens at the address. */
  serve(address: string, script?: string): Promise<void>;
  /** Ends a web worker in the middle of an encoding. @returns the codes of what was pending, and what a new one says */
  crash(model: ModelSpec): Promise<{ codes: string[]; again: number }>;
  /** Connects to the worker at an address and encodes. @returns its name, and the sum of the features */
  remote(address: string, model: string, pixels: readonly number[]): Promise<{ name: string; sum: number }>;
  /** Starts ImJoy, connects the worker at the address as a plugin, and calls it by its name. */
  plugin(address: string, model: string, pixels: readonly number[]): Promise<PluginAnswer>;
}

export interface PluginAnswer {
  readonly info: { readonly name: string };
  readonly features: readonly number[];
  readonly steps: number;
  readonly error: string;
}

interface ImJoy {
  readonly pm: {
    readonly internal_plugins: Readonly<Record<string, { startup: boolean }>>;
    connectPlugin(connection: object): Promise<unknown>;
  };
  readonly api: { getPlugin(name: string): Promise<Record<string, (...args: unknown[]) => Promise<never>>> };
  start(options: object): Promise<void>;
}

/** A socket as imjoy-core wants its connections. */
async function imjoyConnection(address: string): Promise<object> {
  type Handler = (message: object) => void;
  const handlers = new Map<string, Handler[]>();
  const on = (type: string, handler: Handler) => void handlers.set(type, [...(handlers.get(type) ?? []), handler]);
  const off = (type: string, handler: Handler) =>
    void handlers.set(
      type,
      (handlers.get(type) ?? []).filter((other) => other !== handler),
    );
  const socket = new WebSocket(address);
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('message', ({ data }) => {
    const message = unpackMessage(new Uint8Array(data)) as { type: string };
    for (const handler of handlers.get(message.type) ?? []) handler(message);
  });
  return {
    on,
    off,
    once(type: string, handler: Handler) {
      const first = (message: object) => {
        off(type, first);
        handler(message);
      };
      on(type, first);
    },
    emit: (message: object) => socket.send(packMessage(message) as Uint8Array<ArrayBuffer>),
    connect() {},
    disconnect: () => socket.close(),
  };
}

const open = (script = 'plugin/worker.js'): Promise<SamWorker> => connectWorker(new Worker(script, { type: 'module' }));

let made = 0;

const page: ContractsPage = {
  stores() {
    mocha.setup({ ui: 'bdd', timeout: 20_000, reporter: class {} as never });
    storeContract('OPFS', async () => {
      const folder = `contract/${made++}`;
      return { store: await opfsStore(folder), reopen: () => opfsStore(folder) };
    });
    storeContract('IndexedDB', async () => {
      const name = `contract ${made++}`;
      return { store: indexedDbStore(name), reopen: async () => indexedDbStore(name) };
    });
    let passed = 0;
    const failed: string[] = [];
    return new Promise((resolve) => {
      mocha
        .run(() => resolve({ passed, failed }))
        .on('pass', () => passed++)
        .on('fail', (test, error) => failed.push(`${test.fullTitle()}: ${error.message}`));
    });
  },

  async serve(address, script) {
    const socket = new WebSocket(address);
    const channel = socketChannel(socket as never);
    const worker = await open(script);
    channel.onClose(() => void worker.close());
    serveWorker(channel, worker);
  },

  async crash(model) {
    const worker = await open();
    await worker.load(model);
    const image = { data: new Uint8Array(64 * 64 * 3).fill(90), shape: [64, 64, 3] };
    const codeOf = (work: Promise<unknown>) => work.then(String, (error: { code: string }) => error.code);
    const first = codeOf(worker.encode(model.name, image, { onProgress: () => void worker.close() }));
    const codes = await Promise.all([first, codeOf(worker.encode(model.name, image))]);
    codes.push(await codeOf(worker.info()));
    const other = await open();
    await other.load(model);
    const { features } = await other.encode(model.name, image);
    await other.close();
    return { codes, again: features.data.length };
  },

  async remote(address, model, pixels) {
    const worker = await connectWorker(address);
    const side = Math.sqrt(pixels.length / 3);
    const { features } = await worker.encode(model, { data: Uint8Array.from(pixels), shape: [side, side, 3] });
    const { name } = await worker.info();
    await worker.close();
    return { name, sum: features.data.reduce((sum, value) => sum + value, 0) };
  },

  async plugin(address, model, pixels) {
    const { imjoyCore } = globalThis as unknown as { imjoyCore: { ImJoy: new (options: object) => ImJoy } };
    const folder = new URL('host/', location.href).href;
    const imjoy = new imjoyCore.ImJoy({ default_base_frame: `${folder}base_frame.html`, default_rpc_base_url: folder });
    for (const internal of Object.values(imjoy.pm.internal_plugins)) internal.startup = false;
    await imjoy.start({ workspace: null });
    await imjoy.pm.connectPlugin(await imjoyConnection(address));
    const worker = await imjoy.api.getPlugin('micro-sam-worker');
    const side = Math.sqrt(pixels.length / 3);
    const image = {
      _rtype: 'ndarray',
      _rvalue: Uint8Array.from(pixels).buffer,
      _rshape: [side, side, 3],
      _rdtype: 'uint8',
    };
    let steps = 0;
    const progress = { _rintf: true, report: async () => void steps++ };
    const answer: { features: { _rvalue: ArrayBuffer } } = await worker.encode(image, { model, progress });
    const error = await worker.predict('nothing', { points: [[1, 1]] }).then(String, (e) => String(e.message ?? e));
    // A million numbers would take the test minutes to fetch.
    const features = [...new Float32Array(answer.features._rvalue).filter((_, i) => i % 997 === 0)];
    return { info: await worker.get_info(), features, steps, error };
  },
};

Object.assign(globalThis, { contracts: page });
document.title = 'ready';
