import { existsSync } from 'node:fs';
import path from 'node:path';
import { type BrowserContext, firefox } from 'playwright-core';

/**
 * A real Firefox, driven by the same calls as Chromium: `AnnotatorPage` and the stories run in it as they are, but for what
 * asks Chromium's developer tools. It is the one of `FIREFOX_PATH`, else an installed one; nothing is downloaded.
 */
const INSTALLED = ['firefox', 'firefox-esr'];

export const firefoxProgram = process.env.FIREFOX_PATH ?? installed();

/** `it`, skipped where there is no Firefox. */
export function withFirefox(title: string, body: Mocha.AsyncFunc): void {
  if (firefoxProgram) it(title, body);
  else it.skip(`${title} (no Firefox)`);
}

const RELAY = path.resolve('tests', 'support', 'firefox-relay.mjs');

const options = {
  channel: 'moz-firefox', // stock Firefox by WebDriver BiDi; without it playwright-core wants its own build
  executablePath: RELAY,
  headless: true,
  env: { ...process.env, FIREFOX: firefoxProgram, HOME: process.env.HOME ?? '/root' },
  timeout: 120_000,
};

/**
 * A Firefox whose pages find again what they have kept when it is started anew with that folder; if `isPrivate`, all its
 * windows are private ones. Files that are saved come to the folder `downloads` in it: no event tells of them in a private
 * window.
 */
export function launchFirefoxProfile(folder: string, { isPrivate = false } = {}): Promise<BrowserContext> {
  return firefox.launchPersistentContext(folder, {
    ...options,
    viewport: { width: 1400, height: 900 },
    downloadsPath: path.join(folder, 'downloads'),
    firefoxUserPrefs: { 'browser.privatebrowsing.autostart': isPrivate },
  });
}

function installed(): string | undefined {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return folders.flatMap((folder) => INSTALLED.map((name) => path.join(folder, name))).find((file) => existsSync(file));
}
