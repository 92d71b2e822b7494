import type { PanelModel } from './panel.js';

/**
 * Draws the panel when it is another. Not at once: a click first goes to the model, and the mask that comes back to the
 * viewer, since the panel is drawn by the same thread, and on small machines by the same cores as the model runs on.
 */
export class PanelDrawing {
  private text = '';
  private beside: readonly unknown[] = [];
  private drawing?: Promise<void>;
  private closed = false;

  /**
   * @param besides what is drawn beside the model, of parts that are never changed in place
   * @param isBusy whether the model or the viewer is at work for somebody who waits
   */
  constructor(
    private readonly draw: ((panel: PanelModel) => void) | undefined,
    private readonly model: () => PanelModel,
    private readonly besides: () => readonly unknown[],
    private readonly isBusy: () => boolean,
  ) {}

  refresh(): void {
    if (this.closed) return;
    this.drawing ??= this.drawn();
  }

  async idle(): Promise<void> {
    await this.drawing;
  }

  close(): void {
    this.closed = true;
  }

  private async drawn(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    do await pause(FRAME_MS);
    while (this.isBusy() && performance.now() < end);
    this.drawing = undefined;
    if (this.closed || !this.draw) return;
    const panel = this.model();
    const text = JSON.stringify(panel);
    const beside = this.besides();
    if (text === this.text && beside.every((part, k) => part === this.beside[k])) return;
    this.text = text;
    this.beside = beside;
    this.draw(panel);
  }
}

/** In which a viewer draws what it was given. */
const FRAME_MS = 16;
/** Work that takes longer than this, of the model or the viewer, does not hold the panel up. */
const PATIENCE_MS = 150;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
