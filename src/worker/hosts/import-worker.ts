import { publishedCheckpoint } from '../../checkpoints/published.js';
import { asSamError } from '../../errors.js';
import { blobBytes } from '../../io/bytes.js';
import { httpBytes } from '../../io/http-bytes.js';
import { browserStore } from '../../io/stores/browser-store.js';
import { keepModel } from '../../model/keep-model.js';
import { KEPT_MODELS, type KeptModel } from '../../model/kept-models.js';
import type { ImportJob, ImportNews } from '../import-job.js';

/**
 * Entry point of the bundle that makes one model of a checkpoint, apart from the worker that computes, which goes on
 * meanwhile. It takes one `ImportJob` and answers with `ImportNews`; on `'cancel'` it removes what it has written, and says so
 * by the error `cancelled`.
 */
const cancelled = new AbortController();
const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
const tell = (news: ImportNews) => scope.postMessage(news);

async function run({ from, ...options }: ImportJob): Promise<KeptModel> {
  const published = typeof from[0] === 'string' ? publishedCheckpoint(from[0]) : undefined;
  const places = published ? [published.url, ...(published.decoder ? [published.decoder] : [])] : from;
  const [checkpoint, ...others] = await Promise.all(
    places.map((place) =>
      typeof place === 'string' ? httpBytes(place, { signal: cancelled.signal }) : blobBytes(place, nameOf(place)),
    ),
  );
  return keepModel(await browserStore(KEPT_MODELS), checkpoint, {
    ...(published && { name: published.name, description: published.description, licence: published.licence }),
    ...options,
    others,
    ...(typeof places[0] === 'string' && { source: places[0] }),
    signal: cancelled.signal,
    onProgress: (progress) => tell({ progress }),
  });
}

function nameOf(blob: Blob): string {
  return blob instanceof File ? blob.name : 'model';
}

scope.addEventListener('message', ({ data }: MessageEvent<ImportJob | 'cancel'>) => {
  if (data === 'cancel') return cancelled.abort();
  run(data).then(
    (kept) => tell({ kept }),
    (error) => {
      const { code, message } = asSamError(error);
      tell({ error: { code, message } });
    },
  );
});
