import type { IncomingMessage } from 'node:http';
import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { type Ask, type Route, refuse } from './routes.js';
import { decodePath } from './send-file.js';

/**
 * A Store of this machine for the page, over HTTP, below an address such as `/autosave/`: `GET /autosave/` lists
 * (`?prefix=`), `GET`, `PUT` and `DELETE` of `/autosave/<key>` are get (204 for a key that is not there: browsers log
 * every 404), set and delete; `PUT` with `If-None-Match: *` is create (412 for a key that is there). The other end is serverStore() in io/stores/server.ts.
 */
const LARGEST_VALUE = 1 << 30;

/** @param root path of the list, with a slash at its end */
export function storeRoute(store: Store, root: string): Route {
  return {
    path: root,
    methods: ['GET', 'PUT', 'DELETE'],
    secret: true,
    async answer(ask) {
      const key = decodePath(ask.url.pathname.slice(root.length)).join('/');
      switch (ask.request.method) {
        case 'PUT':
          return put(store, key, ask);
        case 'DELETE':
          await store.delete(key);
          ask.response.writeHead(204).end();
          return;
        default:
          return key === '' ? list(store, ask) : get(store, key, ask);
      }
    },
  };
}

async function list(store: Store, { url, response }: Ask): Promise<void> {
  const keys: string[] = [];
  for await (const each of store.list(url.searchParams.get('prefix') ?? '')) keys.push(each);
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(keys));
}

async function get(store: Store, key: string, { response }: Ask): Promise<void> {
  const value = await store.get(key);
  if (value === undefined) response.writeHead(204).end();
  else response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(value);
}

async function put(store: Store, key: string, { request, response }: Ask): Promise<void> {
  const value = await readBody(request);
  if (value === undefined) return refuse(response, 413, `A saved value may have at most ${LARGEST_VALUE} bytes.`);
  const created = request.headers['if-none-match'] === '*' ? await store.create(key, value) : undefined;
  if (created === undefined) await store.set(key, value);
  response.writeHead(created === false ? 412 : 204).end();
}

/** The whole body, exactly as long as announced (a page that dies in mid-request must not save half); undefined if too long. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_VALUE) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request) {
      length += chunk.length;
      if (length > LARGEST_VALUE) return undefined;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new SamError('invalid_argument', 'The value broke off before its end; nothing was saved.', { cause });
  }
  return new Uint8Array(Buffer.concat(chunks));
}
