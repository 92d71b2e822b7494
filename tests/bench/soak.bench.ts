import { createWriteStream, readFileSync } from 'node:fs';
import { BYTECODE } from '../support/browser.js';
import { Devtools, debuggerAddress, openDevtoolsPage } from '../support/devtools.js';
import { encoderPid, type RunningServer, startServer } from '../support/start-server.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * Images opened, segmented, committed and closed over and over in one page, each another one: what page, server and
 * encoder process hold at the end over what they held after the tenth (of page and server what lives, of the encoder's
 * process, whose memory is the runtime's, what is resident), the least of five readings each, since buffers of
 * embeddings come and go. Scripts run as bytecode: machine code is made of ever more functions the longer they are used,
 * a third of a megabyte in thirty images, with no object kept. `SOAK_CYCLES` of them (300);
 * `SOAK_MODEL=tiny` with a model that takes milliseconds; `SOAK_SNAPSHOT=FILE` keeps a heap snapshot of the end, for the
 * memory tab of a browser's developer tools.
 */
export default async (): Promise<Figure[]> => {
  const cycles = Number(process.env.SOAK_CYCLES ?? 300);
  const server = await startServer(['--port', '0'], { nodeFlags: ['--inspect=127.0.0.1:0', ...BYTECODE] });
  const { page, close } = await openDevtoolsPage(server.url, [`--js-flags=${BYTECODE.join(' ')}`, '--disable-gpu']);
  const inside = await Devtools.connect(debuggerAddress(server.output.stderr)!);
  try {
    await page.evaluate(begin, process.env.SOAK_MODEL === 'tiny' ? TINY_MODEL : undefined);
    const readings: Reading[] = [];
    for (let cycle = 0; cycle < cycles; cycle += BETWEEN) {
      await page.evaluate(openSegmentCommit, { from: cycle + 1, to: cycle + BETWEEN });
      readings.push(await read(page, inside, server));
      console.error(cycle + BETWEEN, JSON.stringify(readings.at(-1)));
    }
    if (process.env.SOAK_SNAPSHOT) await keepSnapshot(page, process.env.SOAK_SNAPSHOT);
    const least = (part: (typeof PARTS)[number], some: readonly Reading[]) => Math.min(...some.map((at) => at[part]));
    const half = Math.min(5, readings.length >> 1);
    const growth = PARTS.map((part) => least(part, readings.slice(-half)) / least(part, readings.slice(0, half)));
    return [
      atMost('soak_growth', Math.max(...growth), 'x', 1.05),
      ...PARTS.map((part, i) => reported(`soak_growth_${part}`, growth[i]!, 'x')),
      reported('soak_cycles', cycles, 'images'),
    ];
  } finally {
    inside.close(); // a process that is looked at does not end
    await close();
    await server.stop();
  }
};

/** Images from one reading to the next. */
const BETWEEN = 10;

const PARTS = ['page', 'server', 'encoder'] as const;

/** Memory in MB: of page and server what lives after a collection, of the encoder process what is resident. */
interface Reading extends Readonly<Record<(typeof PARTS)[number], number>> {
  readonly ofPage: object;
  /** Of the server: scatters by ten megabytes, as its collector takes and gives back room. */
  readonly resident: number;
  readonly nodes: number;
  readonly listeners: number;
}

async function read(page: Devtools, inside: Devtools, server: RunningServer): Promise<Reading> {
  const [ofPage, ofServer] = [await living(page), await living(inside)];
  const { nodes, jsEventListeners } = await page.send('Memory.getDOMCounters');
  return {
    page: ofPage.all,
    server: ofServer.all,
    encoder: residentMb(encoderPid(server)),
    ofPage,
    resident: residentMb(server.child.pid!),
    nodes,
    listeners: jsEventListeners,
  };
}

/** What lives after a collection, in MB: of scripts, of the browser for the page, and in buffers. */
async function living(tools: Devtools): Promise<Readonly<Record<'all' | 'heap' | 'browser' | 'buffers', number>>> {
  for (let i = 0; i < 3; i++) await tools.send('HeapProfiler.collectGarbage');
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await tools.send('Runtime.getHeapUsage');
  const [heap, browser, buffers] = [usedSize / 1e6, embedderHeapUsedSize / 1e6, backingStorageSize / 1e6];
  return { all: heap + browser + buffers, heap, browser, buffers };
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function keepSnapshot(page: Devtools, file: string): Promise<void> {
  const out = createWriteStream(file);
  page.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }: { chunk: string }) => out.write(chunk));
  await page.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  await new Promise<void>((resolve) => out.end(resolve));
}

/** Runs in the page: waits for the window, and gives it a model of tests if it shall have one. */
async function begin(model: { name: string; encoder: { url: string }; decoder: { url: string } } | undefined) {
  interface Service {
    get_state(): Promise<{ embedding: string }>;
    load_model(options: object): Promise<void>;
  }
  const page = globalThis as unknown as { api?: { getWindow(name: string): Promise<Service> } };
  for (;;) {
    const service = await page.api?.getWindow('micro-sam').catch(() => undefined);
    const state = await service?.get_state().catch(() => undefined);
    if (service && state?.embedding === 'ready') {
      if (model)
        await service.load_model({
          model: { name: model.name, encoder: model.encoder.url, decoder: model.decoder.url },
        });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs in the page: nothing from outside of it is there. */
async function openSegmentCommit({ from, to }: { from: number; to: number }): Promise<void> {
  interface Service {
    open_image(image: object, options: object): Promise<void>;
    add_point_prompts(points: number[][]): Promise<unknown>;
    paint(path: number[][], options: object): Promise<unknown>;
    commit(): Promise<unknown>;
    get_state(): Promise<{ autosave: string; layers: { committed_objects: { count: number } } }>;
  }
  const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<Service> } };
  const size = 256;
  for (let cycle = from; cycle <= to; cycle++) {
    const service = await api.getWindow('micro-sam');
    const pixels = new Uint8Array(size * size);
    let noise = cycle;
    for (let p = 0; p < pixels.length; p++) {
      noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
      pixels[p] = (noise >>> 27) + (Math.hypot((p >> 8) - 128, (p & 255) - 128) < 40 ? 180 : 20);
    }
    const image = { _rtype: 'ndarray', _rvalue: pixels.buffer, _rshape: [size, size], _rdtype: 'uint8' };
    await service.open_image(image, { name: `image ${cycle}` });
    await service.add_point_prompts([[128, 128]]);
    await service.paint([[128, 128]], { tool: 'brush', radius: 5 }); // a model for tests may find nothing
    await service.commit();
    for (;;) {
      const { autosave, layers } = await service.get_state();
      if (autosave === 'saved' && layers.committed_objects.count > 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
