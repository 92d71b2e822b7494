import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { blobBytes } from '../io/bytes.js';
import { naturalOrder } from '../io/folder/file-names.js';
import { listFolder } from '../io/folder/listing.js';
import { pairNames } from '../io/folder/pairing.js';
import { distinctNames } from '../io/folder/result-names.js';
import type { ImageInput } from '../io/open.js';
import { files } from '../io/parts.js';
import type { Store } from '../io/store.js';
import { listKeys, prefixStore } from '../io/stores/prefix.js';
import { itemAt, present } from '../items.js';
import type { SeriesControl } from '../service/series.js';
import { labelsOf } from '../session/loading/load-objects.js';
import { ImageSeries, type SeriesImage } from '../session/series/image-series.js';
import { TABLE } from '../session/series/series-table.js';
import type { LeftImage } from './annotated-images.js';
import type { Workspace } from './workspace.js';
import { isZarrAddress } from './zarr-input.js';

/** The images that were given to this window, one after the other in its one session. */
export interface SeriesInput {
  readonly name: string;
  readonly input: ImageInput;
  /** A label image whose objects it begins with. */
  readonly labels?: ImageInput;
  /** What its results are called; told from the names if absent. */
  readonly result?: string;
  /** Where its embeddings are kept, if somebody computed them. */
  readonly embeddings?: Store;
}

/** For the panel. */
export interface SeriesModel {
  readonly images: readonly SeriesImage[];
  /** Index of the open one. */
  readonly current?: number;
  goTo(index: number): void;
  /** The table of all objects. */
  saveTable(): void;
  /** Label images of all that is done, and the table. */
  saveAll(): void;
  /** How far the segmentation of all images is, while it runs. */
  readonly segmenting?: { readonly done: number; readonly total: number };
  /** Images that are not segmented; 0: all are. */
  readonly unsegmented: number;
  /** Seconds that segmenting them would take; undefined if nobody can tell. */
  estimate(): Promise<number | undefined>;
  segmentAll(): void;
  stopSegmenting(): void;
}

/** Hands a file to the user to save. */
export type Download = (name: string, bytes: Uint8Array) => void;

export interface SeriesPlace {
  readonly store: Store;
  /** Where results go; beside the saved work if absent. */
  readonly output?: Store;
  readonly download: Download;
  /** What names the series, e.g. its folder; the names of its images if absent. */
  readonly key?: string;
}

export class PageSeries {
  private constructor(
    private readonly series: ImageSeries,
    private readonly inputs: readonly SeriesInput[],
    private readonly workspace: Workspace,
    private readonly output: Store,
    private readonly download: Download,
  ) {}

  static async open(
    workspace: Workspace,
    images: readonly SeriesInput[],
    { store, output, download, key = images.map(({ name }) => name).join('\n') }: SeriesPlace,
  ): Promise<PageSeries> {
    const own = prefixStore(store, `series/${bytesToHex(sha1(utf8ToBytes(key)))}`);
    const results = output ?? prefixStore(own, 'results');
    const given = images.flatMap(({ result }) => result ?? []);
    const outputNames = given.length === images.length ? given : undefined;
    const names = distinctNames(images.map(({ name }) => name));
    const series = await ImageSeries.open(workspace.session, {
      names,
      open: async (index) => {
        const { input, embeddings } = itemAt(images, index);
        await workspace.open(input, { name: itemAt(names, index), embeddings });
      },
      precompute: (index, { signal }) =>
        workspace.encodeAhead(itemAt(images, index).input, itemAt(names, index), signal),
      initial: async (index) => {
        const { labels } = itemAt(images, index);
        return labels === undefined ? undefined : labelsOf(labels);
      },
      source: () => workspace.source,
      ...(outputNames && { results: outputNames }),
      store: own,
      output: results,
    });
    return new PageSeries(series, images, workspace, results, download);
  }

  /** For the panel; made anew after every change. */
  get model(): SeriesModel {
    const { series } = this;
    const { segmentation } = series;
    return {
      images: series.images,
      ...(series.current !== undefined && { current: series.current }),
      goTo: (index) => void this.tell(series.goTo(index)),
      saveTable: () => void this.tell(this.saveTable()),
      saveAll: () => void this.tell(this.saveAll()),
      ...(segmentation.progress && { segmenting: segmentation.progress }),
      unsegmented: segmentation.left,
      estimate: () => this.estimate(),
      segmentAll: () => void this.tell(segmentation.run()),
      stopSegmenting: () => segmentation.stop(),
    };
  }

  /** Images beside the open one that were left with objects. */
  async leftImages(): Promise<LeftImage[]> {
    const { images, current } = this.series;
    const left: LeftImage[] = [];
    for (const [index, { name }] of images.entries()) {
      const labels = index === current ? undefined : await this.series.savedLabels(index);
      if (labels) left.push({ name, input: itemAt(this.inputs, index).input, labels });
    }
    return left;
  }

  /** Another model is in use. */
  renewAhead(): void {
    this.series.renewAhead();
  }

  /** Committed objects of all images, as far as they were left. */
  get objects(): number {
    return this.series.images.reduce((sum, { objects = 0 }) => sum + objects, 0);
  }

  /** For scripts, which are told what goes wrong. */
  get control(): SeriesControl {
    return this.series;
  }

  subscribe(listener: () => void): void {
    this.series.subscribe(listener);
  }

  /** Opens the image where the work stopped. */
  start(): Promise<void> {
    return this.tell(this.series.start());
  }

  next(): Promise<void> {
    return this.tell(this.series.next());
  }

  previous(): Promise<void> {
    return this.tell(this.series.previous());
  }

  save(): Promise<void> {
    return this.series.save();
  }

  /** @param saved the session may show another image by now */
  close(saved = false): Promise<void> {
    return this.series.close(saved);
  }

  /** By the open image, as if all were like it. */
  private async estimate(): Promise<number | undefined> {
    const { state, annotator } = this.workspace.session;
    const applyToVolume = (state.image?.planes ?? 1) > 1;
    const wanted = { ...state, settings: { ...state.settings, applyToVolume } };
    const one = await annotator?.automaticEstimate?.(wanted).catch(() => undefined);
    return one && one.seconds * this.series.segmentation.left;
  }

  private async saveTable(): Promise<void> {
    await this.series.save();
    const table = await this.output.get(TABLE);
    if (table) this.download(TABLE, table);
  }

  private async saveAll(): Promise<void> {
    await this.series.save();
    const names = await listKeys(this.output);
    const results = await Promise.all(
      names.map(async (name) => ({ name, bytes: present(await this.output.get(name), 'a listed result') })),
    );
    const { zipFiles } = await files();
    this.download('series_results.zip', await zipFiles(results));
  }

  /** What goes wrong is shown and ends here. */
  private async tell(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.workspace.session.report(error);
    }
  }
}

/** The fields of view of a plate, as a series; undefined for any other input. */
export async function plateImages(input: ImageInput): Promise<SeriesInput[] | undefined> {
  const store = await zarrStore(input);
  if (!store) return undefined;
  const { plateFields } = await files();
  const fields = await plateFields(store);
  return fields?.map(({ key, name }) => ({ name: `${store.name} ${name}`, input: prefixStore(store, key) }));
}

async function zarrStore(input: ImageInput): Promise<Store | undefined> {
  if (Array.isArray(input)) return (await files()).zarrOfFiles(input);
  return isZarrAddress(input) ? (await files()).httpStore(input) : undefined;
}

/**
 * Files chosen together, as a series in natural order; what is no image by its name is left out, unless nothing would be
 * left. Files that are one image together are one of the series. Label images among them are what their images begin with.
 */
export async function seriesOfFiles(given: readonly File[]): Promise<SeriesInput[]> {
  const names = given.map(({ name }) => name);
  const { chosen } = listFolder(names);
  const named = given.filter(({ name }) => chosen.includes(name));
  const { partsOfSets } = await files();
  const all = named.length > 0 ? named : given;
  const parts = await partsOfSets(chosen, async (name) =>
    blobBytes(
      present(
        given.find((file) => file.name === name),
        'a file of the folder',
      ),
    ),
  );
  const images = all.filter(({ name }) => !parts.has(name)).sort((a, b) => naturalOrder(a.name, b.name));
  const others = listFolder(names, 'labels').chosen.filter((name) => !chosen.includes(name));
  const { pairs } = pairNames(
    images.map(({ name }) => name),
    others,
  );
  const labels = new Map(pairs.map(([i, k]) => [i, given.find(({ name }) => name === others[k])]));
  return images.map((file, i) => {
    const others = given.filter(({ name }) => parts.get(name) === file.name);
    return {
      name: file.name,
      input: others.length > 0 ? [file, ...others] : file,
      ...(labels.get(i) && { labels: labels.get(i) }),
    };
  });
}
