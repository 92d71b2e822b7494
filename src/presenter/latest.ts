/**
 * Passes values on one at a time, and of those that come while one is under way only the newest: a slow viewer shows
 * the latest state, not every state.
 */
export class Latest<T> {
  private running?: Promise<void>;
  private next?: { readonly value: T };

  /** @param show a rejection is handed to `onError`; the next value is shown all the same */
  constructor(
    private readonly show: (value: T) => Promise<void>,
    private readonly onError: (error: unknown) => void,
  ) {}

  push(value: T): void {
    this.next = { value };
    this.running ??= this.drain();
  }

  /** Whether something is still being shown. */
  get busy(): boolean {
    return this.running !== undefined;
  }

  /** Resolves when nothing is left to show. */
  async idle(): Promise<void> {
    while (this.running) await this.running;
  }

  private async drain(): Promise<void> {
    try {
      while (this.next) {
        const { value } = this.next;
        this.next = undefined;
        await this.show(value).catch(this.onError);
      }
    } finally {
      this.running = undefined;
    }
  }
}
