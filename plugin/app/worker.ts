import { connectWorker } from '../../src/worker/connect.js';
import { failoverWorker } from '../../src/worker/failover.js';
import { whenConnected } from '../../src/worker/forward.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/**
 * Where the model runs for this page: in the process that the server started, if it did and as long as it lives, else in
 * a web worker of the page.
 */
export interface WorkerSettings {
  /** WebSocket address of the process. */
  readonly worker?: string;
  /** Folder of ONNX Runtime's files and of the built-in model; beside the page's if absent. */
  readonly assets?: { readonly ort?: string; readonly models?: string };
}

/** The page's own worker. */
export function openInPage(settings: WorkerSettings): Promise<SamWorker> {
  return connectWorker(new Worker(workerAddress(settings), { type: 'module', name: 'micro-sam' }));
}

export function startWorker(settings: WorkerSettings, onNotice: (text: string) => void): SamWorker {
  const inPage = () => openInPage(settings);
  if (settings.worker === undefined) return whenConnected(inPage());
  return failoverWorker(whenConnected(connectWorker(settings.worker)), inPage, { onNotice });
}

function workerAddress({ assets }: WorkerSettings): URL {
  const address = new URL('worker.js', document.baseURI);
  for (const [name, folder] of Object.entries(assets ?? {})) address.searchParams.set(name, folder);
  return address;
}
