import { SamError } from '../errors.js';
import type { SessionState } from './state.js';

/**
 * Commands in the order of the hand. Each begins when the one before has ended with all it brought about, so that a
 * sequence ends in the same work however fast it is given; what it will make of the state is told before (expected.ts).
 * An idle queue begins a command at once, before `add` returns.
 */
export interface QueuedCommand {
  readonly id: string;
  /** Lets the next one begin before it has ended. */
  readonly background?: boolean;
  /** What it will make of the state, as far as that can be told before. */
  predict?(state: SessionState): SessionState;
  /** It will make a step of undo, of which `predict` shows nothing. */
  readonly makesStep?: boolean;
  /** Of a command that undo stops: does it again. */
  readonly again?: () => Promise<void>;
}

export class CommandQueue {
  private readonly entries: Entry[] = [];
  private active?: Entry;
  private resting: (() => void)[] = [];
  private count = 0;

  /** @param onChanged called when a command has begun to wait, or has stopped waiting */
  constructor(private readonly onChanged: () => void) {}

  /** Commands that have not begun. */
  get waiting(): readonly QueuedCommand[] {
    return this.entries.map(({ command }) => command);
  }

  /** The command that is being carried out, unless it runs in the background. */
  get current(): QueuedCommand | undefined {
    return this.active?.command;
  }

  /** Number of the latest command given; they count from 1. */
  get latest(): number {
    return this.count;
  }

  /** Number of the command being carried out; infinite between commands. */
  get number(): number {
    return this.active?.number ?? Number.POSITIVE_INFINITY;
  }

  /** Resolves or rejects with the work; rejects with `cancelled` if the command is dropped before it began. */
  add(command: QueuedCommand, work: () => void | Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.entries.push({ command, work, resolve, reject, number: ++this.count });
      if (this.active) this.onChanged();
      else this.advance();
    });
  }

  /** Takes commands out that wait, those after `kept` of them. */
  drop(kept = 0): readonly QueuedCommand[] {
    const dropped = this.entries.splice(kept);
    for (const { reject } of dropped) reject(new SamError('cancelled', 'The command was dropped before it began.'));
    if (dropped.length > 0) this.onChanged();
    return dropped.map(({ command }) => command);
  }

  /** Resolves when all commands given so far, and those given meanwhile, have ended. */
  async idle(): Promise<void> {
    while (this.active) await new Promise<void>((resolve) => this.resting.push(resolve));
  }

  /** Begins what waits, up to the first command that takes time. */
  private advance(): void {
    for (;;) {
      const entry = this.entries.shift();
      this.active = entry;
      if (!entry) break;
      if (entry.number < this.count) this.onChanged();
      const { command, work, resolve, reject } = entry;
      try {
        const underWay = work();
        if (!underWay) {
          resolve();
          continue;
        }
        underWay.then(resolve, reject);
        if (command.background) continue;
        const ended = () => this.advance();
        underWay.then(ended, ended);
        return;
      } catch (error) {
        reject(error);
      }
    }
    for (const resolve of this.resting.splice(0)) resolve();
  }
}

interface Entry {
  readonly command: QueuedCommand;
  readonly work: () => void | Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly number: number;
}
