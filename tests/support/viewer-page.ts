import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Frame, Page } from 'playwright-core';
import type { YX } from '../../src/ndimage/array.js';
import type { Viewer, ViewerEvent } from '../../src/presenter/viewer.js';
import type { ViewerHarness } from '../contracts/viewer.js';
import { atRest, countMessages } from './at-rest.js';
import { bundleForBrowser, launchBrowser, type Site, serveFolders } from './browser.js';

const FOLDER = path.join('dist', 'tests', `viewer-${process.pid}`);

/** A viewer window inside ImJoy in a real browser, with real mouse and keyboard. */
export interface ViewerPage extends ViewerHarness {
  readonly page: Page;
  readonly frame: Frame;
  /** Where an image coordinate is on the page, CSS pixels. */
  onScreen(at: YX): Promise<[x: number, y: number]>;
  allOnScreen(places: readonly YX[]): Promise<[x: number, y: number][]>;
  /** URLs that were asked of anything but this machine. */
  readonly outside: string[];
  readonly errors: string[];
}

export interface ViewerSite {
  open(query?: string): Promise<ViewerPage>;
  close(): Promise<void>;
}

/** @param host the page around the viewer window */
export async function viewerSite(host = 'tests/browser/pages/viewer-host.ts'): Promise<ViewerSite> {
  mkdirSync(path.join(FOLDER, 'viewer'), { recursive: true });
  await Promise.all([
    bundleForBrowser({ 'viewer-host': host }, FOLDER),
    bundleForBrowser({ viewer: 'plugin/viewer/main.ts' }, path.join(FOLDER, 'viewer')),
  ]);
  copyFileSync('tests/browser/pages/viewer-host.html', path.join(FOLDER, 'index.html'));
  copyFileSync('plugin/viewer/index.html', path.join(FOLDER, 'viewer', 'index.html'));
  const [browser, site] = await Promise.all([
    launchBrowser(),
    serveFolders([
      ['/core/', 'node_modules/imjoy-core/dist'],
      ['/', FOLDER],
    ]),
  ]);
  return {
    open: (query = '') => openPage(browser, site, query),
    async close() {
      await browser.close();
      await site.close();
      rmSync(FOLDER, { recursive: true, force: true });
    },
  };
}

async function openPage(browser: Browser, site: Site, query: string): Promise<ViewerPage> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  page.setDefaultTimeout(120_000); // machines that test are busy
  const outside: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => {
    if (!/^(http:\/\/127\.0\.0\.1|data:|blob:)/.test(request.url())) outside.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await countMessages(page);
  await page.goto(`${site.url}index.html${query}`);
  await page.waitForFunction(() => /ready$/.test(document.title), undefined, { timeout: 60_000 });
  const frame = page.frames().find((candidate) => candidate !== page.mainFrame() && /viewer|app/.test(candidate.url()));
  if (!frame) throw new Error('The viewer window has no frame.');
  // Buttons, layers and channels lie in the side bar, which is folded until somebody opens it.
  const folded = frame.locator('#toggle-sidebar[aria-expanded="false"]');
  if (query.includes('src=')) await frame.locator('.floating-menu-btn').click();
  else if (await folded.isVisible()) await folded.click();
  const events = () => page.evaluate(() => (globalThis as unknown as { events: ViewerEvent[] }).events);
  const allOnScreen = async (places: readonly YX[]): Promise<[number, number][]> => {
    const { view, map } = await frame.evaluate(placeOfMap);
    const [left, top, resolution, , height] = view;
    const box = await (await frame.frameElement()).boundingBox();
    return places.map(([y, x]) => [
      (box?.x ?? 0) + map[0] + (x - left) / resolution,
      (box?.y ?? 0) + map[1] + (top - (height - y)) / resolution,
    ]);
  };
  const onScreen = async (place: YX): Promise<[number, number]> => (await allOnScreen([place]))[0];
  return {
    page,
    frame,
    viewer: remoteViewer(page),
    listen: () => page.evaluate(() => void (globalThis as unknown as { listen(): void }).listen()),
    events,
    clearEvents: () => page.evaluate(() => void (globalThis as unknown as { events: unknown[] }).events.splice(0)),
    async event(kind) {
      await page.waitForFunction(
        (wanted) => (globalThis as unknown as { events: ViewerEvent[] }).events.some((event) => event.kind === wanted),
        kind,
        { timeout: 60_000, polling: 20 },
      );
      const found = (await events()).find((event) => event.kind === kind);
      return found as Extract<ViewerEvent, { kind: typeof kind }>;
    },
    onScreen,
    allOnScreen,
    async click(at) {
      await page.mouse.click(...(await onScreen(at)));
    },
    async aim(at) {
      const place = await onScreen(at);
      return () => page.mouse.click(...place);
    },
    async drag(path) {
      const [first, ...rest] = await allOnScreen(path);
      await page.mouse.move(...first);
      await page.mouse.down();
      for (const point of rest) await page.mouse.move(...point, { steps: 4 });
      await page.mouse.up();
    },
    async press(key) {
      await frame.evaluate(() => window.focus());
      await page.keyboard.press(key);
    },
    async look(at) {
      const [x, y] = await onScreen(at);
      await page.mouse.move(x + 150, y + 150);
      await atRest([page, frame]);
      return page.screenshot({ clip: { x: x - 12, y: y - 12, width: 24, height: 24 } });
    },
    async clickCommand(title) {
      await frame.getByText(title, { exact: true }).click();
    },
    async nextPlane() {
      await frame.locator('#sliders input, .slider-container .b-slider-thumb').first().press('ArrowRight');
    },
    settle: () => atRest([page, frame]),
    async closeWindow() {
      await page.evaluate(() => void (globalThis as unknown as { closeWindow(): void }).closeWindow());
    },
    close: () => page.close(),
    outside,
    errors,
  };
}

/** Where a window's map is in it, and what it shows as [left, top, pixels of the image a CSS pixel, width, height], y up. */
function placeOfMap(): { view: number[]; map: [x: number, y: number] } {
  const element = document.getElementById('map');
  const { x = 0, y = 0 } = element?.getBoundingClientRect() ?? {};
  if (element?.dataset.view) return { view: JSON.parse(element.dataset.view), map: [x, y] };
  // Kaibu tells nobody: its map is asked, which OpenLayers draws and Vue keeps.
  interface KaibuMap {
    getSize(): [number, number];
    getView(): {
      calculateExtent(size: readonly number[]): readonly [number, number, number, number];
      getResolution(): number;
      getProjection(): { getExtent(): readonly [number, number, number, number] };
    };
  }
  const app = document.getElementById('app') as unknown as { __vue__: { $store: { state: { map: KaibuMap } } } };
  const shown = app.__vue__.$store.state.map;
  const view = shown.getView();
  const [left, , , top] = view.calculateExtent(shown.getSize());
  const [, , width, height] = view.getProjection().getExtent();
  return { view: [left, top, view.getResolution(), width, height], map: [x, y] };
}

/** Methods of the viewer in the page, as if it were here. */
function remoteViewer(page: Page): Viewer {
  const call = (method: string, argument: unknown[]) =>
    page.evaluate(
      async ([name, values]) => {
        const { viewer } = globalThis as unknown as { viewer: Record<string, (...values: unknown[]) => unknown> };
        return (await viewer[name as string](...(values as unknown[]))) as never;
      },
      [method, argument] as const,
    );
  return new Proxy({} as Viewer, {
    get:
      (_, name: string) =>
      (...values: unknown[]) =>
        call(name, values),
  });
}
