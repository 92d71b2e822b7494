import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { WebSocketServer } from 'ws';
import { type SocketLike, socketChannel } from '../../src/worker/channel.js';
import { remoteWorker } from '../../src/worker/remote.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import type { ContractsPage } from '../browser/pages/contracts.js';
import { bundleForBrowser, launchBrowser, serveFolders } from './browser.js';
import { buildOnce } from './start-server.js';

/** A browser with the built files and a page (tests/browser/pages/contracts.ts) that runs parts of them on their own. */
export interface ContractsSite {
  /** Served as `/`; for scripts that a test makes. */
  readonly folder: string;
  /** @param isolated with the headers that allow threads */
  open(isolated?: boolean): Promise<Page>;
  /** The web worker of a page, through the page and a socket: Node's assertions see every byte of it. */
  workerOf(page: Page, script?: string): Promise<SamWorker>;
  close(): Promise<void>;
}

const HTML = `<!doctype html><link rel="icon" href="data:," />
<script src="/mocha/mocha.js"></script><script src="/host/imjoy-core.min.js"></script><script type="module" src="/contracts.js"></script>`;

let made = 0;

export async function contractsSite(graphics?: readonly string[]): Promise<ContractsSite> {
  const folder = path.join('dist', 'tests', `contracts-${process.pid}-${made++}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'index.html'), HTML);
  await Promise.all([buildOnce(), bundleForBrowser({ contracts: 'tests/browser/pages/contracts.ts' }, folder)]);
  const [browser, site] = await Promise.all([
    launchBrowser(graphics),
    serveFolders([
      ['/mocha/', 'node_modules/mocha'],
      ['/', folder],
      ['/', 'dist'],
    ]),
  ]);
  const listening: WebSocketServer[] = [];
  return {
    folder,
    async open(isolated = true) {
      const page = await browser.newPage();
      if (!isolated)
        await page.route('**/*', async (route) => {
          const response = await route.fetch();
          const headers = Object.entries(response.headers()).filter(([name]) => !name.startsWith('cross-origin-'));
          await route.fulfill({ response, headers: Object.fromEntries(headers) });
        });
      await page.goto(`${site.url}index.html`);
      await page.waitForFunction(() => document.title === 'ready');
      return page;
    },
    async workerOf(page, script) {
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 1 << 30 });
      listening.push(server);
      await once(server, 'listening');
      const connected = once(server, 'connection');
      const address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const served = page.evaluate(
        ([to, file]) => (globalThis as unknown as { contracts: ContractsPage }).contracts.serve(to as string, file),
        [address, script] as const,
      );
      const [socket] = await connected;
      const worker = await remoteWorker(socketChannel(socket as SocketLike));
      await served;
      return worker;
    },
    async close() {
      await browser.close();
      await site.close();
      for (const server of listening) server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
