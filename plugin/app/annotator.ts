import { type ImageEmbeddings, openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { pixelSignature } from '../../src/embeddings/signature.js';
import { asSamError, SamError } from '../../src/errors.js';
import { type ImageSource, planeCount } from '../../src/io/image.js';
import { type ImageInput, type OpenOptions, openImage } from '../../src/io/open.js';
import type { Store } from '../../src/io/store.js';
import { prefixStore } from '../../src/io/stores/prefix.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { ImageDisplay } from '../../src/presenter/image-display.js';
import { type Annotator, annotatorKind } from '../../src/session/annotator.js';
import { Autosave } from '../../src/session/autosave.js';
import { createAnnotator } from '../../src/session/create-annotator.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, SessionState } from '../../src/session/state.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/**
 * One annotator: a session and the image that is open in it, with its embeddings and its autosave. Opening another image
 * first finishes the saving of the one before; if the other cannot be opened, the one before stays.
 */
export interface AnnotatorParts {
  readonly worker: SamWorker;
  readonly model: ModelSpec;
  readonly store: Store;
}

export class PageAnnotator {
  readonly session = new AnnotationSession();
  private opened?: OpenedImage;
  private opening?: AbortController;
  private resting?: ReturnType<typeof setTimeout>;

  /**
   * @param parts what a window can only make once it has been told its settings
   * @param onPicture the picture of the open image is another now
   */
  constructor(
    private readonly parts: Promise<AnnotatorParts>,
    private readonly onPicture: () => void,
  ) {
    this.session.subscribe((state, previous) => this.follow(state, previous));
  }

  get source(): ImageSource | undefined {
    return this.opened?.source;
  }

  /** Which channels the model is given; all of them if undefined. */
  get channels(): readonly number[] | undefined {
    return this.opened?.channels;
  }

  /** A newer call supersedes one that is under way. Resolves when prompts can be given. */
  async open(input: ImageInput, options: OpenOptions & { readonly channels?: readonly number[] } = {}): Promise<void> {
    const signal = this.supersede();
    const { channels, ...rest } = options;
    this.session.notify({ level: 'info', text: `Opening ${options.name ?? 'the image'} …` });
    try {
      const source = await openImage(input, { ...rest, signal });
      await this.show(source, channels ?? defaultChannels(source), signal);
    } catch (error) {
      const known = asSamError(error);
      if (signal.aborted) throw new SamError('cancelled', 'Another image was opened instead.', { cause: error });
      this.session.notify({ level: 'error', text: known.message, code: known.code });
      throw known;
    }
  }

  /** The same image with other channels; prompts and objects stay, since they are kept with the image. */
  async chooseChannels(channels: readonly number[] | undefined): Promise<void> {
    const { source } = this;
    if (!source) return;
    await this.show(source, channels, this.supersede());
  }

  /** How the open image is shown. */
  get display(): ImageDisplay | undefined {
    return this.opened?.display;
  }

  async close(): Promise<void> {
    this.opening?.abort();
    await this.leave();
    this.session.close();
    await (await this.parts).worker.close();
  }

  /** Gives up an image that is still being opened. */
  private supersede(): AbortSignal {
    this.opening?.abort();
    this.opening = new AbortController();
    return this.opening.signal;
  }

  private async show(source: ImageSource, channels: readonly number[] | undefined, signal: AbortSignal) {
    const { worker, model, store } = await this.parts;
    const { session } = this;
    const embeddings = await openEmbeddings(
      { source, worker, model, channels, store: (key) => prefixStore(store, `embeddings/${key}`) },
      { signal },
    );
    signal.throwIfAborted();
    const image: ImageInfo = {
      name: source.name,
      axes: source.axes,
      size: embeddings.size,
      planes: planeCount(source),
      signature: await documentSignature(source, embeddings, channels),
    };
    const display = await ImageDisplay.open(source, {
      signature: image.signature,
      store: prefixStore(store, 'display'),
      onChanged: this.onPicture,
      signal,
    });
    signal.throwIfAborted();
    await this.leave();
    const annotate = ({ settings }: Pick<SessionState, 'settings'>) =>
      createAnnotator(annotatorKind({ settings, image }), { worker, model: model.name, embeddings }, image.planes);
    const annotator = annotate(session.state);
    this.opened = { source, embeddings, channels, display, annotate };
    this.opened.autosave = await Autosave.open(session, prefixStore(store, 'sessions'), image, annotator);
    // What was saved may say that this stack is annotated as something else.
    if (annotatorKind(session.state) !== annotator.kind) session.useAnnotator(annotate(session.state));
    void session.run('compute_embeddings').catch(() => undefined); // shown as the session's message
  }

  /** Another plane is prepared once somebody stays there; another kind of annotator begins at once. */
  private follow(state: SessionState, previous: SessionState): void {
    const { opened, session } = this;
    if (!opened || state.image !== previous.image) return;
    const kind = annotatorKind(state);
    const changed = session.annotator !== undefined && kind !== session.annotator.kind;
    if (changed) session.useAnnotator(opened.annotate(state));
    if (state.plane === previous.plane && !changed) return;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.opened === opened) void session.prepare().catch(() => undefined); // told when something is segmented
    }, REST_MS);
  }

  private async leave(): Promise<void> {
    const { opened } = this;
    this.opened = undefined;
    await opened?.autosave?.close();
    await opened?.display.close();
    opened?.embeddings.close();
  }
}

interface OpenedImage {
  readonly source: ImageSource;
  readonly embeddings: ImageEmbeddings;
  readonly channels: readonly number[] | undefined;
  readonly display: ImageDisplay;
  /** What segments it, as the settings have it. */
  readonly annotate: (state: Pick<SessionState, 'settings'>) => Annotator;
  autosave?: Autosave;
}

/** A plane that is only passed is not encoded. */
const REST_MS = 200;

/** Up to three channels are segmented together, as one picture; of more, the first, until others are chosen. */
function defaultChannels(source: ImageSource): readonly number[] | undefined {
  return source.rgb || source.sizes.c <= 3 ? undefined : [0];
}

/** Work belongs to the image's pixels, whichever of its channels are looked at. */
async function documentSignature(
  source: ImageSource,
  { signature }: ImageEmbeddings,
  channels: readonly number[] | undefined,
): Promise<string> {
  if (channels === undefined) return signature.data_signature;
  return pixelSignature(source);
}
