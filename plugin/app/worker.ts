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

/**
 * The page's own worker. One that stops (a browser ends it when its GPU process does) is replaced by one without WebGPU.
 *
 * @param onNotice told in a sentence for people what computes from now on, and why
 */
export async function openInPage(settings: WorkerSettings, onNotice: (text: string) => void): Promise<SamWorker> {
  const open = (webgpu?: 'off') =>
    connectWorker(new Worker(workerAddress(settings, webgpu), { type: 'module', name: 'micro-sam' }), {
      onChange: ({ note, provider }) => onNotice(note ?? `The model runs on ${provider} now.`),
    });
  return failoverWorker(await open(), () => open('off'), { onNotice });
}

export function startWorker(settings: WorkerSettings, onNotice: (text: string) => void): SamWorker {
  const inPage = () => openInPage(settings, onNotice);
  if (settings.worker === undefined) return whenConnected(inPage());
  return failoverWorker(whenConnected(connectWorker(settings.worker)), inPage, { onNotice });
}

function workerAddress({ assets }: WorkerSettings, webgpu?: 'off'): URL {
  const address = new URL('worker.js', document.baseURI);
  if (webgpu) address.searchParams.set('webgpu', webgpu);
  for (const [name, folder] of Object.entries(assets ?? {})) address.searchParams.set(name, folder);
  return address;
}
