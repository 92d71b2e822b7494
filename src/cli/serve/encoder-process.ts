import { fork } from 'node:child_process';
import { SamError } from '../../errors.js';

/**
 * The model in a process of its own (`micro-sam worker`), beside the server: the page gets its address. It ends with the
 * server, however the server ends.
 */
export interface EncoderProcess {
  /** WebSocket address with token. */
  readonly url: string;
  readonly pid: number | undefined;
  close(): Promise<void>;
}

export interface EncoderOptions {
  /** Origins of the pages that may connect. */
  readonly origins: readonly string[];
  readonly log: (line: string) => void;
}

const STARTS_WITHIN_MS = 30_000;
const STOPS_WITHIN_MS = 500;

/** @param program path of the built command line, which is started once more */
export async function startEncoder(program: string, { origins, log }: EncoderOptions): Promise<EncoderProcess> {
  const child = fork(program, ['worker', ...origins.flatMap((origin) => ['--origin', origin])], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
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
      if (!closing) log(`The encoder process ended (code ${code}); pages go on with their own worker.`);
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
