import { browserStore } from '../../io/stores/browser-store.js';
import { memoryStore } from '../../io/stores/memory.js';
import { opfsStore } from '../../io/stores/opfs.js';
import { deleteAll } from '../../io/stores/prefix.js';
import { keepFiles } from '../../model/keep-files.js';
import { declarationOfKept, KEPT_MODELS } from '../../model/kept-models.js';
import { loadModelFile } from '../../model/model-file.js';
import { registerModel } from '../../model/registry.js';
import { createWebRuntimes } from '../../model/web-runtime.js';
import { portChannel } from '../../worker/channel.js';
import { workerScope } from '../../worker/hosts/dedicated-worker.js';
import { fetchInWorker, workerFolder } from '../../worker/hosts/worker-files.js';
import { pointsHadBetterMeanInstances } from '../prompts/points-by-instances.js';
import type { HostPlace } from '../run-job.js';
import { serveTraining } from '../serve-training.js';
import type { TrainingJob } from '../training-job.js';

/**
 * Entry point of the bundle that trains in a browser, apart from the worker that computes, which goes on meanwhile. Features are
 * kept in the browser's files for as long as the training runs, the result among the models that the browser keeps.
 */
const FEATURES = 'micro-sam-training';

async function placeOf({ model: base }: TrainingJob): Promise<HostPlace> {
  const [runtime] = await createWebRuntimes({ ortBase: workerFolder('ort'), webgpu: 'off' });
  const models = await opfsStore('micro-sam-models').catch(() => undefined);
  return {
    runtime,
    load: (file, task) => loadModelFile(file, { ...task, fetchBytes: fetchInWorker, store: models }),
    store: await featureStore(),
    async keep({ name }, card, files) {
      const store = await browserStore(KEPT_MODELS);
      const kept = await keepFiles(store, {}, async (write) => {
        for (const [file, bytes] of files) await write({ name: file, size: bytes.length, pieces: [bytes] }, {});
        return {
          name,
          description: `${base.name}, trained further on ${card.trainedOn.length} images`,
          ...(base.licence && { licence: base.licence }),
          ...(card.instances && { instances: card.instances.file }),
          ...(card.decoder && { decoder: card.decoder.file }),
          ...(card.objectSizes && { objectSizes: card.objectSizes }),
          ...(card.points && { pointsByInstances: pointsHadBetterMeanInstances(card.points) }),
          base,
          sizes: Object.fromEntries([...files].map(([file, { length }]) => [file, length])),
        };
      });
      await deleteAll(await featureStore()).catch(() => undefined);
      return registerModel(declarationOfKept(kept));
    },
  };
}

/** What a training that was cut off has left there is overwritten by the next; one runs at a time. */
async function featureStore() {
  try {
    const store = await opfsStore(FEATURES);
    await deleteAll(store);
    return store;
  } catch {
    return memoryStore(); // a browser that keeps nothing
  }
}

serveTraining(portChannel(workerScope), placeOf);
