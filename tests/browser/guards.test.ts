import assert from 'node:assert/strict';
import type { Frame } from 'playwright-core';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory } from '../support/browser-story.js';
import { type RunningServer, startServer } from '../support/start-server.js';

type Heard = typeof globalThis & { heard: unknown[] };

describe('what the page keeps to itself', function () {
  this.timeout(240_000);
  const story = browserStory();
  let server: RunningServer;
  let annotator: AnnotatorPage;

  before(async () => {
    server = await startServer(['--port', '0', '--no-worker']);
    annotator = await AnnotatorPage.open(story.browser, server.url);
    await annotator.until('the image', ({ image }) => Boolean(image));
  });
  after(() => server?.stop());

  it('the token leaves the address bar, and a reload finds it', async () => {
    assert.equal(annotator.page.url(), `${server.origin}/`);
    await annotator.page.reload();
    await annotator.until('the image', ({ image }) => Boolean(image));
    assert.equal(annotator.page.url(), `${server.origin}/`);
    const stranger = await story.browser.newContext();
    const page = await stranger.newPage();
    await page.goto(server.origin);
    await page.getByText('lacks the key').waitFor();
    await stranger.close();
  });

  it('its windows hear nobody but the page that opened them', async () => {
    for (const frame of [await annotator.panel(), await annotator.viewer()]) {
      await frame.evaluate(() => {
        const { heard } = Object.assign(globalThis, { heard: [] as unknown[] }) as Heard;
        window.addEventListener('message', ({ data }) => heard.push(data?.guard));
      });
      const address = frame.url();
      // From another frame of the same page, and from the page itself.
      await annotator.page.evaluate(async (url) => {
        const find = (all: Window): Window[] =>
          Array.from({ length: all.length }, (_, i) => all[i]).flatMap((one) => [one, ...find(one)]);
        const target = find(window).find((one) => one.location.href === url) as Window;
        const stranger = document.createElement('iframe');
        document.body.append(stranger);
        const script = 'target.postMessage({ guard: "stranger" }, "*")';
        new (stranger.contentWindow as unknown as { Function: FunctionConstructor }).Function('target', script)(target);
        target.postMessage({ guard: 'opener' }, '*');
        stranger.remove();
      }, address);
      await frame.waitForFunction(() => (globalThis as Heard).heard.includes('opener'));
      assert.deepEqual(await heardBy(frame), ['opener']);
    }
  });

  it('no page runs scripts of others, and none of ours is kept from running', async () => {
    for (const frame of [annotator.page.mainFrame(), await annotator.panel(), await annotator.viewer()]) {
      const ran = await frame.evaluate(() => {
        const script = document.createElement('script');
        script.textContent = 'window.injected = true';
        document.body.append(script);
        return 'injected' in window;
      });
      assert.equal(ran, false);
    }
    const blocked = annotator.errors.filter((error) => /Content Security Policy/.test(error));
    assert.equal(blocked.length, 3, blocked.join('\n'));
  });

  it('its windows hear nothing more of hands once they are told that they are closed', async () => {
    const { page } = annotator;
    const hands = ['beforeunload', 'blur', 'dragleave', 'dragover', 'drop', 'keydown', 'keyup'];
    const client = await page.context().newCDPSession(page);
    const contexts: number[] = [];
    client.on('Runtime.executionContextCreated', ({ context }) => {
      if (context.auxData?.isDefault) contexts.push(context.id);
    });
    await client.send('Runtime.enable');
    const contextOf = async (frame: Frame) => {
      const expression = `location.href === ${JSON.stringify(frame.url())}`;
      for (const contextId of contexts)
        if ((await client.send('Runtime.evaluate', { expression, contextId })).result.value) return contextId;
      throw new Error(`Nothing runs in ${frame.url()}.`);
    };
    /** What the document and the window of a frame listen to, whoever does. */
    const listened = async (contextId: number) => {
      const types: string[] = [];
      for (const expression of ['document', 'window']) {
        const { result } = await client.send('Runtime.evaluate', { expression, contextId });
        const { listeners } = await client.send('DOMDebugger.getEventListeners', { objectId: result.objectId ?? '' });
        types.push(...listeners.map(({ type }) => type));
      }
      return [...new Set(types)].filter((type) => hands.includes(type)).sort();
    };
    const panel = await contextOf(await annotator.panel());
    const viewer = await contextOf(await annotator.viewer());
    assert.deepEqual(await listened(viewer), ['blur', 'dragleave', 'dragover', 'drop', 'keydown', 'keyup']);
    assert.deepEqual(await listened(panel), ['beforeunload', 'dragleave', 'dragover', 'drop', 'keydown']);
    await page.evaluate(async (name) => {
      const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<{ exit(): Promise<void> }> } };
      await (await api.getWindow(name)).exit();
    }, 'Viewer');
    assert.deepEqual(await listened(viewer), []);
    await annotator.call('exit');
    assert.deepEqual(await listened(panel), []);
  });
});

async function heardBy(frame: Frame): Promise<unknown[]> {
  return frame.evaluate(() => (globalThis as Heard).heard.filter((one) => one !== undefined));
}
