import type { IncomingMessage, ServerResponse } from 'node:http';
import { asSamError } from '../../errors.js';
import type { Store } from '../../io/store.js';

/**
 * A Store of this machine for the page, over HTTP, below an address such as `/autosave/`: `GET /autosave/` lists
 * (`?prefix=`), `GET`, `PUT` and `DELETE` of `/autosave/<key>` are get (204 for a key that is not there: browsers log
 * every 404), set and delete; `PUT` with `If-None-Match: *` is create (412 for a key that is there). The caller has
 * checked who asks. The other end is serverStore() in io/stores/server.ts.
 */
const LARGEST_VALUE = 1 << 30;
const STATUS: Readonly<Record<string, number>> = { invalid_argument: 400, storage: 507 };

/** @param root path of the list, with a slash at its end */
export async function answerStore(
  store: Store,
  root: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const key = url.pathname.slice(root.length).split('/').map(decodeURIComponent).join('/');
    if (request.method === 'GET' && key === '') {
      const keys: string[] = [];
      for await (const each of store.list(url.searchParams.get('prefix') ?? '')) keys.push(each);
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(keys));
    } else if (request.method === 'GET') {
      const value = await store.get(key);
      if (value === undefined) response.writeHead(204).end();
      else response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(value);
    } else if (request.method === 'PUT') {
      const value = await readBody(request);
      if (value === undefined) {
        response.writeHead(413).end(`A saved value may have at most ${LARGEST_VALUE} bytes.`);
        return;
      }
      const created = request.headers['if-none-match'] === '*' ? await store.create(key, value) : undefined;
      if (created === undefined) await store.set(key, value);
      response.writeHead(created === false ? 412 : 204).end();
    } else if (request.method === 'DELETE') {
      await store.delete(key);
      response.writeHead(204).end();
    } else {
      response.writeHead(405, { Allow: 'GET, PUT, DELETE' }).end();
    }
  } catch (thrown) {
    const error = asSamError(thrown);
    if (response.headersSent) response.destroy();
    else response.writeHead(STATUS[error.code] ?? 500, { 'Content-Type': 'text/plain' }).end(error.message);
  }
}

/** The whole body, exactly as long as announced (a page that dies in mid-request must not save half); undefined if too long. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > LARGEST_VALUE) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
