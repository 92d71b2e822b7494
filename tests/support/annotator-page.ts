import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Frame, Page } from 'playwright-core';
import { fromRpcArray } from '../../src/io/rpc-array.js';
import type { YX } from '../../src/ndimage/array.js';
import type { describeState } from '../../src/service/state-json.js';
import { atRest, countMessages } from './at-rest.js';

/** The annotator as `npm start` serves it, in a real browser, driven by mouse and keyboard. */
export type State = ReturnType<typeof describeState>;

/** Makes pages slow, to find what only holds on fast machines: `SLOWDOWN=6 node tests/run.mjs browser`. */
const SLOWDOWN = Number(process.env.SLOWDOWN ?? 1);

const SCREENSHOTS = path.join('dist', 'screenshots');

export class AnnotatorPage {
  /** Addresses asked of anything but this machine. */
  readonly outside: string[] = [];
  readonly errors: string[] = [];

  private constructor(
    readonly page: Page,
    readonly url: string,
  ) {
    page.on('request', (request) => {
      if (!/^(http:\/\/127\.0\.0\.1:|data:|blob:)/.test(request.url())) this.outside.push(request.url());
    });
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text());
    });
  }

  static async open(browser: Browser, url: string): Promise<AnnotatorPage> {
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, acceptDownloads: true });
    context.setDefaultTimeout(120_000); // machines that test are busy
    const page = await context.newPage();
    if (SLOWDOWN > 1) {
      const client = await context.newCDPSession(page);
      await client.send('Emulation.setCPUThrottlingRate', { rate: SLOWDOWN });
    }
    return AnnotatorPage.over(page, url);
  }

  /** In a page that the caller has prepared. */
  static async over(page: Page, url: string): Promise<AnnotatorPage> {
    const annotator = new AnnotatorPage(page, url);
    await countMessages(page);
    await page.goto(url);
    return annotator;
  }

  /** The viewer's and the panel's frames, once they are there. */
  viewer(): Promise<Frame> {
    return this.frame('/plugin/viewer/');
  }

  panel(): Promise<Frame> {
    return this.frame('/plugin/index.html');
  }

  /** Unfolds a section of the panel. */
  async openSection(id: string): Promise<void> {
    const section = (await this.panel()).locator(`details[data-section="${id}"]`);
    if ((await section.getAttribute('open')) === null) await section.locator('> summary').click();
  }

  private async frame(part: string): Promise<Frame> {
    for (let attempt = 0; attempt < 600; attempt++) {
      const frame = this.page.frames().find((candidate) => candidate.url().includes(part));
      if (frame) return frame;
      await this.page.waitForTimeout(50);
    }
    throw new Error(`There is no frame ${part}; errors: ${this.errors.join(' | ')}`);
  }

  /** Calls a function of the plugin's window, as any other ImJoy plugin does. */
  call<T>(name: string, ...args: unknown[]): Promise<T> {
    return this.page.evaluate(
      async ([method, values]) => {
        const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<never> } };
        const window: Record<string, (...args: unknown[]) => Promise<unknown>> = await api.getWindow('micro-sam');
        const result = await window[method as string](...(values as unknown[]));
        // ArrayBuffers do not cross from the page to the test, and long lists of numbers take seconds.
        const array = result as { _rtype?: string; _rvalue: ArrayBuffer };
        if (array?._rtype !== 'ndarray') return result;
        const bytes = new Uint8Array(array._rvalue);
        let text = '';
        for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
        return { ...array, _rvalue: btoa(text) };
      },
      [name, args] as const,
    ) as Promise<T>;
  }

  state(): Promise<State> {
    return this.call('get_state');
  }

  async labels(layer: keyof State['layers']): Promise<Uint32Array> {
    const array = await this.call<{ _rvalue: string }>('get_layer', layer);
    const bytes = Uint8Array.from(Buffer.from(array._rvalue, 'base64'));
    return fromRpcArray({ ...array, _rvalue: bytes.buffer }).data as Uint32Array;
  }

  /** Waits until the layer is as wanted: over RPC a key's effect comes a moment after the key. */
  async untilLabels(layer: keyof State['layers'], wanted: Uint32Array, what: string, seconds = 60): Promise<void> {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await this.page.waitForTimeout(100)) {
      const labels = await this.labels(layer);
      if (labels.length === wanted.length && labels.every((label, k) => label === wanted[k])) return;
    }
    throw new Error(`Not within ${seconds} s: ${what}.`);
  }

  /** Waits until the state is as wanted, and gives it. */
  async until(what: string, wanted: (state: State) => boolean, seconds = 60): Promise<State> {
    let last: State | Error | undefined;
    for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
      last = await this.state().catch((error: Error) => error);
      if (!(last instanceof Error) && wanted(last)) return last;
      await this.page.waitForTimeout(60);
    }
    const state = last instanceof Error ? last.message : JSON.stringify(last);
    const errors = this.errors.length > 0 ? ` Errors of the page: ${this.errors.slice(-5).join(' | ')}` : '';
    throw new Error(`Not within ${seconds} s: ${what}. Last state: ${state?.slice(0, 6000)}${errors}`);
  }

  /** Ready to click: image shown, embedding computed, and, unless another window has it, the image is this window's. */
  async ready({ readOnly = false } = {}): Promise<void> {
    await this.viewer();
    if (!readOnly) await this.until('no other window has the image', (state) => state.read_only === null);
    await this.until('embedding ready', (state) => state.embedding === 'ready', 120);
    await this.shown();
  }

  /** The session's image, or one of this [height, width], is on screen with all its layers, and its view is at rest. */
  async shown(shape?: readonly number[]): Promise<void> {
    const wanted = shape ?? (await this.state()).image?.shape;
    const viewer = await this.viewer();
    await viewer.waitForFunction(async (size) => {
      const view = () => document.getElementById('map')?.dataset.view;
      const before = view();
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const [, , , shownWidth, shownHeight] = JSON.parse(before ?? '[]');
      const layers = document.querySelector('#layers [title="point_prompts"]') !== null;
      return layers && shownWidth === size?.[1] && shownHeight === size?.[0] && view() === before;
    }, wanted);
    await atRest([this.page, viewer], 0);
  }

  async onScreen([y, x]: YX): Promise<[number, number]> {
    const viewer = await this.viewer();
    const view = await viewer.evaluate(() => document.getElementById('map')?.dataset.view);
    const [left, top, resolution, , height] = JSON.parse(view ?? '[]') as number[];
    const box = await (await viewer.frameElement()).boundingBox();
    return [(box?.x ?? 0) + (x - left) / resolution, (box?.y ?? 0) + (top - (height - y)) / resolution];
  }

  async click(at: YX): Promise<void> {
    await this.page.mouse.click(...(await this.onScreen(at)));
  }

  /** With Alt held: picks an object while a drawing tool is in hand. */
  async altClick(at: YX): Promise<void> {
    await this.page.keyboard.down('Alt');
    await this.click(at);
    await this.page.keyboard.up('Alt');
  }

  async drag(path: readonly YX[]): Promise<void> {
    const [first, ...rest] = await Promise.all(path.map((at) => this.onScreen(at)));
    await this.page.mouse.move(...first);
    await this.page.mouse.down();
    for (const point of rest) await this.page.mouse.move(...point, { steps: 5 });
    await this.page.mouse.up();
  }

  /** By the keys [ and ]; waits until the plane can be worked on. */
  async goToPlane(plane: number): Promise<void> {
    const start = await this.state();
    const viewer = await this.viewer();
    await viewer.click('#sliders label span');
    for (let at = start.plane; at !== plane; at += Math.sign(plane - at)) await this.press(plane > at ? ']' : '[');
    await this.until(
      `plane ${plane} and its embedding`,
      (state) => state.plane === plane && state.embedding === 'ready' && state.task === null,
    );
    await viewer.waitForFunction(
      (at) => document.querySelector<HTMLInputElement>('#sliders input')?.value === at,
      `${plane}`,
    );
    await atRest([this.page, viewer]);
  }

  press(key: string): Promise<void> {
    return this.page.keyboard.press(key);
  }

  /** Where MICRO_SAM_SCREENSHOTS is set. */
  async screenshot(name: string): Promise<void> {
    if (!process.env.MICRO_SAM_SCREENSHOTS) return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) });
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
