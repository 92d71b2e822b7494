import { connectWorker } from '../worker/connect.js';
import { failoverWorker } from '../worker/failover.js';
import { whenConnected } from '../worker/forward.js';
import type { SamWorker } from '../worker/sam-worker.js';

/**
 * Where the model runs for this page: in the process that the server started, if it did and as long as it lives, else in
 * a web worker of the page.
 *
 * @param processUrl WebSocket address of the process
 * @param openInPage makes the page's own worker
 * @param onNotice told in a sentence for people what computes from now on, and why
 */
export function startWorker(
  processUrl: string | undefined,
  openInPage: () => Promise<SamWorker>,
  onNotice: (text: string) => void,
): SamWorker {
  if (processUrl === undefined) return whenConnected(openInPage());
  return failoverWorker(whenConnected(connectWorker(processUrl)), openInPage, { onNotice });
}
