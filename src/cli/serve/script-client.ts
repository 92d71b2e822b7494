import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { nodeService } from '../../app/node-service.js';
import { SamError } from '../../errors.js';
import { forgetModel } from '../../model/registry.js';
import type { ImportRequest } from '../../service/engine.js';
import type { MicroSamService } from '../../service/service.js';
import type { TaskOptions } from '../../task.js';
import type { TrainingHost } from '../../training/training-job.js';
import type { SamWorker } from '../../worker/sam-worker.js';
import { importModel, removeImported } from '../imported-models.js';
import { findModel } from '../train/trained-models.js';

/** The annotator of one script (app/node-service.ts), which can also import checkpoints and train models of this machine. */
export function scriptClient(shared: SamWorker, training: TrainingHost): MicroSamService {
  return nodeService(shared, {
    engine: { importModel: importForScript, deleteModel: deleteForScript },
    training: () => training,
  });
}

/** Of a path, an address, a published name or bytes; kept among the imported models of this machine. */
async function importForScript({ from, name, half }: ImportRequest, task: TaskOptions): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-import-'));
  try {
    const places: string[] = [];
    for (const [i, each] of from.entries()) {
      const file = path.join(folder, String(i));
      if (typeof each !== 'string') await writeFile(file, each.stream());
      places.push(typeof each === 'string' ? each : file);
    }
    const [checkpoint, decoderFile] = places;
    if (checkpoint === undefined) throw new SamError('invalid_argument', 'No checkpoint was given; give one at least.');
    const { card } = await importModel(checkpoint, { ...task, name, half, decoderFile });
    return findModel(card.name).name;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function deleteForScript(name: string): Promise<void> {
  if (!(await removeImported(name))) throw new SamError('not_found', `There is no imported model ${name}.`);
  forgetModel(name);
}
