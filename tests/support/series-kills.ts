import { openImage } from '../../src/io/open.js';
import { readLabelImage } from '../../src/io/results/label-image.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import type { Autosave } from '../../src/session/saving/autosave.js';
import { ImageSeries } from '../../src/session/series/image-series.js';
import { parseCsv, TABLE } from '../../src/session/series/series-table.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from './disc-annotator.js';
import { openSaved } from './open-saved.js';
import { randomInteger, seededRandom } from './random.js';
import { type Losses, Mortal } from './saving-trials.js';

/**
 * A series of images worked through at random until the program dies at any operation of any of its stores: while an image
 * is left and the next one opened, while results are written. What was acknowledged of each image must be there
 * afterwards, and every result whole.
 */
export async function seriesKillTrials(trials: number, seed: number): Promise<Losses> {
  const random = seededRandom(seed);
  const losses: string[] = [];
  let folder = new SeriesFolder();
  for (let trial = 0; trial < trials; trial++) {
    if (trial % 10 === 0) folder = new SeriesFolder();
    await folder.work(random, randomInteger(random, 0, 60));
    for (const loss of await folder.losses()) losses.push(`trial ${trial}: ${loss}`);
  }
  return { trials, losses };
}

const NAMES = ['a.tif', 'b.tif', 'c.tif'];
const SIZE = [40, 60] as const;

class SeriesFolder {
  private readonly states = memoryStore();
  private readonly autosaves = memoryStore();
  private readonly output = memoryStore();
  /** Committed objects that were said to be saved, by image. */
  private readonly told = new Map<string, number>();

  /** One sitting, which ends with a kill at this operation. */
  async work(random: () => number, diesAt: number): Promise<void> {
    const mortal = new Mortal(diesAt, random() < 0.5);
    const opened = await this.open((store) => mortal.store(store)).catch(() => undefined);
    if (!opened) return;
    const { session, series, saved, end } = opened;
    const count = () => session.state.layers.committed_objects.objects.size;
    const name = () => session.state.image?.name ?? '';
    /** An object that covers others takes their place: there may be fewer than were said to be saved before. */
    const covered = () => {
      const told = this.told.get(name());
      if (told !== undefined) this.told.set(name(), Math.min(told, count()));
    };
    try {
      await series.start();
      for (let step = 0; !mortal.isDead && step < 100; step++) {
        const act = random();
        if (act < 0.5) {
          const at = [randomInteger(random, 0, SIZE[0]) + 0.5, randomInteger(random, 0, SIZE[1]) + 0.5] as const;
          const id = `${diesAt}-${step}-${random()}`;
          await session.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at, positive: true }] });
          await session.run('commit', { preserveMode: 'none' });
          covered();
        } else if (act < 0.7) {
          await saved();
          this.told.set(name(), count());
        } else if (act < 0.8) await series.save();
        else {
          const [left, objects] = [name(), count()];
          await series.goTo(randomInteger(random, 0, NAMES.length));
          if (name() !== left) this.told.set(left, objects);
        }
      }
    } catch {
      covered(); // the kill
    }
    await series.close(true).catch(() => undefined);
    await end();
  }

  /** What is not as it was said to be, in words. */
  async losses(): Promise<string[]> {
    const losses: string[] = [];
    const { session, series, end } = await this.open((store) => store);
    const states = new Map(series.images.map((image) => [image.name, image]));
    for (const [index, name] of NAMES.entries()) {
      const { state, objects = 0 } = states.get(name) ?? {};
      const result = await this.output.get(`${name[0]}_labels.tif`);
      if (state === 'done' && !result) losses.push(`${name} is done and has no result`);
      if (result && (await largest(result)) === 0 && state === 'done' && objects > 0)
        losses.push(`the result of ${name} is empty`);
      await series.goTo(index);
      const there = session.state.layers.committed_objects.objects.size;
      if (there < (this.told.get(name) ?? 0)) losses.push(`${name} has ${there} objects of ${this.told.get(name)}`);
      this.told.set(name, there);
    }
    const table = await this.output.get(TABLE);
    const rows = table ? parseCsv(new TextDecoder().decode(table)) : [];
    if (rows.some((row) => row.length !== rows[0].length)) losses.push('the table is cut off');
    await series.close();
    await end();
    return losses;
  }

  private async open(over: (store: Store) => Store) {
    const session = new AnnotationSession();
    let autosave: Autosave | undefined;
    const autosaves = over(this.autosaves);
    const series = await ImageSeries.open(session, {
      names: NAMES,
      store: over(this.states),
      output: over(this.output),
      async open(index) {
        await autosave?.close();
        const image = { name: NAMES[index], axes: 'yx', size: SIZE, planes: 1, signature: `pixels ${index}` } as const;
        autosave = await openSaved(session, autosaves, image, new DiscAnnotator(SIZE));
      },
    });
    return { session, series, saved: async () => autosave?.flush(), end: async () => autosave?.close() };
  }
}

async function largest(tiff: Uint8Array): Promise<number> {
  const image = await openImage(tiff, { name: 'result' });
  const { data } = await readLabelImage(image);
  await image.close();
  return data.reduce((a, b) => Math.max(a, b), 0);
}
