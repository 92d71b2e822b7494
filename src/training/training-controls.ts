import type { TrainingHand } from './learn.js';

/** What whoever watches a training may wish of it. */
export type TrainingWish = 'rest' | 'go on' | 'enough';

export class TrainingControls implements TrainingHand {
  private readonly ending = new AbortController();
  private readonly listeners = new Set<(wish: TrainingWish) => void>();
  private resting?: { readonly over: Promise<void>; readonly end: () => void };

  get enough(): AbortSignal {
    return this.ending.signal;
  }

  get isResting(): boolean {
    return this.resting !== undefined;
  }

  readonly rest = (): Promise<void> | undefined => this.resting?.over;

  wish(wish: TrainingWish): void {
    if (wish === 'rest' && !this.resting && !this.enough.aborted) {
      let end = () => {};
      const over = new Promise<void>((resolve) => (end = resolve));
      this.resting = { over, end };
    }
    if (wish === 'enough') this.ending.abort();
    if (wish !== 'rest') {
      this.resting?.end();
      this.resting = undefined;
    }
    for (const listener of this.listeners) listener(wish);
  }

  /** Also told of what was wished before. @returns what ends the subscription */
  onWish(listener: (wish: TrainingWish) => void): () => void {
    this.listeners.add(listener);
    if (this.resting) listener('rest');
    if (this.enough.aborted) listener('enough');
    return () => this.listeners.delete(listener);
  }
}
