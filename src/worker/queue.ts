import { SamError } from '../errors.js';

/**
 * Runs one job at a time. Urgent jobs (a person waits for a mask) overtake those that wait, not the one that runs. A job
 * whose signal fires while it waits is dropped at once.
 */
export class Queue {
  private readonly urgent: (() => Promise<void>)[] = [];
  private readonly normal: (() => Promise<void>)[] = [];
  private running = false;
  private closed = false;

  run<T>(
    job: () => Promise<T>,
    { signal, urgent = false }: { signal?: AbortSignal; urgent?: boolean } = {},
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) return reject(new SamError('no_worker', 'The worker is closed.'));
      if (signal?.aborted) return reject(signal.reason);
      const waiting = urgent ? this.urgent : this.normal;
      const drop = () => {
        waiting.splice(waiting.indexOf(start), 1);
        reject(signal?.reason);
      };
      const start = () => {
        signal?.removeEventListener('abort', drop);
        return job().then(resolve, reject);
      };
      signal?.addEventListener('abort', drop, { once: true });
      waiting.push(start);
      void this.drain();
    });
  }

  /** Refuses further jobs and runs `last` after those that were accepted. */
  close(last: () => Promise<void>): Promise<void> {
    if (this.closed) return Promise.resolve();
    const done = this.run(last);
    this.closed = true;
    return done;
  }

  private async drain(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let job = this.next(); job; job = this.next()) await job();
    this.running = false;
  }

  private next(): (() => Promise<void>) | undefined {
    return this.urgent.shift() ?? this.normal.shift();
  }
}
