import type { IncomingMessage, ServerResponse } from 'node:http';
import sirv from 'sirv';

/** The built pages and what they load. Of dist/ only these folders: the rest is not for browsers. */
const FOLDERS = ['host', 'plugin', 'ort', 'models'];

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
    if (url.pathname === '/') request.url = '/host/index.html';
    else if (!FOLDERS.includes(url.pathname.split('/')[1])) {
      response.writeHead(404).end();
      return;
    }
    if (url.pathname.endsWith('.onnx')) response.setHeader('Content-Type', 'application/octet-stream');
    serve(request, response);
  };
}
