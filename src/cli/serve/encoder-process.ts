import { fork } from 'node:child_process';
import { SamError } from '../../errors.js';

/**
 * The model in a process of its own (`micro-sam worker`), beside a server, which can answer while it computes. It ends with
 * the server, however the server ends.
 */
export interface EncoderProcess {
  /** WebSocket address with token. */
  readonly url: string;
  readonly pid: number | undefined;
  close(): Promise<void>;
}

export interface EncoderOptions {
  /** Of `micro-sam worker`. */
  readonly flags: readonly string[];
  /** Told if it ends by itself. */
  readonly onEnd: (code: number | null) => void;
}

const STARTS_WITHIN_MS = 30_000;
const STOPS_WITHIN_MS = 500;

/** @param program path of the built command line, which is started once more */
export async function startEncoder(program: string, { flags, onEnd }: EncoderOptions): Promise<EncoderProcess> {
  const child = fork(program, ['worker', ...flags], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let lastWords = '';
  child.stderr?.on('data', (chunk) => {
    lastWords = (lastWords + chunk).slice(-2000);
  });
  let closing = false;
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new SamError('no_worker', why));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`it did not answer within ${STARTS_WITHIN_MS / 1000} s`);
    }, STARTS_WITHIN_MS);
    child.once('error', (error) => fail(error.message));
    child.once('message', (message: { url: string }) => {
      clearTimeout(timer);
      resolve(message.url);
    });
    void ended.then((code) => {
      clearTimeout(timer);
      fail(`it ended with code ${code}. ${lastWords.trim().split('\n').at(-1) ?? ''}`);
      if (!closing) onEnd(code);
    });
  });
  return {
    url,
    pid: child.pid,
    async close() {
      closing = true;
      // It has nothing to save, and a model that runs would have to be waited for.
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOPS_WITHIN_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
