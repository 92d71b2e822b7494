import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import WebSocket from 'ws';
import { ARGUMENTS, browserProgram } from './browser.js';

/** What developer tools may ask of a Chromium, of one of its pages, or of a Node process (Chrome DevTools Protocol). */
export class Devtools {
  private count = 0;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private session?: string;

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data) => {
      const answer: Answer = JSON.parse(String(data));
      if (answer.id !== undefined) this.waiting.get(answer.id)?.(answer);
    });
  }

  static async connect(address: string): Promise<Devtools> {
    const socket = new WebSocket(address, { maxPayload: 2 ** 30 });
    await once(socket, 'open');
    return new Devtools(socket);
  }

  /** From now on it is a new page that is asked. */
  async openPage(url: string): Promise<void> {
    const { targetId } = await this.send('Target.createTarget', { url, width: 1400, height: 900 });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    this.session = sessionId as string;
    while ((await this.evaluate(() => document.readyState, undefined).catch(() => '')) !== 'complete')
      await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async send(method: string, params: object = {}): Promise<Readonly<Record<string, never>>> {
    const id = ++this.count;
    const answered = new Promise<Answer>((resolve) => this.waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, method, params, sessionId: this.session }));
    const { result, error } = await answered;
    this.waiting.delete(id);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result as Readonly<Record<string, never>>;
  }

  /** Runs a function, which may know nothing of what is around it, in the page. */
  async evaluate<A, R>(body: (argument: A) => R | Promise<R>, argument: A): Promise<R> {
    const expression = `(${body})(${JSON.stringify(argument)})`;
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })) as unknown as Evaluated<R>;
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  on(event: string, listener: (params: never) => void): void {
    this.socket.on('message', (data) => {
      const { method, params } = JSON.parse(String(data));
      if (method === event) listener(params as never);
    });
  }

  close(): void {
    this.socket.close();
  }
}

/**
 * A page of a Chromium that is asked nothing but what a test asks: Playwright listens to the network and the console of
 * its pages, and the browser keeps for it what went by, some kilobytes a request.
 */
export async function openDevtoolsPage(
  url: string,
  flags: readonly string[],
): Promise<{ readonly page: Devtools; close(): Promise<void> }> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-devtools-'));
  const own = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${folder}`];
  const browser = spawn(await browserProgram(), [...own, ...ARGUMENTS, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const address = await new Promise<string>((resolve, reject) => {
    browser.stderr.on('data', (text) => {
      said += text;
      const found = debuggerAddress(said);
      if (found) resolve(found);
    });
    browser.once('exit', (code) => reject(new Error(`The browser ended with code ${code}.\n${said}`)));
  });
  const page = await Devtools.connect(address);
  await page.openPage(url);
  return {
    page,
    async close() {
      const ended = once(browser, 'exit');
      page.close();
      browser.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Where a browser or a Node process says that it listens to developer tools. */
export function debuggerAddress(said: string): string | undefined {
  return /^(?:DevTools|Debugger) listening on (ws:\S+)$/m.exec(said)?.[1];
}

interface Answer {
  readonly id?: number;
  readonly result?: object;
  readonly error?: { readonly message: string };
}

interface Evaluated<R> {
  readonly result: { readonly value: R };
  readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } };
}
