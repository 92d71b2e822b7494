import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { launchBrowser } from './browser.js';
import { type RunningServer, startServer } from './start-server.js';

/** Seconds; a busy machine encodes slowly. */
export const MINUTES = 240;

let shared: Promise<Browser> | undefined;

/** One Chromium for all stories of a run; another one if it went away. */
async function sharedBrowser(): Promise<Browser> {
  const running = await shared?.catch(() => undefined);
  if (running?.isConnected()) return running;
  shared = launchBrowser();
  return shared;
}

/**
 * Gives the surrounding `describe` the browser and an empty folder of its own, there from the first test on. Pages that a
 * failed test leaves open are closed: one that still has the image would keep the next from changing it.
 */
export function browserStory(): { readonly browser: Browser; readonly folder: string } {
  let browser: Browser;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-story-'));
    browser = await sharedBrowser();
  });
  let earlier: readonly BrowserContext[] = [];
  beforeEach(() => {
    earlier = browser.contexts();
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'passed') return;
    for (const context of browser.contexts()) if (!earlier.includes(context)) await context.close();
  });
  after(async () => {
    await Promise.all(browser?.contexts().map((context) => context.close()) ?? []);
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 }); // a server may still be writing
  });
  return {
    get browser() {
      return browser;
    },
    get folder() {
      return folder;
    },
  };
}

/** The same with a server that shows the sample image. */
export function servedStory(): ReturnType<typeof browserStory> & { readonly server: RunningServer } {
  const story = browserStory();
  let server: RunningServer;
  before(async () => {
    server = await startServer(['--port', '0']);
  });
  after(() => server?.stop());
  return Object.defineProperty(story, 'server', { get: () => server }) as ReturnType<typeof servedStory>;
}
