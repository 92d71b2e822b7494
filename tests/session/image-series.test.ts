import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { paintLayer } from '../../src/session/layers.js';
import type { Autosave } from '../../src/session/saving/autosave.js';
import { ImageSeries, type SeriesParts } from '../../src/session/series/image-series.js';
import { parseCsv, SeriesTable, TABLE } from '../../src/session/series/series-table.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { openSaved } from '../support/open-saved.js';

const SIZE = [40, 60] as const;

/** A folder of images, of which some are broken; `run` is one sitting at it, as after a restart of the program. */
class Folder {
  readonly store = memoryStore();
  readonly output = memoryStore();
  readonly autosaves = memoryStore();
  readonly opened: string[] = [];
  readonly ahead: number[] = [];

  constructor(
    readonly names: readonly string[],
    readonly broken: ReadonlySet<string> = new Set(),
  ) {}

  async run(more: Partial<SeriesParts> = {}) {
    const session = new AnnotationSession();
    let autosave: Autosave | undefined;
    const parts: SeriesParts = {
      names: this.names,
      store: this.store,
      output: this.output,
      open: async (index) => {
        const name = this.names[index];
        if (this.broken.has(name)) throw new SamError('invalid_image', 'The file is cut off.');
        await autosave?.close();
        const volume = name.startsWith('volume');
        const image: ImageInfo = {
          name,
          axes: volume ? 'zyx' : 'yx',
          size: SIZE,
          planes: volume ? 3 : 1,
          signature: `pixels of ${name}`,
        };
        autosave = await openSaved(session, this.autosaves as Store, image, new DiscAnnotator(SIZE));
        this.opened.push(name);
      },
      precompute: async (index) => void this.ahead.push(index),
      ...more,
    };
    const series = await ImageSeries.open(session, parts);
    return { session, series, saved: async () => autosave?.flush() };
  }

  /** Once the series is closed: it is written in the background. */
  async table(): Promise<string[][]> {
    return parseCsv(new TextDecoder().decode(await this.output.get(TABLE)));
  }
}

let count = 0;
async function annotate(session: AnnotationSession, y: number, x: number, plane = 0): Promise<void> {
  if (session.state.plane !== plane) await session.run('set_plane', { plane });
  const id = `q${++count}`;
  await session.run('put_prompts', { prompts: [{ kind: 'point', id, plane, at: [y, x], positive: true }] });
  await session.run('commit');
}

const states = ({ images }: ImageSeries) => images.map(({ state }) => state).join(' ');

describe('image series', () => {
  it('goes through the images, skips a broken one, and writes labels and one table', async () => {
    const folder = new Folder(['a.tif', 'b.tif', 'c.tif', 'volume.tif'], new Set(['b.tif']));
    const { series, session } = await folder.run();
    await series.start();
    assert.deepEqual(folder.ahead.slice(0, 2), [1, 2], 'the next two are computed ahead');
    await annotate(session, 10, 10);
    await annotate(session, 25, 40);
    const labels = paintLayer(session.state.layers.committed_objects, session.state.image!);
    assert.equal(await series.next(), true);
    assert.equal(series.current, 2, 'the broken image is passed');
    assert.equal(states(series), 'done failed work new');
    assert.match(series.images[1].failure ?? '', /cut off/);
    await series.next();
    await annotate(session, 20, 20, 0);
    await session.run('set_plane', { plane: 1 });
    assert.equal(await series.next(), false);
    assert.match(session.state.message?.text ?? '', /last image.* 1 could not be opened/);
    assert.equal(states(series), 'done failed empty done');

    const file = await folder.output.get('a_labels.tif');
    assert.ok(file);
    const source = await openImage(file, { name: 'a_labels.tif' });
    assert.deepEqual([...(await readPlane(source, 0)).data], [...labels.data]);
    await series.close();
    const [heads, ...rows] = await folder.table();
    assert.equal(heads[0], 'image');
    assert.deepEqual(
      rows.map((row) => [row[0], row[heads.indexOf('label')]]),
      [
        ['a.tif', '1'],
        ['a.tif', '2'],
        ['volume.tif', '1'],
      ],
    );
  });

  it('goes on where it stopped after being killed, with uncommitted work', async () => {
    const folder = new Folder(['a.tif', 'b.tif', 'c.tif', 'd.tif', 'e.tif']);
    const first = await folder.run();
    await first.series.start();
    await annotate(first.session, 10, 10);
    await first.series.next();
    await annotate(first.session, 12, 30);
    const prompt = { kind: 'point', id: 'late', plane: 0, at: [30, 50], positive: true } as const;
    await first.session.run('put_prompts', { prompts: [prompt] });
    await first.saved();
    // No close: the program is gone.
    const second = await folder.run();
    assert.equal(states(second.series), 'done work new new new');
    await second.series.start();
    assert.equal(second.series.current, 1);
    assert.equal(second.session.state.layers.committed_objects.objects.size, 1);
    assert.equal(second.session.state.prompts[0].id, 'late');
    await second.series.previous();
    assert.equal(second.series.current, 0);
    assert.equal(second.session.state.layers.committed_objects.objects.size, 1, 'work on earlier images is there');
    await second.series.goTo(4);
    assert.equal(states(second.series), 'done done new new work');
    await second.series.close();
  });

  it('computes ahead only when the open image is encoded', async () => {
    const folder = new Folder(['a', 'b', 'c', 'd']);
    let encode = () => {};
    const encoding = new Promise<void>((resolve) => {
      encode = resolve;
    });
    const { series, session } = await folder.run({
      open: async () => {
        const annotator = new DiscAnnotator(SIZE);
        annotator.gate = encoding;
        session.open({ name: 'a', axes: 'yx', size: SIZE, planes: 1, signature: 'a' }, annotator);
        void session.run('compute_embeddings');
      },
    });
    await series.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(folder.ahead, []);
    encode();
    for (const end = Date.now() + 5000; folder.ahead.length < 2 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(folder.ahead, [1, 2]);
    await series.close();
  });

  it('begins with initial labels, once', async () => {
    const folder = new Folder(['a.tif', 'b.tif']);
    const data = new Uint32Array(SIZE[0] * SIZE[1]);
    data.fill(7, 0, 20);
    const initial = async () => ({ data, shape: [...SIZE] });
    const { series, session } = await folder.run({ initial });
    await series.start();
    assert.deepEqual([...session.state.layers.committed_objects.objects.keys()], [7]);
    await session.run('delete_object', { layer: 'committed_objects', id: 7 });
    await series.next();
    await series.previous();
    assert.equal(session.state.layers.committed_objects.objects.size, 0, 'what was deleted stays deleted');
    await series.close();
  });

  it('begins without labels that do not fit, and says so', async () => {
    const folder = new Folder(['a.tif', 'b.tif']);
    const { series, session } = await folder.run({
      initial: async () => ({ data: new Uint32Array(6), shape: [2, 3] }),
    });
    await series.start();
    assert.deepEqual([series.current, states(series)], [0, 'work new']);
    assert.match(session.state.message?.text ?? '', /^a\.tif begins without objects: .*\[2,3\].*\[40,60\]/);
    await annotate(session, 10, 10);
    await series.next();
    await series.close();
    assert.equal((await folder.table())[1][0], 'a.tif');
  });

  it('writes nothing under the name of an image that is not the open one', async () => {
    const folder = new Folder(['a', 'b', 'c'], new Set(['c']));
    let shown = () => {};
    const bIsShown = new Promise<void>((resolve) => {
      shown = resolve;
    });
    const { session, series } = await folder.run({
      initial: (index) => {
        if (index === 1) shown();
        return index === 1 ? new Promise(() => {}) : Promise.resolve(undefined);
      },
    });
    await series.start();
    await annotate(session, 10, 10);
    await series.save();
    const written = await folder.output.get('a_labels.tif');
    void series.next().catch(() => undefined); // superseded
    await bIsShown;
    await assert.rejects(series.goTo(2), /cut off/);
    assert.equal(session.state.image?.name, 'b', 'the way to c ended at b');
    await annotate(session, 30, 30);
    await series.next();
    assert.deepEqual(await folder.output.get('a_labels.tif'), written);
    await series.close();
  });

  it('goes two images on when asked twice, and writes no result under the name of another image', async () => {
    const folder = new Folder(['a', 'b', 'c']);
    let shown = () => {};
    const bIsShown = new Promise<void>((resolve) => {
      shown = resolve;
    });
    const never = new Promise<undefined>(() => {});
    const { session, series } = await folder.run({
      initial: async (index) => {
        if (index !== 1) return undefined;
        shown();
        return never;
      },
    });
    await series.start();
    await annotate(session, 10, 10);
    void series.next().catch(() => undefined); // superseded
    await bIsShown;
    assert.equal(session.state.image?.name, 'b');
    await series.next();
    assert.equal(session.state.image?.name, 'c');
    assert.deepEqual([series.current, states(series)], [2, 'done new work']);
    const labels = await openImage((await folder.output.get('a_labels.tif')) as Uint8Array);
    assert.ok((await readPlane(labels, 0)).data.some((id) => id > 0));
    await series.close();
    assert.deepEqual(
      (await folder.table()).slice(1).map(([name]) => name),
      ['a'],
    );
  });

  it('stays where it is when no other image can be opened', async () => {
    const folder = new Folder(['a.tif', 'b.tif'], new Set(['b.tif']));
    const { series, session } = await folder.run();
    await series.start();
    await annotate(session, 10, 10);
    assert.equal(await series.next(), false);
    assert.equal(series.current, 0);
    assert.equal(session.state.image?.name, 'a.tif');
    await assert.rejects(series.goTo(1), /cut off/);
    assert.equal(series.current, 0);
    await series.close();
    assert.ok((await listKeys(folder.output)).includes('a_labels.tif'));
  });

  it('keeps one result for each of several images of one name, also when more of them come', async () => {
    const folder = new Folder(['same.tif', 'b/same.tif']);
    const { series, session } = await folder.run();
    await series.start();
    await annotate(session, 10, 10);
    await series.next();
    await annotate(session, 30, 30);
    await series.close();
    const written = (await listKeys(folder.output)).filter((key) => key.endsWith('.tif')).sort();
    assert.deepEqual(written, ['b_same_labels.tif', 'same_labels.tif']);
    const more = new Folder(['b/same.tif', 'same.png', 'same.tif']);
    for (const store of ['store', 'output', 'autosaves'] as const) Object.assign(more, { [store]: folder[store] });
    const later = await more.run();
    await later.series.goTo(1);
    await annotate(later.session, 20, 20);
    await later.series.goTo(2);
    await later.series.close();
    const all = (await listKeys(folder.output)).filter((key) => key.endsWith('.tif'));
    assert.equal(all.length, 3, all.join(' '));
    assert.ok(written.every((key) => all.includes(key)));
  });

  it('stores as little of a step among 2,000 images as among 3', async () => {
    const bytesOf = async (count: number) => {
      const folder = new Folder(Array.from({ length: count }, (_, k) => `${1000 + k}.tif`));
      let bytes = 0;
      const { set, get } = folder.store;
      folder.store.set = async (key, value) => {
        bytes += value.length;
        await set(key, value);
      };
      folder.store.get = async (key) => {
        const value = await get(key);
        bytes += value?.length ?? 0;
        return value;
      };
      const { session, series } = await folder.run();
      await series.start();
      await annotate(session, 10, 10);
      bytes = 0;
      await series.next();
      await series.previous();
      await series.close();
      return bytes;
    };
    const [few, many] = [await bytesOf(3), await bytesOf(2000)];
    assert.ok(many / few <= 1.2, `${few} and ${many} bytes`);
  });

  it('goes on from many changes as from one list, and after a list that cannot be read', async () => {
    const folder = new Folder(Array.from({ length: 100 }, (_, k) => `${k}.tif`));
    const first = await folder.run();
    await first.series.start();
    for (let k = 0; k < 80; k++) await first.series.next();
    await first.series.close();
    for (let opening = 0; opening < 2; opening++) {
      const { series } = await folder.run();
      assert.equal(states(series), [...Array(81).fill('empty'), ...Array(19).fill('new')].join(' '));
      await series.start();
      assert.equal(series.current, 80);
      await series.close();
    }
    assert.ok((await listKeys(folder.store, 'changed/')).length <= 2, 'the changes were joined');
    await folder.store.set('series.json', new TextEncoder().encode('{'));
    const { series, session } = await folder.run();
    assert.match(session.state.message?.text ?? '', /could not be read completely/);
    assert.equal(series.images[80].state, 'empty');
  });

  it('refuses a series without images or with two of a name', async () => {
    await assert.rejects(new Folder([]).run(), /no image/);
    await assert.rejects(new Folder(['a', 'a']).run(), /same name/);
  });

  it('tables are joined by column name, with cells quoted', async () => {
    const csv = new Map([
      ['a, "b"', 'label,area\r\n1,5\r\n'],
      ['c', 'area,"mean, DAPI"\r\n7,"x ""y"""\r\n'],
      ['empty', 'label\r\n'],
      ['short', 'label,area\r\n2\r\n'],
    ]);
    const output = memoryStore();
    const table = new SeriesTable([...csv.keys()], memoryStore(), output);
    for (const [name, text] of csv) await table.set(name, text);
    await table.written();
    assert.deepEqual(parseCsv(new TextDecoder().decode(await output.get(TABLE))), [
      ['image', 'label', 'area', 'mean, DAPI'],
      ['a, "b"', '1', '5', ''],
      ['c', '', '7', 'x "y"'],
      ['short', '2', '', ''],
    ]);
  });
});
