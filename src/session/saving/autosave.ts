import { asSamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import type { Annotator } from '../annotator.js';
import type { AnnotationSession } from '../session.js';
import type { ImageInfo, SessionState } from '../state.js';
import { Journal } from './journal.js';

/**
 * Keeps a session's work safe while it is done. Changes are written one after the other as they come; those that come
 * while a write is under way go into the next one together. If the store fails (full, denied), the work goes on in
 * memory, the user is told once, and writing is tried again.
 */
export class Autosave {
  private written: SessionState;
  private writing?: Promise<void>;
  private retry?: ReturnType<typeof setTimeout>;
  private failures = 0;
  private lastError: unknown;
  /** The last state to write, once closing: the session may show another image by then. */
  private latest?: SessionState;
  private readonly unsubscribe: () => void;

  /** @param session must show the image of the journal, in the state that the journal holds */
  constructor(
    private readonly session: AnnotationSession,
    private readonly journal: Journal,
  ) {
    this.written = session.state;
    session.reportAutosave('saved');
    this.unsubscribe = session.subscribe((state, previous) => this.follow(state, previous));
  }

  /** Opens an image in the session with what the store has of it, and keeps saving there. */
  static async open(
    session: AnnotationSession,
    store: Store,
    image: ImageInfo,
    annotator?: Annotator,
  ): Promise<Autosave | undefined> {
    try {
      const { journal, restored, notice } = await Journal.open(store, image);
      session.open(image, annotator, restored);
      if (notice) session.notify({ level: 'warning', text: notice });
      else if (restored) {
        const text = restoredText(session.state);
        if (text) session.notify({ level: 'info', text });
      }
      return new Autosave(session, journal);
    } catch (error) {
      session.open(image, annotator);
      session.reportAutosave('failed', asSamError(error).message);
      session.notify({
        level: 'warning',
        text: `Your work cannot be saved by itself: ${asSamError(error).message} Save your objects to a file when you are done.`,
      });
      return undefined;
    }
  }

  /** Resolves when everything done so far is stored; rejects if it cannot be. */
  async flush(): Promise<void> {
    do {
      if (!this.writing && this.isDirty()) this.start();
      await this.writing;
    } while (this.isDirty() && this.failures === 0);
    if (this.isDirty()) throw asSamError(this.lastError);
  }

  /** Stops after a last write. */
  async close(): Promise<void> {
    this.unsubscribe();
    clearTimeout(this.retry);
    this.latest ??= this.session.state;
    await this.flush().catch(() => {});
  }

  private follow(state: SessionState, previous: SessionState): void {
    if (state.image?.signature !== this.written.image?.signature) {
      this.latest = previous;
      void this.close();
      return;
    }
    if (!this.isDirty()) return;
    if (this.failures === 0) this.session.reportAutosave('pending');
    if (!this.writing && this.failures === 0) this.start();
  }

  private target(): SessionState {
    return this.latest ?? this.session.state;
  }

  private isDirty(): boolean {
    const state = this.target();
    const { written } = this;
    return (
      state.prompts !== written.prompts ||
      state.layers !== written.layers ||
      state.settings !== written.settings ||
      state.lineages !== written.lineages ||
      state.currentLineages !== written.currentLineages ||
      state.currentTrack !== written.currentTrack ||
      state.editing !== written.editing ||
      state.plane !== written.plane
    );
  }

  private start(): void {
    this.writing = this.write().finally(() => {
      this.writing = undefined;
      if (this.failures === 0 && this.isDirty()) this.start();
    });
  }

  private async write(): Promise<void> {
    await Promise.resolve(); // changes made in the same turn are one entry
    const state = this.target();
    try {
      await this.journal.append(this.written, state);
      this.written = state;
      this.failures = 0;
      if (!this.latest && !this.isDirty()) this.session.reportAutosave('saved');
    } catch (error) {
      this.lastError = error;
      this.failures++;
      if (!this.latest) this.session.reportAutosave('failed', asSamError(error).message);
      if (this.failures === 1 && !this.latest) {
        this.session.notify({
          level: 'warning',
          text: `Autosave failed: ${asSamError(error).message} Your work goes on and is tried to be saved again; to be safe, save your objects to a file.`,
          code: asSamError(error).code,
        });
      }
      clearTimeout(this.retry);
      const delay = Math.min(1000 * 2 ** (this.failures - 1), 10_000);
      if (!this.latest) this.retry = setTimeout(() => this.start(), delay);
    }
  }
}

/** Undefined if there is only the view and the settings. */
function restoredText({ layers, prompts }: SessionState): string | undefined {
  const committed = layers.committed_objects.objects.size;
  const parts = [
    committed > 0 && `${committed} committed ${committed === 1 ? 'object' : 'objects'}`,
    prompts.length > 0 && `${prompts.length} ${prompts.length === 1 ? 'prompt' : 'prompts'}`,
  ].filter((part) => part !== false);
  return parts.length > 0 ? `Your earlier work on this image was restored: ${parts.join(', ')}.` : undefined;
}
