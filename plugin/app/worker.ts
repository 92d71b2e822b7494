import { connectWorker } from '../../src/worker/connect.js';
import { failoverWorker } from '../../src/worker/failover.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/**
 * The page's own worker. One that stops (a browser ends it when its GPU process does) is replaced by one without WebGPU.
 *
 * @param onNotice told in a sentence for people what computes from now on, and why
 */
export async function openInPage(onNotice: (text: string) => void): Promise<SamWorker> {
  const open = (webgpu?: 'off') =>
    connectWorker(new Worker(workerAddress(webgpu), { type: 'module', name: 'micro-sam' }), {
      onChange: ({ note, provider }) => onNotice(note ?? `The model runs on ${provider} now.`),
    });
  return failoverWorker(await open(), () => open('off'), { onNotice });
}

function workerAddress(webgpu?: 'off'): URL {
  const address = new URL('worker.js', document.baseURI);
  if (webgpu) address.searchParams.set('webgpu', webgpu);
  return address;
}
