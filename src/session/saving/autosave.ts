import { asSamError, type SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { present } from '../../items.js';
import { SAVED_FIELDS } from '../fields.js';
import type { AnnotationSession } from '../session.js';
import type { ImageInfo, SessionState } from '../state.js';
import type { Journal } from './journal.js';
import { forgetMeanwhile, keepMeanwhile } from './saved-work.js';

/**
 * Keeps a session's work safe while it is done. Changes are written one after the other as they come; those that come
 * while a write is under way go into the next one together. If the store fails (full, denied, away), the work is kept in
 * another one if there is one, the user is told once, and writing is tried again.
 */
export class Autosave {
  /** What the journal has. */
  private written: SessionState;
  /** What the other store has, while the journal's does not answer. */
  private kept?: { readonly journal: Journal; written: SessionState };
  private writing?: Promise<void>;
  private retry?: ReturnType<typeof setTimeout>;
  private failures = 0;
  private lastError?: SamError;
  /** The journal's store is to be tried again, not only the other one. */
  private due = true;
  private cannotKeep = false;
  /** The last state to write, once closing: the session may show another image by then. */
  private latest?: SessionState;
  private readonly image: ImageInfo;
  private readonly unsubscribe: () => void;

  /**
   * @param session must show the image of the journal, in the state that the journal holds
   * @param meanwhile keeps what the journal's store does not take
   */
  constructor(
    private readonly session: AnnotationSession,
    private readonly journal: Journal,
    private readonly meanwhile?: Store,
  ) {
    this.written = session.state;
    this.image = present(session.state.image, 'an open image');
    this.reportSaved();
    this.unsubscribe = session.subscribe((state, previous) => this.follow(state, previous));
  }

  /** Whether the journal's store does not take the work at present, so that it is nowhere or in the other one. */
  get isFailing(): boolean {
    return this.failures > 0;
  }

  /** Resolves when everything done so far is stored where it belongs; rejects if it cannot be. */
  async flush(): Promise<void> {
    this.due = true;
    await this.writing; // one that began before may have been kept elsewhere only
    do {
      if (!this.writing && this.isDirty(this.written)) this.start();
      await this.writing;
    } while (this.isDirty(this.written) && this.failures === 0);
    if (this.isDirty(this.written)) throw asSamError(this.lastError);
  }

  /** Tries again now, e.g. because the network is back. */
  tryAgain(): void {
    if (this.failures === 0) return;
    this.due = true;
    if (!this.writing) this.start();
  }

  /** Stops after a last write. */
  async close(): Promise<void> {
    this.unsubscribe();
    clearTimeout(this.retry);
    this.latest ??= this.session.state;
    await this.flush().catch(() => {});
  }

  private follow(state: SessionState, previous: SessionState): void {
    if (state.image?.signature !== this.image.signature) {
      this.latest = previous;
      void this.close();
      return;
    }
    if (!this.isBehind()) return;
    this.session.reportAutosave('pending');
    if (!this.writing) this.start();
  }

  private target(): SessionState {
    return this.latest ?? this.session.state;
  }

  private isDirty(written: SessionState): boolean {
    const state = this.target();
    return (
      state.layers !== written.layers ||
      state.settings !== written.settings ||
      SAVED_FIELDS.some((name) => state[name] !== written[name])
    );
  }

  /** Whether there is something to write for which no write has failed. */
  private isBehind(): boolean {
    if (this.failures === 0) return this.isDirty(this.written);
    return this.meanwhile !== undefined && !this.cannotKeep && this.isDirty(this.kept?.written ?? this.written);
  }

  private start(): void {
    this.writing = this.write().finally(() => {
      this.writing = undefined;
      if (this.isBehind()) this.start();
    });
  }

  private async write(): Promise<void> {
    await Promise.resolve(); // changes made in the same turn are one entry
    const state = this.target();
    if (!this.due) return this.keep(state);
    if (this.failures > 0 && this.isBehind()) await this.keep(state); // a place that is away may take long to say so
    try {
      await this.journal.append(this.written, state);
      this.written = state;
      this.failures = 0;
      if (!this.latest && !this.isDirty(state)) this.reportSaved();
    } catch (error) {
      this.lastError = asSamError(error);
      this.failures++;
      this.due = false;
      this.cannotKeep = false;
      await this.keep(state);
      this.tellFailure();
      this.tryLater();
      return;
    }
    if (this.kept && this.meanwhile)
      await forgetMeanwhile(this.meanwhile, this.journal).then(
        () => (this.kept = undefined),
        () => undefined, // brought back as a copy of what is there
      );
  }

  private async keep(state: SessionState): Promise<void> {
    if (!this.meanwhile) return;
    try {
      this.kept ??= {
        journal: await keepMeanwhile(this.meanwhile, this.journal, this.written),
        written: this.written,
      };
      await this.kept.journal.append(this.kept.written, state);
      this.kept.written = state;
    } catch {
      this.cannotKeep = true;
    }
    this.reportFailure();
  }

  private tryLater(): void {
    clearTimeout(this.retry);
    if (this.latest) return;
    const delay = Math.min(1000 * 2 ** (this.failures - 1), LONGEST_WAIT_MS);
    this.retry = setTimeout(() => this.tryAgain(), delay);
  }

  private reportSaved(): void {
    if (this.journal.isBranch) this.session.reportAutosave('aside', IN_BRANCH);
    else this.session.reportAutosave('saved');
  }

  private reportFailure(): void {
    if (this.latest || !this.lastError) return;
    const { message } = this.lastError;
    if (this.isKept && this.isBehind()) this.session.reportAutosave('pending');
    else if (this.isKept) this.session.reportAutosave('aside', `${message} ${KEPT}`);
    else this.session.reportAutosave('failed', message);
  }

  private tellFailure(): void {
    this.reportFailure();
    if (this.latest || this.failures !== 1 || !this.lastError) return;
    const { message, code } = this.lastError;
    const text = this.isKept
      ? `${message} ${KEPT}`
      : `Autosave failed: ${message} You can go on working while saving is retried; to be safe, save your objects to a file.`;
    this.session.notify({ level: 'warning', text, code });
  }

  private get isKept(): boolean {
    return this.kept !== undefined && !this.cannotKeep;
  }
}

const LONGEST_WAIT_MS = 10_000;

const KEPT = 'Until then your work is kept in this browser, and goes to its place automatically.';
const IN_BRANCH =
  'Another window saves its own work on this image. Yours is saved as a copy, which you find under "Earlier versions".';

/** What to tell of work that was restored; undefined if there is only the view and the settings. */
export function restoredText({ layers, prompts }: SessionState): string | undefined {
  const committed = layers.committed_objects.objects.size;
  const parts = [
    committed > 0 && `${committed} committed ${committed === 1 ? 'object' : 'objects'}`,
    prompts.length > 0 && `${prompts.length} ${prompts.length === 1 ? 'prompt' : 'prompts'}`,
  ].filter((part) => part !== false);
  return parts.length > 0 ? `Your earlier work on this image was restored: ${parts.join(', ')}.` : undefined;
}
