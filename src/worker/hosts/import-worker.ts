import { type Download, download } from '../../checkpoints/download.js';
import { publishedCheckpoint } from '../../checkpoints/published.js';
import { asSamError } from '../../errors.js';
import { type ByteSource, blobBytes } from '../../io/bytes.js';
import { browserStore } from '../../io/stores/browser-store.js';
import { keepModel } from '../../model/keep-model.js';
import { KEPT_MODELS, type KeptModel } from '../../model/kept-models.js';
import type { Progress } from '../../task.js';
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
  const { signal } = cancelled;
  const onProgress = (progress: Progress) => tell({ progress });
  const store = await browserStore(KEPT_MODELS);
  const fetched: Download[] = [];
  const opened = async (place: Blob | string, xxh128?: string): Promise<ByteSource> => {
    if (typeof place !== 'string') return blobBytes(place, nameOf(place));
    const file = await download(store, place, { xxh128, signal, onProgress });
    fetched.push(file);
    return file;
  };
  const published = typeof from[0] === 'string' ? publishedCheckpoint(from[0]) : undefined;
  const sources: ByteSource[] = [];
  try {
    if (published) {
      sources.push(await opened(published.url, published.xxh128));
      if (published.decoder) sources.push(await opened(published.decoder.url, published.decoder.xxh128));
    } else for (const place of from) sources.push(await opened(place));
    const [checkpoint, ...others] = sources;
    const address = published?.url ?? from[0];
    return await keepModel(store, checkpoint, {
      ...(published && { name: published.name, description: published.description, licence: published.licence }),
      ...options,
      others,
      ...(typeof address === 'string' && { source: address }),
      signal,
      onProgress,
    });
  } finally {
    // After Cancel it may be asked for again.
    if (!signal.aborted) for (const each of fetched) await each.discard();
  }
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
