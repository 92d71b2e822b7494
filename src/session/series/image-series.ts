import { asSamError, SamError } from '../../errors.js';
import type { ImageSource } from '../../io/image.js';
import { files } from '../../io/parts.js';
import type { ExportFormat } from '../../io/results/export-formats.js';
import type { Store } from '../../io/store.js';
import { itemAt } from '../../items.js';
import type { LabelImage } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { setCommittedObjects } from '../edits/edits.js';
import { offerToSeparate, piecesOfOneObject } from '../edits/separate.js';
import { labelExport } from '../label-export.js';
import { checkLabelShape, isUntouched, recordsFromLabels } from '../layers.js';
import type { AnnotationSession } from '../session.js';
import { type OpenedRecords, SeriesRecords } from './series-records.js';
import { seriesResults } from './series-results.js';
import { SeriesSegmentation } from './series-segmentation.js';
import { SeriesTable } from './series-table.js';

/**
 * Many images, annotated one after the other in one session: which are done, which one is open, what failed and why. The
 * work on each is kept by autosave, which the opener takes care of; leaving an image writes its results. What the series
 * knows is in its store after every step, so that it goes on where it stopped, however it stopped. As micro-sam's
 * `image_series_annotator`, with a way back.
 */
export interface SeriesImage {
  readonly name: string;
  readonly state: SeriesState;
  /** Committed objects when it was left. */
  readonly objects?: number;
  /** Why it could not be opened. */
  readonly failure?: string;
  /** All its objects were looked for without prompts. */
  readonly segmented?: boolean;
}

/** `new`: not seen yet; `work`: opened and not left; `empty`: left without a committed object. */
export type SeriesState = 'new' | 'work' | 'done' | 'empty' | 'failed';

export interface SeriesParts {
  /** Unique names in the order of the series: paths within the folder, well and field. */
  readonly names: readonly string[];
  /**
   * Opens an image in the session under its name in the series, with its annotator and autosave; resolves when prompts
   * can be given.
   */
  open(index: number, task: TaskOptions): Promise<void>;
  /** Makes embeddings of an image that will be opened soon. Not waited for; aborted when another image is opened. */
  precompute?(index: number, task: TaskOptions): Promise<void>;
  /** Labels to begin with, for an image without work. */
  initial?(index: number): Promise<LabelImage | undefined>;
  /** The open image, for what its labels do not tell: pixel size, intensities. */
  source?(): ImageSource | undefined;
  /** Where the state of the series is kept. */
  readonly store: Store;
  /** Where results go. */
  readonly output: Store;
  /** What the results of each image are called, before what their format adds; told from the names if absent. */
  readonly results?: readonly string[];
  readonly format?: ExportFormat;
  /** Images computed ahead; default 2. */
  readonly ahead?: number;
}

const LEAVING = 'Another image is being opened; go on when it is there.';

export class ImageSeries {
  /** Segments all images without prompts. */
  readonly segmentation: SeriesSegmentation;
  private readonly listeners = new Set<() => void>();
  /** What the results of each image are called. */
  private readonly results: readonly string[];
  /** Of images whose results are written. */
  private readonly written: Map<string, string>;
  private readonly table: SeriesTable;
  private list: SeriesImage[];
  private position: number | undefined;
  /** The image being opened: from when the one before is saved until the session shows it. */
  private heading: number | undefined;
  /** The image that was asked for, while the one before is being left. */
  private asked?: { readonly index: number };
  private background?: AbortController;
  private opening?: AbortController;

  private constructor(
    private readonly session: AnnotationSession,
    private readonly parts: SeriesParts,
    private readonly records: SeriesRecords,
    known: Pick<OpenedRecords, 'images' | 'current'>,
  ) {
    this.list = parts.names.map((name) => {
      const { result: _, ...image } = known.images.get(name) ?? { state: 'new' as const };
      return { name, ...image };
    });
    this.written = new Map(
      [...known.images].flatMap(([name, { result }]) => (result ? [[name, result] as const] : [])),
    );
    this.results = seriesResults(parts.names, parts.results, this.written);
    this.table = new SeriesTable(parts.names, parts.store, parts.output);
    this.segmentation = new SeriesSegmentation(this, session, () => this.tell());
    const stopped = known.current === undefined ? -1 : parts.names.indexOf(known.current);
    this.resumeAt = stopped >= 0 ? stopped : undefined;
  }

  private readonly resumeAt: number | undefined;

  /** Reads what is known of these images; opens none (`start`). Images that are new in the folder are new here. */
  static async open(session: AnnotationSession, parts: SeriesParts): Promise<ImageSeries> {
    if (parts.names.length === 0) throw new SamError('invalid_argument', 'There is no image in this series.');
    if (new Set(parts.names).size < parts.names.length)
      throw new SamError('invalid_argument', 'Two images of the series have the same name.');
    const { records, damaged, ...known } = await SeriesRecords.open(parts.store);
    if (damaged)
      session.notify({
        level: 'warning',
        text: 'The list of finished images could not be read completely; some are shown as new.',
      });
    return new ImageSeries(session, parts, records, known);
  }

  get images(): readonly SeriesImage[] {
    return this.list;
  }

  /** Index of the open image; undefined before `start`. */
  get current(): number | undefined {
    return this.position;
  }

  /** Called after every change. Returns what ends the subscription. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Opens the image it stopped at, else the first that is not finished, else the first. */
  async start(): Promise<void> {
    const unfinished = this.list.findIndex(({ state }) => state === 'new' || state === 'work');
    await this.walk(this.resumeAt ?? Math.max(unfinished, 0), 1);
  }

  /** The following image that can be opened; false, with a word to the user, after the last one. */
  next(): Promise<boolean> {
    return this.walk((this.asked?.index ?? this.heading ?? this.position ?? -1) + 1, 1);
  }

  previous(): Promise<boolean> {
    return this.walk((this.asked?.index ?? this.heading ?? this.position ?? 0) - 1, -1);
  }

  /** @throws SamError if that image cannot be opened; the list says so, too */
  async goTo(index: number): Promise<void> {
    if (!Number.isInteger(index) || index < 0 || index >= this.list.length)
      throw new SamError(
        'invalid_argument',
        `Image ${index + 1} was asked for; the series has ${this.list.length} images.`,
      );
    if (index === (this.asked?.index ?? this.heading ?? this.position)) return;
    await this.leaveFor(index, () => this.enter(index));
  }

  /** Whether it has no objects, and nobody looked for all of them. */
  isUnsegmented(index: number): boolean {
    const { state, objects = 0, segmented } = itemAt(this.list, index);
    const open = index === this.position ? this.session.state.layers.committed_objects.objects.size : objects;
    return state !== 'failed' && open === 0 && !segmented;
  }

  /** Notes that all objects of the open image were looked for. */
  async markSegmented(): Promise<void> {
    const { position } = this;
    if (position === undefined) return;
    const { name: _, ...image } = itemAt(this.list, position);
    const objects = this.session.state.layers.committed_objects.objects.size;
    await this.mark(position, { ...image, objects, segmented: true });
  }

  /** The label image that was written for an image when it was left with objects; undefined without one. */
  async savedLabels(index: number): Promise<Uint8Array | undefined> {
    const { name, state, objects = 0 } = itemAt(this.list, index);
    const result = this.written.get(name);
    const isTiff = (this.parts.format ?? 'tiff') === 'tiff';
    if (state === 'failed' || objects === 0 || result === undefined || !isTiff) return undefined;
    return this.parts.output.get(`${result}_labels.tif`);
  }

  /** Makes the embeddings of the images ahead anew: another model is in use. Those that are good for it stay. */
  renewAhead(): void {
    if (this.position === undefined || this.heading !== undefined) return;
    this.background?.abort();
    this.computeAhead(this.position);
  }

  /** Writes the results of the open image, without leaving it, and the table of all. */
  async save(): Promise<void> {
    await this.saveOpen();
    await this.table.written();
  }

  private async saveOpen(): Promise<void> {
    const { position } = this;
    const { image } = this.session.state;
    if (position === undefined || this.heading !== undefined) return;
    // The image that was opened last may be another, if the way to a third one ended there.
    if (image?.name !== itemAt(this.list, position).name) return;
    const { committed_objects } = this.session.state.layers;
    const count = committed_objects.objects.size;
    await this.write(position);
    await this.mark(position, { state: count > 0 ? 'done' : 'empty', objects: count });
  }

  /**
   * Saves and ends background work. The session stays open.
   *
   * @param saved the open image's results were saved, and the session may show another image by now
   */
  async close(saved = false): Promise<void> {
    this.segmentation.stop();
    this.opening?.abort();
    this.background?.abort();
    if (!saved) await this.leave();
    await this.table.written();
    this.release();
    this.position = undefined;
    this.listeners.clear();
  }

  /** Steps on from `index` past images that cannot be opened. */
  private walk(index: number, by: 1 | -1): Promise<boolean> {
    return this.leaveFor(index, async () => {
      for (let at = index; at >= 0 && at < this.list.length; at += by)
        try {
          await this.enter(at);
          return true;
        } catch (error) {
          if (asSamError(error).code === 'cancelled') throw error;
        }
      return this.atEnd(by);
    });
  }

  /** Leaves the open image, then goes on, unless yet another image was asked for meanwhile. */
  private async leaveFor<T>(index: number, enter: () => Promise<T>): Promise<T> {
    const asked = { index };
    this.asked = asked;
    try {
      await this.leave();
      if (this.asked !== asked) throw new SamError('cancelled', 'Another image was asked for.');
      this.asked = undefined;
      return await enter();
    } finally {
      if (this.asked === asked) this.asked = undefined;
      if (this.heading === undefined && this.asked === undefined) this.release();
    }
  }

  private atEnd(by: 1 | -1): boolean {
    const failed = this.list.filter(({ state }) => state === 'failed').length;
    const rest = this.list.filter(({ state }) => state === 'new').length;
    const text =
      by === -1
        ? 'This is the first image.'
        : `This was the last image.${rest > 0 ? ` ${rest} images were not looked at.` : ''}${
            failed > 0 ? ` ${failed} could not be opened.` : ''
          }`;
    this.session.notify({ level: 'info', text });
    return false;
  }

  private async enter(index: number): Promise<void> {
    this.opening?.abort();
    this.background?.abort();
    const controller = new AbortController();
    this.opening = controller;
    this.heading = index;
    const { name } = itemAt(this.list, index);
    try {
      await this.parts.open(index, { signal: controller.signal });
      controller.signal.throwIfAborted();
      await this.begin(index, controller.signal);
      controller.signal.throwIfAborted();
    } catch (error) {
      const known = asSamError(error);
      if (controller.signal.aborted) throw new SamError('cancelled', 'Another image was opened.', { cause: error });
      this.heading = undefined;
      await this.mark(index, { state: 'failed', failure: known.message });
      this.session.notify({ level: 'error', text: `${name}: ${known.message}`, code: known.code });
      throw known;
    }
    this.heading = undefined;
    this.position = index;
    await this.mark(index, { state: 'work', objects: itemAt(this.list, index).objects });
    this.computeAhead(index);
  }

  /** Initial objects, unless there is work or the image was left before. Without them, the image is worked on all the same. */
  private async begin(index: number, signal: AbortSignal): Promise<void> {
    const { session } = this;
    const { image } = session.state;
    if (!image || !isUntouched(session.state) || itemAt(this.list, index).state !== 'new') return;
    try {
      const labels = await this.parts.initial?.(index);
      signal.throwIfAborted();
      if (!labels) return;
      checkLabelShape(labels.shape, image);
      session.apply(setCommittedObjects(recordsFromLabels(labels), 'Load initial objects'));
      const pieces = piecesOfOneObject(labels);
      if (pieces > 1) session.notify(offerToSeparate(`what ${image.name} begins with`, pieces));
    } catch (error) {
      const { code, message } = asSamError(error);
      if (!signal.aborted)
        session.notify({ level: 'warning', text: `${image.name} begins without objects: ${message}`, code });
    }
  }

  /** One image after the other, so that the open one is not kept waiting. */
  private computeAhead(index: number): void {
    const { precompute, ahead = 2 } = this.parts;
    if (!precompute) return;
    const controller = new AbortController();
    this.background = controller;
    const run = async () => {
      await this.encoded(controller.signal);
      for (let next = index + 1; next <= index + ahead && next < this.list.length; next++) {
        if (controller.signal.aborted) return;
        // A failure is told when the image is opened.
        if (itemAt(this.list, next).state !== 'failed')
          await precompute.call(this.parts, next, { signal: controller.signal }).catch(() => undefined);
      }
    };
    void run();
  }

  /** The open image goes first. */
  private encoded(signal: AbortSignal): Promise<void> {
    const { session } = this;
    return new Promise((resolve) => {
      const check = () => {
        if (session.state.embedding === 'computing' && !signal.aborted) return;
        stop();
        resolve();
      };
      const stop = session.subscribe(check);
      signal.addEventListener('abort', check, { once: true });
      check();
    });
  }

  private async leave(): Promise<void> {
    if (this.position === undefined) return;
    this.background?.abort();
    const { session } = this;
    if (session.state.waiting)
      session.notify({
        level: 'info',
        text: 'The image is left as soon as all masks have come. Escape: without them.',
      });
    // What was done on this image belongs to it, also where its mask is still to come.
    await session.settled();
    this.hold();
    await this.saveOpen();
  }

  /** From here on until another image is shown, nothing is done on this one: its results are being written. */
  private hold(): void {
    if (this.session.state.readOnly === undefined) this.session.setReadOnly(LEAVING);
  }

  private release(): void {
    if (this.session.state.readOnly === LEAVING) this.session.setReadOnly(undefined);
  }

  private async write(index: number): Promise<void> {
    const { state } = this.session;
    if (!state.image) return;
    const { name, objects: before } = itemAt(this.list, index);
    const stem = itemAt(this.results, index);
    const input = { ...labelExport(state, this.parts.source?.()), name, stem };
    const { exportLabels } = await files();
    const table = itemAt(await exportLabels('csv', input), 0);
    await this.table.set(name, new TextDecoder().decode(table.bytes), input.position);
    if (state.layers.committed_objects.objects.size > 0 || before) {
      for (const file of await exportLabels(this.parts.format ?? 'tiff', input))
        await this.parts.output.set(file.name, file.bytes);
      this.written.set(name, stem);
    }
  }

  /** Resolves when it is stored, with the image that is open. */
  private async mark(index: number, change: Omit<SeriesImage, 'name'>): Promise<void> {
    const { name, segmented } = itemAt(this.list, index);
    const image = { ...(segmented && { segmented }), ...change };
    this.list = this.list.with(index, { name, ...image });
    this.tell();
    const result = this.written.get(name);
    const current = this.position === undefined ? undefined : itemAt(this.list, this.position).name;
    await this.records.set(name, { ...image, ...(result !== undefined && { result }) }, current);
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}
