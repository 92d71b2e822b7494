import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import sirv from 'sirv';

/** The built pages and what they load. Of dist/ only these folders: the rest is not for browsers. */
const FOLDERS = ['host', 'plugin', 'ort', 'models'];

const MANIFEST = '/manifest.imjoy.json';
const LAUNCHER = '/plugin/micro-sam.imjoy.html';
const LAUNCHER_PAGE = 'http://127.0.0.1:8765/plugin/index.html';

const HEADERS = {
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/** Gives the page SharedArrayBuffer, and so threads to wasm. Every frame inside must agree, which foreign viewers do not. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export function staticFiles(
  dist: string,
  { isolated }: { isolated: boolean },
): (url: URL, request: IncomingMessage, response: ServerResponse) => void {
  const headers = Object.entries(isolated ? { ...HEADERS, ...ISOLATION } : HEADERS);
  // `dev` looks at the disk for each request, so that a rebuilt page needs no restart.
  const serve = sirv(dist, { dev: true, etag: true, extensions: [] });
  return (url, request, response) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    if (url.pathname === LAUNCHER) {
      // Opened from here, the plugin's window is the page of this server.
      const text = readFileSync(path.join(dist, LAUNCHER), 'utf8').replaceAll(
        LAUNCHER_PAGE,
        `${url.origin}/plugin/index.html`,
      );
      response.setHeader('Content-Type', 'text/html;charset=utf-8');
      response.end(text);
      return;
    }
    if (url.pathname === '/') request.url = '/host/index.html';
    else if (url.pathname !== MANIFEST && !FOLDERS.includes(url.pathname.split('/')[1])) {
      response.writeHead(404).end();
      return;
    }
    if (url.pathname.endsWith('.onnx')) response.setHeader('Content-Type', 'application/octet-stream');
    serve(request, response);
  };
}
