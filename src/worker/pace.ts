import { forwardWork } from './forward.js';
import type { SamWorker } from './sam-worker.js';

/**
 * How fast a worker is, as it was seen at work: what estimates are made of. Of the last few calls the fastest counts, since
 * the others may have waited for their turn.
 */
export class Pace {
  private readonly seen = new Map<PaceOf, number[]>();

  /** Milliseconds of one; undefined if none was seen. */
  of(what: PaceOf): number | undefined {
    const times = this.seen.get(what);
    return times && Math.min(...times);
  }

  note(what: PaceOf, milliseconds: number): void {
    this.seen.set(what, [...(this.seen.get(what) ?? []).slice(1 - KEPT), milliseconds]);
  }
}

/** An image or tile encoded; the instance decoder's maps of one; one of many point prompts decoded together. */
export type PaceOf = 'encode' | 'maps' | 'prompt';

const KEPT = 5;

/** The worker, noting how long it takes. */
export function pacedWorker(worker: SamWorker, pace: Pace, now: () => number = () => performance.now()): SamWorker {
  const timed = async <T>(what: PaceOf, count: number, work: () => Promise<T>): Promise<T> => {
    const start = now();
    const result = await work();
    pace.note(what, (now() - start) / Math.max(1, count));
    return result;
  };
  return {
    ...forwardWork((job) => job(worker)),
    info: () => worker.info(),
    load: (...args) => worker.load(...args),
    close: () => worker.close(),
    encode: (...args) => timed('encode', 1, () => worker.encode(...args)),
    instanceMaps: (...args) => timed('maps', 1, () => worker.instanceMaps(...args)),
    decodeCandidates: (model, embedding, prompts, options) =>
      timed('prompt', prompts.batch, () => worker.decodeCandidates(model, embedding, prompts, options)),
  };
}
