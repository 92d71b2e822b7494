import { asSamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import type { AnnotationSession } from '../session.js';

/**
 * A whole series without prompts: one image after the other is opened and segmented as the settings say, what is found is
 * committed, and its results are written. Images with objects, and those that were segmented before, stay as they are; so it
 * goes on where it was stopped. What was found of the image at which it is stopped stays there, uncommitted.
 */
export interface SegmentedSeries {
  readonly images: readonly unknown[];
  isUnsegmented(index: number): boolean;
  markSegmented(): Promise<void>;
  goTo(index: number): Promise<void>;
  save(): Promise<void>;
}

export class SeriesSegmentation {
  private running?: { done: number; readonly total: number; readonly stop: AbortController };

  /** @param onChanged it began, got on or ended */
  constructor(
    private readonly series: SegmentedSeries,
    private readonly session: AnnotationSession,
    private readonly onChanged: () => void,
  ) {}

  /** How far it is; undefined while it does not run. */
  get progress(): { readonly done: number; readonly total: number } | undefined {
    return this.running && { done: this.running.done, total: this.running.total };
  }

  /** Images that are still to be segmented. */
  get left(): number {
    return this.series.images.filter((_, index) => this.series.isUnsegmented(index)).length;
  }

  /** @returns how many images were segmented */
  async run({ signal }: TaskOptions = {}): Promise<number> {
    this.stop();
    const run = { done: 0, total: this.left, stop: new AbortController() };
    this.running = run;
    const stop = () => run.stop.abort();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      for (let index = 0; index < this.series.images.length; index++) {
        if (!this.series.isUnsegmented(index)) continue;
        const ended = await this.segment(index, run.stop.signal);
        if (run.stop.signal.aborted || ended === 'stopped') return run.done;
        if (ended === 'done') run.done++;
        this.onChanged();
      }
      await this.series.save();
      return run.done;
    } finally {
      signal?.removeEventListener('abort', stop);
      if (this.running === run) this.running = undefined;
      this.onChanged();
    }
  }

  stop(): void {
    if (!this.running) return;
    this.running.stop.abort();
    this.session.cancel('automatic');
  }

  /** What goes wrong with an image is told where it goes wrong, and the next one may do better. */
  private async segment(index: number, signal: AbortSignal): Promise<'done' | 'failed' | 'stopped' | 'kept'> {
    const { series, session } = this;
    try {
      await series.goTo(index);
      if (signal.aborted) return 'stopped';
      // Opened, it turns out to have objects: those of another file with the same pixels, or of another series.
      if (!series.isUnsegmented(index)) return 'kept';
      const allPlanes = (session.state.image?.planes ?? 1) > 1;
      await session.run('automatic_segmentation', { allPlanes, confirmed: true });
      if (signal.aborted) return 'stopped';
      if (session.state.layers.auto_segmentation.objects.size > 0) await session.run('accept_all_automatic');
      await series.markSegmented();
      return 'done';
    } catch (error) {
      return asSamError(error).code === 'cancelled' ? 'stopped' : 'failed';
    }
  }
}
