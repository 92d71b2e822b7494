import { ERROR_CODES, SamError } from '../../src/errors.js';
import type { KeptModel } from '../../src/model/kept-models.js';
import type { TaskOptions } from '../../src/task.js';
import type { ImportJob, ImportNews } from '../../src/worker/import-job.js';

/** A worker that is told to stop has this long to remove what it has written, in milliseconds. */
const CLEAN_UP_MS = 10_000;

/** Makes a model of a checkpoint in a web worker of its own. */
export function importInWorker(job: ImportJob, { signal, onProgress }: TaskOptions): Promise<KeptModel> {
  const worker = new Worker(new URL('import-worker.js', document.baseURI), { type: 'module', name: 'import' });
  return new Promise<KeptModel>((resolve, reject) => {
    const end = () => worker.terminate();
    const fail = (error: SamError) => {
      end();
      reject(error);
    };
    const cancel = () => {
      worker.postMessage('cancel');
      setTimeout(end, CLEAN_UP_MS);
      reject(new SamError('cancelled', 'Cancelled.'));
    };
    worker.addEventListener('error', ({ message }) => fail(lost(message)));
    worker.addEventListener('message', ({ data }: MessageEvent<ImportNews>) => {
      if ('progress' in data) return onProgress?.(data.progress);
      signal?.removeEventListener('abort', cancel);
      if ('error' in data) return fail(failure(data.error));
      end();
      void navigator.storage?.persist?.().catch(() => false); // the browser may say no, and clear it when space is short
      resolve(data.kept);
    });
    worker.postMessage(job);
    if (signal?.aborted) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
  });
}

function failure({ code, message }: { readonly code: string; readonly message: string }): SamError {
  return new SamError(ERROR_CODES.find((known) => known === code) ?? 'internal', message);
}

function lost(message: string | undefined): SamError {
  const why = message ? `: ${message}` : '; it may have run out of memory';
  return new SamError('worker_lost', `The browser ended the conversion${why}.`);
}
