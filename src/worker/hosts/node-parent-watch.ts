import { Worker } from 'node:worker_threads';

/**
 * Ends this process when the one that started it is gone. A thread of its own looks, since a model that runs holds the
 * main one up; nothing is asked of the main thread, which has nothing to lose.
 */
const INTERVAL_MS = 100;

export function endWithParent(): void {
  const thread = new Worker(WATCH, { eval: true, workerData: { parent: process.ppid, interval: INTERVAL_MS } });
  thread.unref();
}

/** `ppid` changes where orphans are adopted; elsewhere (Windows) it stays, and nobody answers at it. */
const WATCH = `
  const { parent, interval } = require('node:worker_threads').workerData;
  const isGone = () => {
    if (process.ppid !== parent) return true;
    try {
      process.kill(parent, 0);
      return false;
    } catch (error) {
      return error.code === 'ESRCH';
    }
  };
  setInterval(() => isGone() && process.kill(process.pid, 'SIGKILL'), interval);
`;
