import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { MINUTES, servedStory } from '../support/browser-story.js';
import { eventually } from '../support/screen.js';

/** The plugin as ImJoy and other plugins meet it: manifest, launcher, and the service called from a web-worker plugin. */
const CLIENT = `<config lang="json">
{ "name": "client", "type": "web-worker", "version": "0.1.0", "api_version": "0.2.3", "description": "A script",
  "tags": [], "ui": "", "inputs": null, "outputs": null, "flags": [], "icon": null, "env": "", "requirements": [],
  "dependencies": [], "cover": "" }
</config>
<script lang="javascript">
const attempt = async (call) => { try { await call(); return 'no error'; } catch (error) { return String(error.message || error); } };
api.export({
  setup() {},
  async annotate(image, points) {
    const service = await api.getWindow('micro-sam');
    const commits = [];
    await service.subscribe('commit', { _rintf: true, commit(event) { commits.push(event.ids); } });
    const opened = await service.open_image(image, { name: 'from a script' });
    const ids = [];
    for (const point of points) {
      ids.push(await service.add_point_prompts([point]));
      await service.commit();
    }
    await service.undo();
    const undone = (await service.get_state()).layers.committed_objects.count;
    await service.redo();
    return {
      name: opened.image.name, ids, undone, commits,
      labels: await service.get_layer('committed_objects'),
      polygons: await service.get_layer('committed_objects', { as: 'polygons' }),
      errors: [
        await attempt(() => service.add_point_prompts([[1, 2]], [1, 0])),
        await attempt(() => service.get_layer('no_such_layer')),
        await attempt(() => service.open_image(new Uint8Array(0), { name: 'empty.tif' })),
      ],
    };
  },
  async walk(files) {
    const service = await api.getWindow('micro-sam');
    const before = await attempt(() => service.get_series());
    const opened = await service.open_series(files.map(({ bytes }) => bytes), { names: files.map(({ name }) => name) });
    const walked = [];
    const step = async (call) => walked.push([await call, (await service.get_state()).image.name]);
    await step(service.next_image());
    await service.add_point_prompts([files[2].point]);
    await service.commit();
    await step(service.next_image());
    await step(service.previous_image());
    await step(service.go_to_image(0));
    const refused = await attempt(() => service.go_to_image(1));
    return { before, opened, walked, refused, after: await service.get_series() };
  },
});
</script>`;

interface Place {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

interface ClientResult {
  name: string;
  ids: string[][];
  undone: number;
  commits: number[][];
  labels: number[];
  polygons: { features: unknown[] };
  errors: string[];
}

interface SeriesResult {
  before: string;
  opened: SeriesState;
  walked: [boolean | undefined, string][];
  refused: string;
  after: SeriesState;
}

interface SeriesState {
  current: number | null;
  images: { state: string; objects?: number }[];
}

describe('as an ImJoy plugin', function () {
  this.timeout(MINUTES * 1000);
  const story = servedStory();

  it('does for a web-worker plugin, over RPC, all that a person can do', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.page.route('**/client.imjoy.html*', (route) =>
      route.fulfill({ body: CLIENT, contentType: 'text/html' }),
    );
    await annotator.ready();
    const { image, labels, centers } = cellPhantom({ seed: 11, size: [256, 256], cells: 12 });
    const points = centers.slice(0, 3).map(([y, x]) => [y, x]);
    const result = (await annotator.page.evaluate(
      async ([pixels, clicks]) => {
        const { api } = globalThis as unknown as { api: { getPlugin(config: object): Promise<never> } };
        const client: { annotate(image: object, points: unknown): Promise<{ labels: { _rvalue: ArrayBuffer } }> } =
          await api.getPlugin({ src: `${location.origin}/client.imjoy.html` });
        const buffer = Uint16Array.from(pixels as number[]).buffer;
        const array = { _rtype: 'ndarray', _rvalue: buffer, _rshape: [256, 256], _rdtype: 'uint16' };
        const answer = await client.annotate(array, clicks);
        return { ...answer, labels: [...new Uint32Array(answer.labels._rvalue)] };
      },
      [[...image.data], points] as const,
    )) as unknown as ClientResult;
    assert.equal(result.name, 'from a script');
    assert.equal(result.undone, 2);
    assert.deepEqual(new Set(result.labels), new Set([0, 1, 2, 3]));
    assert.equal(result.polygons.features.length, 3);
    assert.deepEqual(result.commits.at(-1), [1, 2, 3]);
    points.forEach((_, k) => {
      let [both, either] = [0, 0];
      result.labels.forEach((label, i) => {
        const [ours, truth] = [label === k + 1, labels.data[i] === k + 1];
        if (ours && truth) both++;
        if (ours || truth) either++;
      });
      assert.ok(both / either > 0.7, `object ${k + 1} has IoU ${both / either}`);
    });
    assert.match(result.errors[0], /invalid_argument: .*1 points but 2 labels/);
    assert.match(result.errors[1], /invalid_argument: /);
    assert.match(result.errors[2], /invalid_image: empty\.tif is empty/);
    assert.deepEqual(annotator.outside, []);
    await annotator.close();
  });

  it('opens a series of files for a plugin and goes through it (thorough)', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.page.route('**/client.imjoy.html*', (route) =>
      route.fulfill({ body: CLIENT, contentType: 'text/html' }),
    );
    await annotator.ready();
    const files = await Promise.all(
      [41, 42, 43].map(async (seed) => {
        const { image, centers } = cellPhantom({ seed, size: [128, 128], cells: 4 });
        return { name: `${seed}.tif`, bytes: [...(await encodeTiff(image, { axes: 'yx' }))], point: [...centers[0]] };
      }),
    );
    files.splice(1, 0, { name: 'broken.tif', bytes: files[0].bytes.slice(0, 300), point: [] });
    const result = await annotator.page.evaluate(async (given) => {
      const { api } = globalThis as unknown as { api: { getPlugin(config: object): Promise<never> } };
      const client: { walk(files: object): Promise<SeriesResult> } = await api.getPlugin({
        src: `${location.origin}/client.imjoy.html`,
      });
      return client.walk(given.map((file) => ({ ...file, bytes: Uint8Array.from(file.bytes) })));
    }, files);
    assert.match(result.before, /not_found: No series/);
    assert.deepEqual(
      [result.opened.current, ...result.opened.images.map(({ state }) => state)],
      [0, 'work', 'new', 'new', 'new'],
    );
    assert.deepEqual(result.walked, [
      [true, '42.tif'],
      [true, '43.tif'],
      [true, '42.tif'],
      [undefined, '41.tif'],
    ]);
    assert.match(result.refused, /invalid_image: /);
    assert.deepEqual(
      result.after.images.map(({ state, objects }) => [state, objects ?? 0]),
      [
        ['empty', 0],
        ['failed', 0],
        ['done', 1],
        ['empty', 0],
      ],
    );
    await annotator.close();
  });

  it('is found by its manifest, and opened by its launcher: one pair of windows for an image, closed together', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.viewer();
    const found = await annotator.page.evaluate(async () => {
      const { imjoy, api } = globalThis as unknown as {
        imjoy: {
          pm: {
            reloadRepository(repository: object): Promise<{ plugins: { name: string; uri: string }[] }>;
          };
          event_bus: { on(event: string, listener: (window: Place) => void): void };
        };
        api: {
          getPlugin(config: object): Promise<{ open(context: object): Promise<Record<string, () => Promise<object>>> }>;
        };
      };
      const [opened, closed]: [Place[], string[]] = [[], []];
      imjoy.event_bus.on('add_window', ({ name, x, y, w, h }) => opened.push({ name, x, y, w, h }));
      imjoy.event_bus.on('close_window', ({ name }) => closed.push(name));
      const { plugins } = await imjoy.pm.reloadRepository({
        name: 'ours',
        url: `${location.origin}/manifest.imjoy.json`,
      });
      const launcher = await api.getPlugin({ src: plugins[0].uri });
      const settings = { viewer: `${location.origin}/plugin/viewer/index.html` };
      const [service] = await Promise.all([0, 1].map(() => launcher.open({ config: { settings }, data: {} })));
      await launcher.open({ config: { settings } });
      const info = await service.get_info();
      await service.close();
      while (closed.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
      await launcher.open({ config: { settings } });
      return { name: plugins[0].name, info, opened, closed };
    });
    const [panel, viewer] = found.opened;
    assert.deepEqual(
      found.opened.map(({ name }) => name),
      ['micro-sam', 'Viewer', 'micro-sam 2', 'Viewer 2'],
    );
    assert.deepEqual(found.closed.sort(), ['Viewer', 'micro-sam']);
    assert.ok(viewer.w >= 16 && viewer.h >= 16 && panel.h === viewer.h, JSON.stringify(found.opened));
    assert.deepEqual([viewer.x, viewer.y, panel.x, panel.y], [0, 0, viewer.w, 0]);
    assert.equal(found.name, 'micro-sam');
    assert.equal((found.info as { name: string }).name, 'micro-sam');
    assert.deepEqual(annotator.outside, []);
    await annotator.close();
  });

  it('lets go of windows whose page is gone, and closes the viewer of those that could not open their image', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.viewer();
    const found = await annotator.page.evaluate(async () => {
      interface Window {
        readonly name: string;
        close(): Promise<void>;
      }
      const { imjoy, api } = globalThis as unknown as {
        imjoy: { wm: { windows: Window[] }; event_bus: { on(event: string, listener: (what: Window) => void): void } };
        api: { getPlugin(config: object): Promise<{ open(context: object): Promise<Window> }> };
      };
      const [letGo, closed]: [string[], string[]] = [[], []];
      imjoy.event_bus.on('closing_window_plugin', ({ name }) => letGo.push(name));
      imjoy.event_bus.on('close_window', ({ name }) => closed.push(name));
      const until = async (list: readonly string[], name: string) => {
        for (let i = 0; i < 200 && !list.includes(name); i++) await new Promise((resolve) => setTimeout(resolve, 50));
      };
      const launcher = await api.getPlugin({ src: `${location.origin}/plugin/micro-sam.imjoy.html` });
      const config = { settings: { viewer: `${location.origin}/plugin/viewer/index.html` } };
      const before = new Set(document.querySelectorAll('iframe'));
      const one = await launcher.open({ config });
      // As a notebook does with what a cell has shown when the cell is run again.
      for (const frame of document.querySelectorAll('iframe'))
        if (frame.src.endsWith('/plugin/index.html') && !before.has(frame)) frame.remove();
      await one.close();
      await until(letGo, 'micro-sam');
      const failure = await launcher.open({ config, data: { image: new Uint8Array(3) } }).then(String, String);
      await imjoy.wm.windows.find(({ name }) => name === 'micro-sam 2')?.close();
      await until(closed, 'Viewer 2');
      return { letGo, failure, closed };
    });
    assert.ok(found.letGo.includes('micro-sam'), found.letGo.join());
    assert.match(found.failure, /unsupported/);
    assert.ok(found.closed.includes('Viewer 2'), found.closed.join());
    await annotator.close();
  });

  it('is run again with another model, and keeps the one in use where there is none of a name (thorough)', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.viewer();
    const found = await annotator.page.evaluate(async () => {
      interface Service {
        run(context: object): Promise<void>;
        get_info(): Promise<{ model: string }>;
      }
      const { api } = globalThis as unknown as {
        api: { getWindow(name: string): Promise<Service> };
      };
      const service = await api.getWindow('micro-sam');
      const models: string[] = [];
      const failures: string[] = [];
      for (const model of ['vit_t', 'no_such_model', 'msi_lm']) {
        await service.run({ config: { settings: { model } } }).catch((error) => failures.push(String(error)));
        models.push((await service.get_info()).model);
      }
      return { failures, models };
    });
    assert.deepEqual(found.models, ['vit_t', 'vit_t', 'msi_lm']);
    assert.equal(found.failures.length, 1);
    assert.match(found.failures[0], /no_such_model/);
    await annotator.close();
  });

  it('closes the viewer of a window that is closed while its image is still being opened', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const asked = new Promise<void>((resolve) => silent.once('request', () => resolve()));
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.viewer();
    const windows = () =>
      annotator.page.evaluate(() => {
        const { imjoy } = globalThis as unknown as { imjoy: { wm: { windows: { readonly id: string }[] } } };
        return imjoy.wm.windows.map(({ id }) => id);
      });
    const before = await windows();
    await annotator.page.evaluate(async (image) => {
      const { api } = globalThis as unknown as {
        api: { getPlugin(config: object): Promise<{ open(context: object): Promise<unknown> }> };
      };
      const launcher = await api.getPlugin({ src: `${location.origin}/plugin/micro-sam.imjoy.html` });
      const config = { settings: { viewer: `${location.origin}/plugin/viewer/index.html` } };
      void launcher.open({ config, data: { image } }).catch(() => undefined);
    }, `http://127.0.0.1:${port}/image.tif`);
    await asked;
    const opened = (await windows()).filter((id) => !before.includes(id));
    assert.equal(opened.length, 2, 'the panel and its viewer');
    await annotator.page.evaluate((ids) => {
      interface Window {
        readonly id: string;
        readonly name: string;
        close(): Promise<void>;
      }
      const { imjoy } = globalThis as unknown as { imjoy: { wm: { windows: Window[] } } };
      void imjoy.wm.windows.find(({ id, name }) => ids.includes(id) && name.startsWith('micro-sam'))?.close();
    }, opened);
    await eventually('both windows are gone', async () => {
      const left = await windows();
      return opened.every((id) => !left.includes(id)) || undefined;
    });
    silent.closeAllConnections();
    silent.close();
    await annotator.close();
  });

  it('says the same of itself in the manifest and in the launcher', () => {
    const manifest = JSON.parse(readFileSync('manifest.imjoy.json', 'utf8'));
    const launcher = readFileSync('plugin/micro-sam.imjoy.html', 'utf8');
    const config = JSON.parse(/<config lang="json">([\s\S]*?)<\/config>/.exec(launcher)?.[1] ?? '');
    const { uri, ...listed } = manifest.plugins[0];
    assert.deepEqual(listed, config);
    assert.equal(uri, 'plugin/micro-sam.imjoy.html');
    assert.ok(config.description.length <= 256 && config.name.length <= 48);
    assert.equal(config.version, JSON.parse(readFileSync('package.json', 'utf8')).version);
  });
});
