import type { ViewerEvent } from './viewer.js';

/**
 * What the hand does, in its order, through whichever window it arrives. What is done in the viewer takes a while to be
 * heard of: an action of another window waits until everything the viewer had to say before has come, and what comes with
 * a later time waits behind it.
 */
export class HandOrder {
  private readonly held: { readonly time: number; readonly act: () => void; ready: boolean }[] = [];

  /**
   * @param receive acts on an event of the viewer
   * @param flush resolves when all that the viewer has said so far has been heard
   */
  constructor(
    private readonly receive: (event: ViewerEvent) => void,
    private readonly flush: () => Promise<void>,
  ) {}

  /** An event counts as one of its arrival where the viewer does not tell its time. */
  fromViewer(event: ViewerEvent): void {
    const { kind, time = Date.now() } = event;
    if (PASSIVE.includes(kind) || this.held.every((other) => other.time > time)) this.receive(event);
    else this.insert({ time, act: () => this.receive(event), ready: true });
  }

  /** @param time milliseconds since the epoch when the hand moved */
  async fromElsewhere(act: () => void, time = Date.now()): Promise<void> {
    const entry = { time, act, ready: false };
    this.insert(entry);
    await this.flush().catch(() => undefined);
    entry.ready = true;
    this.release();
  }

  private insert(entry: (typeof this.held)[number]): void {
    const at = this.held.findIndex(({ time }) => time > entry.time);
    this.held.splice(at < 0 ? this.held.length : at, 0, entry);
  }

  private release(): void {
    while (this.held[0]?.ready) this.held.shift()?.act();
  }
}

/** Events that do nothing to the work: they need not wait for their turn. */
const PASSIVE: readonly ViewerEvent['kind'][] = ['pointer', 'view', 'closed', 'channel'];
