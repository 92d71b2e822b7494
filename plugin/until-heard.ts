/**
 * What hands do, told to whoever listens. Before there is a first listener nothing is lost: all is kept, in its order, and
 * then told; of moves, which come without end, only the last of each kind.
 */
export class UntilHeard<T> {
  private readonly listeners = new Set<(item: T) => void>();
  private readonly moveOf: (item: T) => string | undefined;
  private kept: T[] | undefined = [];

  /** @param moveOf the kind of move that an item is; undefined where each one counts */
  constructor(moveOf: (item: T) => string | undefined = () => undefined) {
    this.moveOf = moveOf;
  }

  /** Somebody listens, or has listened. */
  get heard(): boolean {
    return this.kept === undefined;
  }

  tell(item: T): void {
    if (!this.kept) {
      this.pass(item);
      return;
    }
    const move = this.moveOf(item);
    if (move !== undefined) this.kept = this.kept.filter((other) => this.moveOf(other) !== move);
    this.kept.push(item);
  }

  /** What was kept is told right after the present call, so that it finds whoever listens ready. */
  on(listener: (item: T) => void): () => void {
    this.listeners.add(listener);
    if (this.kept?.length === 0) this.kept = undefined;
    else if (this.kept) queueMicrotask(() => this.tellKept());
    return () => this.listeners.delete(listener);
  }

  private tellKept(): void {
    if (this.listeners.size === 0) return;
    for (let item = this.kept?.shift(); item !== undefined; item = this.kept?.shift()) this.pass(item);
    this.kept = undefined;
  }

  private pass(item: T): void {
    for (const listener of [...this.listeners]) listener(item);
  }
}
