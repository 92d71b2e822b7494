import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * A real WebKit, that of GTK, by its WebDriver. Its session is one that keeps nothing, like a private window of Safari. On
 * Debian: `apt install webkit2gtk-driver xvfb`; nothing is downloaded.
 */
const DRIVER = found('WebKitWebDriver', (process.env.PATH ?? '').split(path.delimiter));
const SCREEN = found('Xvfb', (process.env.PATH ?? '').split(path.delimiter));
const BROWSER = found('MiniBrowser', libraryFolders());

/** `it`, skipped where there is no WebKit. */
export function withWebKit(title: string, body: Mocha.AsyncFunc): void {
  if (DRIVER && SCREEN && BROWSER) it(title, body);
  else it.skip(`${title} (no WebKit)`);
}

/** One window. */
export class WebKitPage {
  private constructor(
    private readonly session: string,
    private readonly processes: readonly ChildProcess[],
  ) {}

  static async launch(): Promise<WebKitPage> {
    const screen = spawn(SCREEN, ['-displayfd', '3', '-screen', '0', '1400x900x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const [display] = await once(screen.stdio[3] as Readable, 'data');
    const port = await freePort();
    const driver = spawn(DRIVER, [`--port=${port}`, '--host=127.0.0.1'], {
      stdio: 'ignore',
      env: {
        ...process.env,
        DISPLAY: `:${String(display).trim()}`,
        LIBGL_ALWAYS_SOFTWARE: '1',
        WEBKIT_DISABLE_DMABUF_RENDERER: '1',
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', // tests run as root, in containers
      },
    });
    const address = `http://127.0.0.1:${port}/session`;
    const options = { binary: BROWSER, args: ['--automation'] };
    // A page that never comes is not waited for.
    const capabilities = { alwaysMatch: { pageLoadStrategy: 'none', 'webkitgtk:browserOptions': options } };
    try {
      const { sessionId } = await ask<{ sessionId: string }>('POST', address, { capabilities });
      const page = new WebKitPage(`${address}/${sessionId}`, [driver, screen]);
      await page.do('timeouts', { script: 300_000, pageLoad: 120_000 });
      await page.do('window/rect', { x: 0, y: 0, width: 1400, height: 900 });
      return page;
    } catch (error) {
      for (const process of [driver, screen]) process.kill();
      throw error;
    }
  }

  /** Waits for nothing. */
  goto(url: string): Promise<void> {
    return this.do('url', { url });
  }

  reload(): Promise<void> {
    return this.do('refresh', {});
  }

  /** Runs in the page: nothing from outside of it is there. */
  evaluate<T, A extends readonly unknown[]>(run: (...args: A) => T | Promise<T>, ...args: A): Promise<T> {
    // Promises of the page's own are not waited for by the synchronous call.
    const script = `const done = arguments[arguments.length - 1];
      Promise.resolve().then(() => (${run})(...Array.from(arguments).slice(0, -1)))
        .then((value) => done([value]), (error) => done([null, String(error)]));`;
    return this.do<[T, string?]>('execute/async', { script, args }).then(([value, error]) => {
      if (error !== undefined) throw new Error(error);
      return value;
    });
  }

  /** Waits until what runs in the page gives something. */
  async until<T, A extends readonly unknown[]>(what: string, run: (...args: A) => T, ...args: A): Promise<T> {
    for (const end = Date.now() + 120_000; Date.now() < end; await wait(100)) {
      const value = await this.evaluate(run, ...args);
      if (value) return value;
    }
    throw new Error(`Not within two minutes: ${what}.`);
  }

  async click(x: number, y: number): Promise<void> {
    const [at, button] = [{ x: Math.round(x), y: Math.round(y), origin: 'viewport' }, { button: 0 }];
    await this.act('pointer', [
      { type: 'pointerMove', ...at, duration: 0 },
      { type: 'pointerDown', ...button },
      { type: 'pointerUp', ...button },
    ]);
  }

  press(value: string): Promise<void> {
    return this.act('key', [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ]);
  }

  async close(): Promise<void> {
    await ask('DELETE', this.session).catch(() => undefined);
    for (const process of this.processes) {
      process.kill();
      if (process.exitCode === null && process.signalCode === null) await once(process, 'exit');
    }
  }

  private act(type: 'pointer' | 'key', actions: readonly object[]): Promise<void> {
    return this.do('actions', { actions: [{ type, id: type, actions }] });
  }

  private do<T>(command: string, body: object): Promise<T> {
    return ask('POST', `${this.session}/${command}`, body);
  }
}

async function ask<T>(method: string, address: string, body?: object): Promise<T> {
  const response = await fetchOnceThere(address, { method, body: body && JSON.stringify(body) });
  const { value } = (await response.json()) as { value: T & { error?: string; message?: string } };
  if (!response.ok) throw new Error(`${address}: ${value.error}: ${value.message}`);
  return value;
}

/** The driver needs a moment before it listens. */
async function fetchOnceThere(address: string, init: RequestInit): Promise<Response> {
  for (let tries = 0; ; tries++)
    try {
      return await fetch(address, init);
    } catch (error) {
      if (tries > 300 || (error as { cause?: { code?: string } }).cause?.code !== 'ECONNREFUSED') throw error;
      await wait(100);
    }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Where Debian and others keep the browser that goes with the driver. */
function libraryFolders(): string[] {
  const machine = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as 'x64'] ?? '';
  const roots = [`/usr/lib/${machine}`, '/usr/libexec', '/usr/lib64', '/usr/lib'];
  return roots.flatMap((root) => ['6.0', '4.1', '4.0'].map((version) => `${root}/webkit2gtk-${version}`));
}

/** Empty if it is in none of them. */
function found(program: string, folders: readonly string[]): string {
  return folders.map((folder) => path.join(folder, program)).find((file) => existsSync(file)) ?? '';
}
