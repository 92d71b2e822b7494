import { SamError } from '../errors.js';
import type { Progress, TaskOptions } from '../task.js';
import type { RunningTask, TaskSlot } from './state.js';

/**
 * The work under way. Each task has an identity, by which it is shown and cancelled, and a slot: of one slot there is at
 * most one task, since a newer one supersedes it. Tasks of different slots run beside each other.
 */
export class Tasks {
  private readonly running: RunningEntry[] = [];
  private count = 0;

  /** @param onChanged called with all tasks, the oldest first, whenever one begins, ends or gets on */
  constructor(private readonly onChanged: (tasks: readonly RunningTask[]) => void) {}

  /**
   * Runs work that is shown and can be cancelled. Rejects with `cancelled` as soon as it is, whether the work minds or not.
   *
   * @param signal of the caller; the work ends at either, the caller's wish or the user's
   */
  async run<T>(
    slot: TaskSlot,
    name: string,
    work: (task: Required<TaskOptions>) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    if (signal?.aborted) throw new SamError('cancelled', 'Cancelled.');
    this.cancel(slot);
    const controller = new AbortController();
    const shown: RunningTask = {
      id: ++this.count,
      slot,
      name,
      progress: { done: 0, total: 0, message: name },
      startedAt: Date.now(),
    };
    const entry: RunningEntry = { shown, controller, finished: Promise.resolve() };
    const abort = () => controller.abort();
    signal?.addEventListener('abort', abort, { once: true });
    this.running.push(entry);
    this.changed();
    const onProgress = (progress: Progress) => {
      if (controller.signal.aborted || !this.running.includes(entry)) return;
      entry.shown = { ...entry.shown, progress };
      this.changed();
    };
    const finished = Promise.race([aborted(controller.signal), work({ signal: controller.signal, onProgress })]);
    entry.finished = finished;
    try {
      return await finished;
    } finally {
      signal?.removeEventListener('abort', abort);
      const at = this.running.indexOf(entry);
      if (at >= 0) {
        this.running.splice(at, 1);
        this.changed();
      }
    }
  }

  /** Stops one task, those of a slot, or all. */
  cancel(which?: number | TaskSlot): void {
    const chosen = this.running.filter(
      ({ shown }) => which === undefined || shown.id === which || shown.slot === which,
    );
    for (const entry of chosen) this.running.splice(this.running.indexOf(entry), 1);
    for (const { controller } of chosen) controller.abort();
    if (chosen.length > 0) this.changed();
  }

  /** Resolves when no task of the slot is left, however it ended. */
  async settled(slot: TaskSlot): Promise<void> {
    for (;;) {
      const entry = this.running.find(({ shown }) => shown.slot === slot);
      if (!entry) return;
      await entry.finished.catch(() => undefined);
      await Promise.resolve(); // until it is off the list
    }
  }

  private changed(): void {
    this.onChanged(this.running.map(({ shown }) => shown));
  }
}

interface RunningEntry {
  shown: RunningTask;
  readonly controller: AbortController;
  finished: Promise<unknown>;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new SamError('cancelled', 'Cancelled.')), { once: true });
  });
}
