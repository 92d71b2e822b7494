import { SamError } from '../../errors.js';
import { unshared } from '../../ndimage/array.js';
import type { Store } from '../store.js';
import { checkKey } from './key.js';

/**
 * A folder of the machine that serves the page, through the endpoint of cli/serve/store-endpoint.ts. Unlike httpStore
 * it can be written and listed. A value is sent whole or not at all: the server writes it only once it has arrived.
 */
export function serverStore({ url, token }: { readonly url: string; readonly token: string }): Store {
  const base = url.endsWith('/') ? url : `${url}/`;
  const addressOf = (key: string) => base + checkKey(key).split('/').map(encodeURIComponent).join('/');

  async function request(verb: string, key: string, address: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${token}` };
    const response = await fetch(address, { ...init, headers }).catch((cause) => {
      if (init.signal?.aborted) throw cause;
      throw new SamError(
        'storage',
        `Could not ${verb} "${key}": the server does not answer. If it was stopped, start it again with "npm start"; this page keeps your work meanwhile.`,
        { cause, details: { key } },
      );
    });
    if (response.ok || response.status === 412) return response;
    throw new SamError('storage', (await response.text()) || `Could not ${verb} "${key}": ${response.statusText}.`, {
      details: { key, status: response.status },
    });
  }

  return {
    name: base,
    async get(key, { signal } = {}) {
      const response = await request('read', key, addressOf(key), { signal });
      return response.status === 204 ? undefined : new Uint8Array(await response.arrayBuffer());
    },
    async set(key, value) {
      await request('write', key, addressOf(key), { method: 'PUT', body: bodyOf(value) });
    },
    async create(key, value) {
      const response = await request('write', key, addressOf(key), {
        method: 'PUT',
        headers: { 'if-none-match': '*' },
        body: bodyOf(value),
      });
      return response.status !== 412;
    },
    async delete(key) {
      await request('delete', key, addressOf(key), { method: 'DELETE' });
    },
    async *list(prefix = '') {
      const response = await request('list', prefix, `${base}?prefix=${encodeURIComponent(prefix)}`);
      yield* (await response.json()) as string[];
    },
  };
}

/**
 * As a blob, which the browser sends aside. Megabytes as they are it would copy while `fetch` is called, and where its tools watch
 * the network that takes the thread for a second.
 */
function bodyOf(value: Uint8Array): Blob {
  return new Blob([unshared(value)]);
}
