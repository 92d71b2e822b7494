import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { build } from 'esbuild';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import sirv from 'sirv';

/**
 * A Chromium for tests and pages for it. Nothing is downloaded: an installed browser is used, else the one inside the
 * package @sparticuz/chromium, which unpacks itself to the temporary folder and runs as root without a display.
 */
const INSTALLED = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

export const ARGUMENTS = [
  '--no-sandbox',
  '--no-zygote',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--font-render-hinting=none',
];

/** Pages are painted by the processor itself: a graphics card emulated by it takes as much time as all the rest. */
export const NO_GPU = ['--disable-gpu'];

/** Of V8, for what is asked of its memory: no machine code, which is made of ever more functions the longer they are used. */
export const BYTECODE = ['--no-opt', '--no-maglev', '--no-sparkplug'];

/** A graphics card emulated by the processor, for what asks for WebGPU. */
export const EMULATED_GPU = [
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--enable-unsafe-webgpu',
];

/** @param graphics arguments that say who draws */
export async function launchBrowser(graphics: readonly string[] = NO_GPU): Promise<Browser> {
  return chromium.launch({
    executablePath: await browserProgram(),
    headless: true,
    args: [...ARGUMENTS, ...graphics],
  });
}

/** A browser of its own whose pages find again what they have kept in it, when it is started anew with that folder. */
export async function launchProfile(folder: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, {
    executablePath: await browserProgram(),
    headless: true,
    args: [...ARGUMENTS, ...NO_GPU],
    viewport: { width: 1400, height: 900 },
  });
}

export async function browserProgram(): Promise<string> {
  return installedBrowser() ?? (await packagedBrowser());
}

function installedBrowser(): string | undefined {
  if (process.env.CHROME_PATH) return process.env.CHROME_PATH;
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return folders.flatMap((folder) => INSTALLED.map((name) => path.join(folder, name))).find((file) => existsSync(file));
}

async function packagedBrowser(): Promise<string> {
  const { default: packaged } = await import('@sparticuz/chromium');
  return packaged.executablePath();
}

export interface Site {
  /** Ends with a slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves folders on a free loopback port with the headers that give a page SharedArrayBuffer. First match wins. */
export async function serveFolders(mounts: readonly (readonly [prefix: string, folder: string])[]): Promise<Site> {
  const handlers = mounts.map(([prefix, folder]) => ({ prefix, handle: sirv(folder, { dev: true }) }));
  const server = createServer((request, response) => {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Expose-Headers', '*');
    const url = request.url ?? '/';
    const attempt = (k: number): void => {
      const found = handlers.slice(k).findIndex(({ prefix }) => url.startsWith(prefix));
      if (found < 0) {
        response.statusCode = 404;
        response.end('Not found');
        return;
      }
      const { prefix, handle } = handlers[k + found];
      request.url = `/${url.slice(prefix.length)}`;
      handle(request, response, () => attempt(k + found + 1));
    };
    attempt(0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Bundles TypeScript entry points for the browser into `folder`, as `<name>.js` and `<name>.css`. */
export async function bundleForBrowser(entryPoints: Record<string, string>, folder: string): Promise<void> {
  await build({
    entryPoints,
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'chrome110',
    ignoreAnnotations: true, // package.json says of what is published alone that it has effects
    external: ['fs', 'path'], // Emscripten's code asks for these where it runs in Node
    sourcemap: 'inline',
    logLevel: 'warning',
  });
}
