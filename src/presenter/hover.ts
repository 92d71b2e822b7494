import type { YX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { AnnotationSession } from '../session/session.js';

/**
 * The mask that a click would give, under the pointer. Only the newest position counts, and the model is asked so
 * seldom that previews never take more than a small part of its time: where it is slow, they stop by themselves.
 */
export class HoverPreview {
  private pointer: YX | undefined;
  private asking = false;
  private restUntil = 0;
  private shown = false;
  /** Counts what ended previews, so that one that comes later is not shown. */
  private ended = 0;

  constructor(
    private readonly session: AnnotationSession,
    private readonly show: (mask: Mask | undefined) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @param at undefined when the pointer has left the image */
  move(at: YX | undefined): void {
    this.pointer = at;
    if (!at || !this.isWanted()) this.clear();
    else if (!this.asking) void this.ask();
  }

  /** For every change of state: a click or a switched tool ends the preview. */
  refresh(): void {
    if (!this.isWanted()) this.clear();
  }

  private isWanted(): boolean {
    const { settings, prompts, tasks, embedding, image } = this.session.shown;
    return (
      image !== undefined &&
      settings.hoverPreview &&
      settings.positive &&
      settings.tool === 'point' &&
      embedding === 'ready' &&
      prompts.length === 0 &&
      tasks.length === 0
    );
  }

  private async ask(): Promise<void> {
    this.asking = true;
    try {
      while (this.pointer && this.isWanted() && this.now() >= this.restUntil) {
        const at = this.pointer;
        const { annotator, shown: state } = this.session;
        if (!annotator) return;
        const { ended } = this;
        const start = this.now();
        const mask = await annotator.preview(at, state.plane);
        const took = this.now() - start;
        if (took > BUDGET_MS) this.restUntil = this.now() + took * REST_FACTOR;
        const current = this.session.shown.image === state.image && this.session.shown.plane === state.plane;
        if (!this.pointer || this.ended > ended || !current || !this.isWanted()) return;
        this.shown = true;
        this.show(mask);
        if (this.pointer === at) return;
      }
    } catch {
      this.restUntil = this.now() + 5000; // a preview is no reason to trouble anyone; a click will tell
    } finally {
      this.asking = false;
    }
  }

  private clear(): void {
    this.ended++;
    if (this.shown) this.show(undefined);
    this.shown = false;
  }
}

/** Above this a preview lags behind the hand. */
const BUDGET_MS = 250;
const REST_FACTOR = 20;
