import { createWriteStream, readFileSync } from 'node:fs';
import type { CDPSession } from 'playwright-core';
import { AnnotatorPage } from '../support/annotator-page.js';
import { launchBrowser } from '../support/browser.js';
import { encoderPid, type RunningServer, startServer } from '../support/start-server.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * Images opened, segmented, committed and closed over and over in one page, each another one: what page, server and
 * encoder process hold at the end over what they held after the tenth, the least of five readings each, since buffers of
 * embeddings come and go. Scripts run as bytecode: machine code is made of ever more functions the longer they are used,
 * a third of a megabyte in thirty images, with no object kept. `SOAK_CYCLES` of them (300);
 * `SOAK_MODEL=tiny` with a model that takes milliseconds; `SOAK_SNAPSHOT=FILE` keeps a heap snapshot of the end, for the
 * memory tab of a browser's developer tools.
 */
export default async (): Promise<Figure[]> => {
  const cycles = Number(process.env.SOAK_CYCLES ?? 300);
  const server = await startServer(['--port', '0']);
  const browser = await launchBrowser(['--js-flags=--no-opt --no-maglev --no-sparkplug']);
  try {
    const annotator = await AnnotatorPage.open(browser, server.url);
    await annotator.ready();
    if (process.env.SOAK_MODEL === 'tiny') {
      const { name, encoder, decoder } = TINY_MODEL;
      await annotator.call('load_model', { model: { name, encoder: encoder.url, decoder: decoder.url } });
    }
    const devtools = await annotator.page.context().newCDPSession(annotator.page);
    const readings: Reading[] = [];
    for (let cycle = 0; cycle < cycles; cycle += BETWEEN) {
      // Each evaluation leaves its compiled text in the page: that of a test, not of the program.
      await annotator.page.evaluate(openSegmentCommit, { from: cycle + 1, to: cycle + BETWEEN });
      readings.push(await read(devtools, server));
      console.error(cycle + BETWEEN, JSON.stringify(readings.at(-1)));
    }
    if (process.env.SOAK_SNAPSHOT) await keepSnapshot(devtools, process.env.SOAK_SNAPSHOT);
    const least = (part: (typeof PARTS)[number], some: readonly Reading[]) => Math.min(...some.map((at) => at[part]));
    const half = Math.min(5, readings.length >> 1);
    const growth = PARTS.map((part) => least(part, readings.slice(-half)) / least(part, readings.slice(0, half)));
    return [
      atMost('soak_growth', Math.max(...growth), 'x', 1.05),
      ...PARTS.map((part, i) => reported(`soak_growth_${part}`, growth[i], 'x')),
      reported('soak_cycles', cycles, 'images'),
    ];
  } finally {
    await browser.close();
    await server.stop();
  }
};

/** Images from one reading to the next. */
const BETWEEN = 10;

const PARTS = ['page', 'server', 'encoder'] as const;

/** Memory in MB: of the page what lives after a collection, of processes what is resident. */
interface Reading extends Readonly<Record<(typeof PARTS)[number], number>> {
  /** JavaScript's, and what the browser itself keeps for the page. */
  readonly heap: number;
  readonly browser: number;
  readonly buffers: number;
  readonly nodes: number;
  readonly listeners: number;
}

async function read(devtools: CDPSession, server: RunningServer): Promise<Reading> {
  await devtools.send('Runtime.discardConsoleEntries'); // the tools keep what was said, with all that it names
  for (let i = 0; i < 3; i++) await devtools.send('HeapProfiler.collectGarbage');
  const usage = await devtools.send('Runtime.getHeapUsage');
  const { nodes, jsEventListeners } = await devtools.send('Memory.getDOMCounters');
  const { embedderHeapUsedSize, backingStorageSize } = usage;
  return {
    page: (usage.usedSize + embedderHeapUsedSize + backingStorageSize) / 1e6,
    server: residentMb(server.child.pid!),
    encoder: residentMb(encoderPid(server)),
    heap: usage.usedSize / 1e6,
    browser: embedderHeapUsedSize / 1e6,
    buffers: backingStorageSize / 1e6,
    nodes,
    listeners: jsEventListeners,
  };
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function keepSnapshot(devtools: CDPSession, file: string): Promise<void> {
  const out = createWriteStream(file);
  devtools.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => out.write(chunk));
  await devtools.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  await new Promise<void>((resolve) => out.end(resolve));
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
