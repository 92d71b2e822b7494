import { asSamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { prefixStore } from '../io/stores/prefix.js';
import type { Annotator } from '../session/annotator.js';
import { isUntouched } from '../session/layers.js';
import { Autosave, restoredText } from '../session/saving/autosave.js';
import { identityOf } from '../session/saving/home.js';
import type { Journal } from '../session/saving/journal.js';
import type { Lease, RequestLease } from '../session/saving/lease.js';
import { openSavedWork, type SavingPlaces } from '../session/saving/saved-work.js';
import { type SavedVersion, savedVersions } from '../session/saving/versions.js';
import type { AnnotationSession } from '../session/session.js';
import type { ImageInfo } from '../session/state.js';

export interface SavingParts {
  readonly store: Store;
  /** Keeps work that the store does not take, while a server is away. */
  readonly meanwhile?: Store;
  readonly lease: RequestLease;
}

/**
 * The image that is open in a session, and the saving of the work on it: by this window if it has the lease, else the
 * session shows what is saved and refuses changes until the user takes over or goes on with a copy. It is here, and
 * nowhere else, that an image gets into a session of the page.
 */
export class SavedImage {
  private autosave?: Autosave;
  /** Also of a window that does not save: a copy goes on from it. */
  private journal?: Journal;
  private lease?: Lease;
  private retry?: ReturnType<typeof setTimeout>;
  private closed = false;

  private readonly places: SavingPlaces;
  private readonly request: RequestLease;

  /** @param begin the plane to look at where nothing was saved */
  constructor(
    private readonly session: AnnotationSession,
    { store, meanwhile, lease }: SavingParts,
    private readonly image: ImageInfo,
    private readonly begin = 0,
  ) {
    this.request = lease;
    this.places = {
      store: prefixStore(store, 'sessions'),
      ...(meanwhile && { meanwhile: prefixStore(meanwhile, 'meanwhile') }),
    };
  }

  /** Shows the image with what was saved of it. */
  async open(annotator: Annotator): Promise<void> {
    this.lease = await this.request(identityOf(this.image), (held) => this.changed(held));
    if (this.lease.held) await this.write(annotator);
    else await this.read(annotator);
  }

  /** Whether another window saves the work on this image. */
  get isReadOnly(): boolean {
    const { image, readOnly } = this.session.state;
    return !this.closed && image === this.image && readOnly !== undefined;
  }

  /** Whether there is work that is not in its place, and is nowhere or kept in this browser until the place takes it. */
  get isWaiting(): boolean {
    return this.autosave?.isFailing === true;
  }

  /** Saves from here on; the window that did so until now finishes and only shows the image. */
  async takeOver(): Promise<void> {
    await this.lease?.take();
  }

  /** Goes on from what is shown, as a branch of the journal. */
  async workOnCopy(): Promise<void> {
    const { session, image, places } = this;
    this.journal ??= (await openSavedWork({ store: places.store }, image)).journal;
    await this.journal.fork(session.state);
    await this.lease?.release();
    session.setReadOnly(undefined);
    this.save(this.journal);
  }

  /** Earlier states of the work on this image, and copies of it. */
  versions(): AsyncIterable<SavedVersion> {
    return savedVersions(this.places.store, this.image);
  }

  /** Tries again now to save what could not be saved. */
  tryAgain(): void {
    this.autosave?.tryAgain();
  }

  /** Stops after a last write. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.retry);
    await this.autosave?.close();
    await this.lease?.release();
  }

  private async changed(held: boolean): Promise<void> {
    if (this.closed || this.journal?.isBranch) return;
    const { session } = this;
    if (!held) {
      clearTimeout(this.retry);
      this.onlyLook(); // first, so that nothing comes after the last that is saved
      await this.autosave?.close();
      if (!this.isWaiting) session.reportAutosave(undefined);
      this.autosave = undefined;
    } else if (this.isReadOnly) {
      await this.write(session.annotator);
      void session.run('compute_embeddings').catch(() => undefined); // shown as the session's message
    }
  }

  private async write(annotator: Annotator | undefined): Promise<void> {
    const { session, image, places } = this;
    try {
      const { journal, restored, notice } = await openSavedWork(places, image);
      session.open(image, annotator, restored ?? { plane: this.begin });
      const text = notice ?? restoredText(session.state);
      if (text) session.notify({ level: notice ? 'warning' : 'info', text });
      this.save(journal);
    } catch (error) {
      session.open(image, annotator, { plane: this.begin });
      this.saveLater(error);
    }
  }

  private async read(annotator: Annotator | undefined): Promise<void> {
    const { session, image, places } = this;
    try {
      const { journal, restored } = await openSavedWork({ store: places.store }, image);
      this.journal = journal;
      session.open(image, annotator, restored ?? { plane: this.begin });
    } catch {
      session.open(image, annotator, { plane: this.begin });
    }
    this.onlyLook();
  }

  private onlyLook(): void {
    this.session.setReadOnly(ELSEWHERE);
    this.session.notify({ level: 'warning', text: ELSEWHERE, code: 'read_only' });
  }

  private save(journal: Journal): void {
    this.journal = journal;
    this.autosave = new Autosave(this.session, journal, this.places.meanwhile);
  }

  /** What was saved cannot be read now, nor can anything be saved: both are tried again. */
  private saveLater(error: unknown): void {
    const { session } = this;
    const { message } = asSamError(error);
    session.reportAutosave('failed', message);
    session.notify({
      level: 'warning',
      text: `Your work cannot be saved automatically: ${message} Saving is retried; save your objects to a file when you are done.`,
    });
    this.retry = setTimeout(() => void this.openAgain(), AGAIN_MS);
  }

  /** Work that was done meanwhile goes on as a branch where other work was saved before. */
  private async openAgain(): Promise<void> {
    const { session, image, places } = this;
    try {
      const { journal, restored } = await openSavedWork(places, image);
      if (this.closed || session.state.image !== image) return;
      if (!restored) await journal.beginWith(session.state);
      else if (isUntouched(session.state)) session.open(image, session.annotator, restored);
      else await journal.fork(session.state);
      this.save(journal);
    } catch {
      this.retry = setTimeout(() => void this.openAgain(), AGAIN_MS);
    }
  }
}

const ELSEWHERE =
  'This image is being annotated in another window, so nothing can be changed here. Take over to go on in this window, or work on a copy.';

const AGAIN_MS = 5000;
