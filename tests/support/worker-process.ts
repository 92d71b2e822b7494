import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { bundleForNode } from './node-bundle.js';

/** A worker in a Node process of its own, to be connected to and to be killed. */
export interface WorkerProcess {
  readonly url: string;
  /** The first line it printed: its address, or what another `entry` says. */
  readonly line: string;
  readonly process: ChildProcess;
  /** Ends it as a crash does and waits until it is gone. */
  kill(): Promise<void>;
}

const WORKER = `
import { startNodeWorker } from './src/worker/hosts/node-worker.ts';
const { url } = await startNodeWorker({ threads: Number(process.argv[2]) });
console.log(url);`;

/** Ends the process when its parent is gone. */
const UNTIL_ORPHANED = `\nprocess.stdin.resume().on('end', () => process.exit());`;

export async function startWorkerProcess({ threads = 2, entry = WORKER } = {}): Promise<WorkerProcess> {
  const folder = path.resolve('dist', 'tests', `worker-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const outfile = path.join(folder, entry === WORKER ? 'worker.mjs' : 'other.mjs');
  await bundleForNode({ code: entry + UNTIL_ORPHANED }, outfile);
  const child = spawn(process.execPath, [outfile, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`The worker process ended with code ${code}.`)));
  });
  return {
    url: line,
    line,
    process: child,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
