import { type CheckpointPlace, withCheckpointFiles } from '../../checkpoints/checkpoint-files.js';
import { publishedCheckpoint } from '../../checkpoints/published.js';
import { asSamError } from '../../errors.js';
import { blobBytes } from '../../io/bytes.js';
import { browserStore } from '../../io/stores/browser-store.js';
import { keepModel } from '../../model/keep-model.js';
import { KEPT_MODELS, type KeptModel } from '../../model/kept-models.js';
import type { Progress } from '../../task.js';
import type { ImportJob, ImportNews } from '../import-job.js';
import { workerScope } from './dedicated-worker.js';

/**
 * Entry point of the bundle that makes one model of a checkpoint, apart from the worker that computes, which goes on
 * meanwhile. It takes one `ImportJob` and answers with `ImportNews`; on `'cancel'` it removes what it has written, and says so
 * by the error `cancelled`.
 */
const cancelled = new AbortController();
const tell = (news: ImportNews) => workerScope.postMessage(news);

async function run({ from, ...options }: ImportJob): Promise<KeptModel> {
  const { signal } = cancelled;
  const onProgress = (progress: Progress) => tell({ progress });
  const store = await browserStore(KEPT_MODELS);
  const published = typeof from[0] === 'string' ? publishedCheckpoint(from[0]) : undefined;
  const places = published ? [published, ...(published.decoder ? [published.decoder] : [])] : from.map(placeOf);
  const address = published?.url ?? from[0];
  return withCheckpointFiles(places, store, { signal, onProgress }, ([checkpoint, ...others]) =>
    keepModel(store, checkpoint, {
      ...(published && { name: published.name, description: published.description, licence: published.licence }),
      ...options,
      others,
      ...(typeof address === 'string' && { source: address }),
      signal,
      onProgress,
    }),
  );
}

function placeOf(place: Blob | string): CheckpointPlace {
  return typeof place === 'string' ? { url: place } : { open: () => blobBytes(place, nameOf(place)) };
}

function nameOf(blob: Blob): string {
  return blob instanceof File ? blob.name : 'model';
}

workerScope.addEventListener('message', ({ data }: MessageEvent<ImportJob | 'cancel'>) => {
  if (data === 'cancel') return cancelled.abort();
  run(data).then(
    (kept) => tell({ kept }),
    (error) => {
      const { code, message } = asSamError(error);
      tell({ error: { code, message } });
    },
  );
});
