import type { Engine } from '../../src/app/engine.js';
import type { PageFile, PageSettings } from '../../src/app/page-settings.js';
import { further } from '../../src/app/parts.js';
import { SAMPLES } from '../../src/app/samples.js';
import type { PageSeries, SeriesInput, SeriesPlace } from '../../src/app/series.js';
import type { Workspace } from '../../src/app/workspace.js';
import { isZarr, isZarrAddress } from '../../src/app/zarr-input.js';
import { checkpointsAmong } from '../../src/checkpoints/recognise.js';
import { SamError } from '../../src/errors.js';
import { httpBytes } from '../../src/io/http-bytes.js';
import type { ImageInput } from '../../src/io/open.js';
import type { Store } from '../../src/io/store.js';
import { prefixStore } from '../../src/io/stores/prefix.js';
import { serverStore } from '../../src/io/stores/server.js';
import { itemAt } from '../../src/items.js';
import { download } from '../download.js';
import { furtherViews } from '../panel/parts.js';
import { LastAsked, type MayOpen } from './last-asked.js';

type Opening = NonNullable<Parameters<Workspace['open']>[1]>;

/** What a window is started with, beside its settings. */
export interface FirstImage {
  readonly image?: unknown;
  readonly url?: string;
  readonly name?: string;
}

export interface OpenerDeps {
  readonly workspace: Workspace;
  readonly settings: PageSettings;
  readonly engine: Engine;
  /** Where a series keeps its state. */
  readonly store: Store;
  /** Does what is shown if it fails. */
  attempt(action: () => Promise<void> | undefined): void;
  /** Another image or series is open, or the series went on. */
  onChanged(): void;
}

/** Opens images for hands, scripts and what the window was started with: alone, as a series, from a sample or a plate. */
export class Opener {
  private current?: PageSeries;
  private readonly lastAsked = new LastAsked();
  /** Of the image that `run` is given, which was asked for before anything that hands have dropped. */
  private turnOfRun?: MayOpen;

  constructor(private readonly deps: OpenerDeps) {}

  /** The images that are open as a series; undefined where one is open alone. */
  get series(): PageSeries | undefined {
    return this.current;
  }

  /**
   * Begins to open what the window is started with, the first sample if that is nothing.
   *
   * @returns the turn of the image itself, where one is given, for `openInTurn`
   */
  openFirst({ image, url, name }: FirstImage): MayOpen {
    const { files = [], seriesKey, output } = this.deps.settings;
    const mayOpen = this.lastAsked.ask();
    const [first] = files;
    if (url) void this.open(url, { name }, mayOpen);
    else if (files.length > 1 || (first && output)) {
      const images = files.map(({ url: input, embeddings, ...file }) => ({
        ...file,
        input,
        ...(embeddings && { embeddings: this.keptEmbeddings(embeddings) }),
      }));
      const place = { key: seriesKey, ...(output && { output: serverStore(output) }) };
      this.deps.attempt(() => this.openSeries(images, place, mayOpen));
    } else if (first) this.deps.attempt(() => this.openFile(first, mayOpen));
    else if (image === undefined) void this.openSample(0);
    return mayOpen;
  }

  /** The next image that is given, while this goes on, has that turn. */
  async openInTurn(turn: MayOpen, open: () => Promise<unknown>): Promise<void> {
    this.turnOfRun = turn;
    await open().finally(() => (this.turnOfRun = undefined));
  }

  /** An image that a script gives, which hears what goes wrong. */
  async openGiven(input: ImageInput, options: Opening | undefined): Promise<void> {
    const mayOpen = this.turnOfRun ?? this.lastAsked.ask();
    this.turnOfRun = undefined;
    if (mayOpen()) await this.openAlone(input, options);
  }

  /** What goes wrong is the session's message already. */
  async open(input: ImageInput, options: Opening = {}, mayOpen = this.lastAsked.ask()): Promise<void> {
    const { workspace, engine, onChanged } = this.deps;
    const chosen = options.key !== undefined || options.series !== undefined;
    const isPlate = !chosen && (Array.isArray(input) || isZarrAddress(input));
    const plate = isPlate ? await plateImages(input).catch(() => undefined) : undefined; // opening says what is wrong
    if (!mayOpen()) return;
    if (plate) return this.openSeries(plate, {}, mayOpen);
    try {
      await this.openAlone(input, options);
      const { images = [] } = workspace.source ?? {};
      if (images.length > 1 && !chosen)
        this.askWhich(images, (series) => void this.open(input, { ...options, series }));
    } catch (error) {
      onChanged();
      const keys = keysToChooseFrom(error);
      if (keys.length > 0) this.askWhich(keys, (index) => void this.open(input, { ...options, key: keys[index] }));
    }
    await engine.measureCache().catch(() => undefined);
  }

  /** Files that were chosen or dropped: images, objects, or checkpoints of models. */
  openFiles(files: readonly File[]): void {
    if (files.length === 0) return;
    const { workspace, engine, attempt } = this.deps;
    const mayOpen = this.lastAsked.ask();
    attempt(async () => {
      const checkpoints = await checkpointsAmong(files);
      const others = files.filter((file) => !checkpoints.includes(file));
      const { takeTracks } = await further();
      if (others.length > 0 && !(await takeTracks(workspace.session, others))) this.openImages(others, mayOpen);
      if (checkpoints.length > 0) await engine.importAndUse(checkpoints);
    });
  }

  /** @param place of the series that the command line names */
  async openSeries(
    images: readonly SeriesInput[],
    place: Pick<SeriesPlace, 'key' | 'output'> = {},
    mayOpen = this.lastAsked.ask(),
  ): Promise<void> {
    const { workspace, store, onChanged } = this.deps;
    const { PageSeries } = await further();
    if (!mayOpen()) return;
    await this.closeSeries();
    const series = await PageSeries.open(workspace, images, { store, download, ...place });
    if (!mayOpen()) return series.close(true); // another image was asked for meanwhile
    this.current = series;
    series.subscribe(onChanged);
    await series.start();
    onChanged();
  }

  stepImage(step: 'next' | 'previous'): Promise<void> | void {
    if (this.series) return this.series[step]();
    this.deps.workspace.session.notify({
      level: 'info',
      text: 'This image was opened alone. Open several files or a folder to go from one to the next.',
    });
  }

  async openSample(index: number): Promise<void> {
    const sample = itemAt(SAMPLES, index);
    await this.open(sample.input(), { name: sample.name });
    const { session } = this.deps.workspace;
    if (sample.online && session.state.message?.code === 'not_found')
      session.notify({
        level: 'error',
        code: 'not_found',
        text: `The sample "${sample.title}" could not be loaded: it comes from the internet, which cannot be reached. The sample "${itemAt(SAMPLES, 0).title}" works without.`,
      });
  }

  /** Ends the series, whose images it does not belong to, once it is open: what cannot be opened leaves all as it is. */
  private async openAlone(input: ImageInput, options: Opening | undefined): Promise<void> {
    await this.series?.save();
    await this.deps.workspace.open(input, options);
    await this.closeSeries(true);
    this.deps.onChanged();
  }

  private async openFile(file: PageFile, mayOpen: MayOpen): Promise<void> {
    const frames = file.frames && (await Promise.all(file.frames.map((url) => httpBytes(url))));
    const embeddings = this.keptEmbeddings(file.embeddings);
    await this.open(frames ?? file.url, { name: file.name, embeddings }, mayOpen);
    const { session } = this.deps.workspace;
    if (session.state.image?.name !== file.name || !(file.labels || file.tracks)) return;
    this.deps.attempt(async () => (await further()).beginWithObjects(session, file));
  }

  private openImages(files: readonly File[], mayOpen: MayOpen): void {
    const [first, ...more] = files;
    if (first && more.length === 0) void this.open(first, {}, mayOpen);
    else if (isZarr(files)) void this.open([...files], {}, mayOpen);
    else this.deps.attempt(() => this.askForSeries(files));
  }

  private async askForSeries(files: readonly File[]): Promise<void> {
    const { severalFilesSheet } = await furtherViews();
    severalFilesSheet(files.length, {
      series: () => this.deps.attempt(() => this.openSeriesOfFiles(files)),
      one: () => void this.open([...files]),
    }).open();
  }

  private async openSeriesOfFiles(files: readonly File[]): Promise<void> {
    const mayOpen = this.lastAsked.ask();
    const { seriesOfFiles } = await further();
    await this.openSeries(await seriesOfFiles(files), {}, mayOpen);
  }

  private async closeSeries(saved = false): Promise<void> {
    const { series } = this;
    this.current = undefined;
    await series?.close(saved);
  }

  private askWhich(names: readonly string[], choose: (index: number) => void): void {
    this.deps.attempt(async () => (await furtherViews()).whichImageSheet(names, choose).open());
  }

  private keptEmbeddings(name: string | undefined): Store | undefined {
    const { embeddings } = this.deps.settings;
    return embeddings && name !== undefined ? prefixStore(serverStore(embeddings), name) : undefined;
  }
}

/** The images that a file was found to hold when it could not be opened without being told which; else none. */
function keysToChooseFrom(error: unknown): readonly string[] {
  const keys = error instanceof SamError && error.code === 'invalid_argument' ? error.details.keys : undefined;
  return Array.isArray(keys) ? keys.map(String) : [];
}

/** The fields of view of a plate, as a series; undefined for any other input. */
async function plateImages(input: ImageInput): Promise<SeriesInput[] | undefined> {
  return (await further()).plateImages(input);
}
