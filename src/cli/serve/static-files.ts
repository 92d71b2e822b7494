import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SamError } from '../../errors.js';
import type { Ask } from './routes.js';
import { decodePath, fileBelow, sendFile } from './send-file.js';

/** The built pages and what they load. Of dist/ only these folders: the rest is not for browsers. */
const FOLDERS = ['host', 'plugin', 'ort', 'models'];

const START_PAGE = 'index.html';
const FILES = [START_PAGE, 'manifest.imjoy.json'];
const LAUNCHER = 'plugin/micro-sam.imjoy.html';
const LAUNCHER_PAGE = 'http://127.0.0.1:8765/plugin/index.html';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};

/** Gives the page SharedArrayBuffer, and so threads to wasm. Every frame inside must agree, which foreign viewers do not. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** imjoy-core and imjoy-rpc evaluate text, and images come from anywhere; but no page runs scripts of others. */
const SCRIPTS = "script-src 'self' 'unsafe-eval' blob:; object-src 'none'; base-uri 'none'; form-action 'none'";

/** Any page may show the plugin's windows, which ImJoy opens; nobody but this server the page around them. */
function policyOf(name: string): string | undefined {
  if (name === START_PAGE || name === 'host/index.html') return `${SCRIPTS}; frame-ancestors 'self'`;
  if (name.startsWith('host/')) return "frame-ancestors 'self'";
  return /^plugin\/(viewer\/)?index\.html$/.test(name) ? SCRIPTS : undefined;
}

export function staticFiles(dist: string, { isolated }: { isolated: boolean }): (ask: Ask) => Promise<void> {
  return async ({ url, request, response }) => {
    const names = url.pathname === '/' ? ['index.html'] : decodePath(url.pathname).slice(1);
    const name = names.join('/');
    if (!FILES.includes(name) && !(FOLDERS.includes(names[0] ?? '') && names.length > 1))
      throw new SamError('not_found', 'There is nothing at this address.');
    if (isolated) for (const [header, value] of Object.entries(ISOLATION)) response.setHeader(header, value);
    const policy = policyOf(name);
    const file = await fileBelow(dist, names);
    if (policy) response.setHeader('Content-Security-Policy', policy);
    else response.removeHeader('Content-Security-Policy'); // that of a worker's script would be the worker's
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
    if (name !== LAUNCHER) return sendFile(file, type, request, response);
    // Opened from here, the plugin's window is the page of this server.
    const text = (await readFile(file, 'utf8')).replaceAll(LAUNCHER_PAGE, `${url.origin}/plugin/index.html`);
    response.writeHead(200, { 'Content-Type': type }).end(text);
  };
}
