import type { ImageEmbeddings } from '../embeddings/image-embeddings.js';
import { asSamError, SamError } from '../errors.js';
import { nameOfUrl } from '../io/http.js';
import type { ImageSource } from '../io/image.js';
import { type ImageInput, openImage } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import { nameOfView, type RecordingView, viewOfRecording } from '../io/recording.js';
import type { RecordingExport } from '../io/results/export-recording.js';
import type { Store } from '../io/store.js';
import { present } from '../items.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { Tiling } from '../ndimage/blocking.js';
import type { ImageDisplay } from '../presenter/image/image-display.js';
import type { SectionSource } from '../presenter/sections/section-view.js';
import type { EncodingChange } from '../service/engine.js';
import { annotatorKind } from '../session/annotator.js';
import { createAnnotator } from '../session/annotators/create-annotator.js';
import type * as Stacks from '../session/annotators/stacks.js';
import { stackAnnotators } from '../session/parts.js';
import { AnnotationSession } from '../session/session.js';
import type { AnnotatorKind, ImageInfo, SessionState } from '../session/state.js';
import type { TaskOptions } from '../task.js';
import { Pace, pacedWorker } from '../worker/pace.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { encodeFirstPlane, encodePlanes } from './encode-ahead.js';
import { defaultChannels, type Encoding, embeddingsOf, modelFor, rememberSettings } from './encoding.js';
import { closeImage, giveUp, makeReady, middlePlane, type OpenedImage, type ReadyImage } from './opened-image.js';
import { SavedImage, type SavingParts } from './saved-image.js';
import { wholeRecording } from './whole-recording.js';

export interface WorkspaceParts extends SavingParts {
  readonly worker: SamWorker;
}

export interface WorkspaceListener {
  /** The picture of the open image is another now. */
  onPicture?(): void;
  /** Awaited before another part of a recording is shown: what is to be written of the one before. */
  beforeView?(): Promise<void>;
}

/**
 * A session and the image that is open in it, with its embeddings, its display and its autosave. Opening another image first
 * finishes the saving of the one before; if the other cannot be opened, the one before stays.
 */
export class Workspace {
  readonly session = new AnnotationSession();
  /** The model is given the channels that are shown. */
  linked = true;
  private opened?: OpenedImage;
  private opening?: AbortController;
  /** Resolves when the image that was asked for last is open, or is not opened. */
  private underWay?: Promise<void>;
  /** Resolves when the image that is being presented, if any, is. */
  private presented: Promise<void> = Promise.resolve();
  private resting?: ReturnType<typeof setTimeout>;
  /** How the image goes to the model, where the user has said so. */
  private encoding: Encoding = {};
  /** The same with the changes that are under way: they come to hold together, or not at all. */
  private wanted: EncodingChange = {};
  private closed = false;
  /** Once it was needed. */
  private stacks?: typeof Stacks;
  private readonly pace = new Pace();
  private readonly parts: Promise<WorkspaceParts>;

  /**
   * @param parts what a window can only make once it has been told its settings
   */
  constructor(
    parts: Promise<WorkspaceParts>,
    private readonly listener: WorkspaceListener = {},
  ) {
    this.parts = parts.then((given) => ({ ...given, worker: pacedWorker(given.worker, this.pace) }));
    this.parts.catch(() => undefined); // told to whatever needs them
    this.session.subscribeShown((state, previous) => this.follow(state, previous));
  }

  /** With the pixel size that somebody stated. */
  get source(): ImageSource | undefined {
    const { opened } = this;
    return opened && { ...opened.source, pixelSize: opened.pixelSize ?? opened.source.pixelSize };
  }

  /** For the sections of a volume. */
  get sections(): SectionSource | undefined {
    return this.opened?.display.sections(this.source?.pixelSize);
  }

  /** Which channels the model is given; all of them if undefined. */
  get channels(): readonly number[] | undefined {
    return this.opened?.channels;
  }

  /** A newer call supersedes one that is under way. Resolves when prompts can be given. */
  open(input: ImageInput, options: OpenOptions & PageOpenOptions = {}): Promise<void> {
    const opening = this.openImage(input, options);
    this.underWay = opening.catch(() => undefined);
    return opening;
  }

  private async openImage(input: ImageInput, options: OpenOptions & PageOpenOptions): Promise<void> {
    if (this.closed) throw new SamError('cancelled', 'This annotator is closed.');
    const signal = this.supersede();
    const { channels, embeddings, ...rest } = options;
    this.session.notify({ level: 'info', text: `Opening ${options.name ?? nameOf(input)} …` });
    try {
      await this.show((task) => openImage(input, { ...rest, ...task }), channels, signal, { embeddings });
      this.linked = true;
    } catch (error) {
      const known = asSamError(error);
      if (signal.aborted) throw new SamError('cancelled', 'Another image was opened instead.', { cause: error });
      if (known.code === 'cancelled') {
        this.session.notify({ level: 'info', text: `Stopped: ${options.name ?? nameOf(input)} was not opened.` });
        throw known;
      }
      this.session.notify({ level: 'error', text: known.message, code: known.code });
      throw known;
    }
  }

  /** How a recording with time and depth is taken; undefined for every other image. */
  get recording(): ImageInfo['recording'] {
    const { opened } = this;
    if (!opened?.view) return undefined;
    const { t, z } = opened.whole.sizes;
    return { times: t, slices: z, view: opened.view };
  }

  /** All time points of a recording that is annotated as volumes, to be written to one file; undefined for all else. */
  async wholeRecording(): Promise<RecordingExport | undefined> {
    const { opened, source, session } = this;
    if (opened?.view?.as !== 'volume' || !source) return undefined;
    const { store } = await this.parts;
    return wholeRecording(session.state, { whole: opened.whole, source, pixels: opened.pixels, store });
  }

  /**
   * Another time point of the open recording, or another way to take it. Each has its own prompts, objects and undo, saved by
   * themselves; what is done here is saved first.
   */
  async chooseView(view: RecordingView): Promise<void> {
    const opened = await this.afterOpening();
    const { session } = this;
    if (!opened?.view)
      throw new SamError('unsupported', 'Only a recording with both time and depth can be taken in several ways.');
    if (nameOfView(view) === nameOfView(opened.view)) return;
    await this.listener.beforeView?.();
    const { whole, channels } = opened;
    viewOfRecording(whole, view); // says what is not there
    // Along time, one stays in the slice; along depth, at the time point.
    const plane = view.as === opened.view.as ? session.shown.plane : undefined;
    await this.show(async () => whole, channels, this.supersede(), { view, plane, embeddings: opened.kept });
  }

  /** The same image with other channels; prompts and objects stay, since they are kept with the image. */
  async chooseChannels(channels: readonly number[] | undefined): Promise<void> {
    const opened = await this.afterOpening();
    if (!opened) return;
    await this.show(async () => opened.whole, channels, this.supersede(), {
      view: opened.view,
      embeddings: opened.kept,
    });
  }

  /**
   * What the eye sees goes to the model, too, while the two are linked: up to three channels. More are not given to it; it
   * keeps those it has.
   */
  async followShown(): Promise<void> {
    const { opened } = this;
    if (!opened || !this.linked || opened.source.rgb) return;
    const shown = opened.display.visible;
    if (shown.length === 0 || shown.length > 3) {
      if (shown.length > 3)
        this.session.notify({ level: 'info', text: 'The model is given up to three channels: those it has stay.' });
      return;
    }
    const all = shown.length === opened.source.sizes.c;
    const wanted = all ? undefined : shown;
    if (String(wanted) !== String(opened.channels)) await this.setEncoding({ channels: wanted ?? null });
  }

  /** The one in use. */
  get model(): ModelSpec {
    return modelFor(this.encoding.model, this.opened);
  }

  get tiling(): Tiling | undefined {
    return this.opened?.embeddings.tiling;
  }

  /** As asked for: what is under way counts, until it fails. */
  get encodingSettings(): EncodingChange {
    const { wanted, channels = null } = this;
    return { channels, ...wanted, pixelSize: this.source?.pixelSize ?? null };
  }

  /** What the cache had to say about the embeddings, e.g. that it could not keep them. */
  get embeddingNotes(): readonly string[] {
    if (!this.opened) return [];
    return this.opened.embeddings.notices;
  }

  /** Shows the open image to the model in another way. Prompts and objects stay; on failure, everything stays. */
  async setEncoding({ pixelSize, ...change }: EncodingChange): Promise<void> {
    await this.afterOpening();
    const source = this.opened?.whole;
    if (Object.keys(change).length > 0) await this.changeEncoding(change);
    if (pixelSize !== undefined && this.opened?.whole === source) await this.setPixelSize(pixelSize);
  }

  private async changeEncoding(change: EncodingChange): Promise<void> {
    const wanted: EncodingChange = { ...this.wanted, ...change };
    const { channels, ...encoding } = wanted;
    const { opened, session } = this;
    const model = modelFor(wanted.model, opened);
    if (!opened) {
      this.encoding = encoding;
      this.wanted = encoding;
      return;
    }
    const signal = this.supersede();
    this.wanted = wanted;
    try {
      // The model is fetched before anything is given up, so that a wrong address changes nothing.
      if (change.model !== undefined || wanted.model !== this.encoding.model) await this.loadModel(model);
      const given = channels === undefined ? opened.channels : (channels ?? undefined);
      const parts = await this.parts;
      const embeddings = await embeddingsOf(opened, given, wanted, parts, signal);
      await session.settled(); // what was asked of the model so far
      if (signal.aborted || this.opened !== opened) {
        embeddings.close();
        return;
      }
      const annotate = this.annotateWith(parts, model, embeddings, present(session.state.image, 'an open image'));
      const next: OpenedImage = { ...opened, embeddings, channels: given, annotate };
      this.encoding = encoding;
      this.wanted = encoding;
      this.opened = next;
      session.useAnnotator(annotate(session.state));
      opened.embeddings.close();
      void this.rememberSizes();
      void session.run('compute_embeddings').catch(() => undefined); // shown as the session's message
    } catch (error) {
      if (!signal.aborted) this.wanted = this.encoding;
      throw error;
    }
  }

  /** Of the open image; embeddings stay. */
  private async setPixelSize(pixelSize: EncodingChange['pixelSize']): Promise<void> {
    const { opened } = this;
    if (!opened) return;
    opened.pixelSize = pixelSize ?? undefined;
    this.listener.onPicture?.();
    await this.rememberSizes();
  }

  /** Encodes planes ahead, with all their tiles; what is on screen first. */
  async precompute(
    planes: readonly number[] | undefined,
    task: TaskOptions,
    onPlane?: (plane: number) => void,
  ): Promise<void> {
    const { embeddings } = this.opened ?? {};
    if (!embeddings) throw new SamError('no_image', 'No image is open. Open an image first.');
    await encodePlanes(embeddings, this.session, planes, task, onPlane);
  }

  /** Makes the embedding that an image will need when it is opened: of its first plane. */
  async encodeAhead(input: ImageInput, name: string, signal?: AbortSignal): Promise<void> {
    await encodeFirstPlane(await openImage(input, { name, signal }), this.encoding, await this.parts, signal);
  }

  /** How the work on the open image is saved. */
  get saved(): SavedImage | undefined {
    return this.opened?.saved;
  }

  /** How the open image is shown. */
  get display(): ImageDisplay | undefined {
    return this.opened?.display;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.opening?.abort();
    await this.presented;
    await this.leave();
    this.session.close();
    await (await this.parts).worker.close();
  }

  /** The image that is open once those that were asked for are, or are given up: what is asked after them is meant for it. */
  private async afterOpening(): Promise<OpenedImage | undefined> {
    for (let last: unknown; last !== this.underWay; ) {
      last = this.underWay;
      await last;
    }
    return this.opened;
  }

  /** Gives up an image that is still being opened, and changes of the encoding that are under way. */
  private supersede(): AbortSignal {
    this.opening?.abort();
    this.opening = new AbortController();
    this.wanted = this.encoding;
    return this.opening.signal;
  }

  /**
   * Reads what is needed of an image, with progress, and then shows it; when it is stopped before, the one before stays.
   *
   * @param channels that the model is given; undefined: as suits the image
   * @param at of a recording, which part of it, and the plane to begin with whatever was saved
   */
  private async show(
    open: (task: TaskOptions) => Promise<ImageSource>,
    channels: readonly number[] | undefined,
    superseded: AbortSignal,
    at: { readonly view?: RecordingView; readonly plane?: number; readonly embeddings?: Store } = {},
  ): Promise<void> {
    const ready = await this.session.task(
      'open',
      'Open image',
      async (task) => {
        const whole = await open(task);
        const options = { ...at, channels: channels ?? defaultChannels(whole), encoding: this.encoding };
        const onPicture = () => this.listener.onPicture?.();
        const image = await makeReady(whole, options, await this.parts, onPicture, task);
        await this.loadStacks(image.image);
        return image;
      },
      superseded,
    );
    // What is being presented is presented to the end: whatever came after it finds a whole image to follow.
    const turn = this.presented.then(async () => {
      await this.session.settled();
      if (superseded.aborted) await giveUp(ready);
      superseded.throwIfAborted();
      await this.present(ready, at.plane);
    });
    this.presented = turn.catch(() => undefined);
    await turn;
  }

  private async loadStacks(image: ImageInfo): Promise<void> {
    const { settings } = this.session.state;
    if (image.planes > 1 || annotatorKind({ settings, image }) !== '2d') this.stacks = await stackAnnotators();
  }

  private async present({ encoding, image, ...opened }: ReadyImage, plane: number | undefined): Promise<void> {
    const { session } = this;
    const { source, embeddings } = opened;
    const parts = await this.parts;
    await this.leave();
    this.encoding = encoding;
    this.wanted = encoding;
    const annotate = this.annotateWith(parts, modelFor(encoding.model, opened), embeddings, image);
    const annotator = annotate(session.state);
    const saved = new SavedImage(session, parts, image, middlePlane(source));
    this.opened = { ...opened, annotate, saved };
    await saved.open(annotator);
    if (plane !== undefined && plane < image.planes) await session.run('set_plane', { plane });
    if (source.notices) session.notify({ level: 'warning', text: source.notices.join(' ') });
    // What was saved may say that this stack is annotated as something else.
    if (annotatorKind(session.state) !== annotator.kind) session.useAnnotator(annotate(session.state));
    void session.run('compute_embeddings').catch(() => undefined); // shown as the session's message
  }

  /** Another plane is prepared once somebody stays there; another kind of annotator begins at once. */
  private follow(state: SessionState, previous: SessionState): void {
    const { opened, session } = this;
    if (!opened || state.image !== previous.image) return;
    const kind = annotatorKind(session.state);
    const changed = session.annotator !== undefined && kind !== session.annotator.kind;
    if (changed) this.exchange(opened, kind);
    if (state.plane === previous.plane && !changed) return;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.opened === opened) void session.prepare().catch(() => undefined); // told when something is segmented
    }, REST_MS);
  }

  private exchange(opened: OpenedImage, kind: AnnotatorKind): void {
    const { session } = this;
    if (kind === '2d' || this.stacks) {
      session.useAnnotator(opened.annotate(session.state));
      return;
    }
    // A single plane that is to be taken as a stack of one.
    void stackAnnotators().then(
      (stacks) => {
        this.stacks = stacks;
        if (this.opened === opened && annotatorKind(session.state) === kind) this.exchange(opened, kind);
      },
      (error) => {
        const { code, message } = asSamError(error);
        session.notify({ level: 'error', text: message, code });
      },
    );
  }

  private async loadModel(model: ModelSpec): Promise<void> {
    const { worker } = await this.parts;
    await this.session.task('model', `Load ${model.name}`, (task) => worker.load(model, task));
  }

  private async rememberSizes(): Promise<void> {
    const { store } = await this.parts;
    const { opened, encoding } = this;
    if (opened) await rememberSettings(store, opened.pixels, encoding, opened.pixelSize);
  }

  private annotateWith(
    { worker }: WorkspaceParts,
    { name, defaults, following }: ModelSpec,
    embeddings: ImageEmbeddings,
    image: ImageInfo,
  ) {
    return ({ settings }: Pick<SessionState, 'settings'>) =>
      createAnnotator(
        annotatorKind({ settings, image }),
        { worker, model: name, embeddings, following, pace: this.pace },
        image.planes,
        defaults && { ...defaults },
        this.stacks,
      );
  }

  private async leave(): Promise<void> {
    const { opened } = this;
    this.opened = undefined;
    if (opened) await closeImage(opened);
  }
}

export interface PageOpenOptions {
  readonly channels?: readonly number[];
  /** Where its embeddings are kept, in micro-sam's format; those that do not belong to it are left alone. */
  readonly embeddings?: Store;
}

function nameOf(input: ImageInput): string {
  if (input instanceof File) return input.name;
  if (typeof input === 'string' && /^https?:/.test(input)) return nameOfUrl(input);
  return Array.isArray(input) ? `${input.length} files` : 'the image';
}

/** A plane that is only passed is not encoded. */
const REST_MS = 200;
