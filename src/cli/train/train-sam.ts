import { inputOf, type NodeServiceOptions, openNodeService } from '../../app/node-service.js';
import { nameOfFile } from '../../io/node-open.js';
import { openImage } from '../../io/open.js';
import { adoptModel } from '../../model/registry.js';
import type { MicroSamService } from '../../service/service.js';
import { type TrainingRecord, trainingFunctions } from '../../service/training.js';
import { ownModels } from './trained-models.js';
import { trainingHere } from './training-process.js';

/** The library's face of training in Node: models are kept where `micro-sam train` keeps them, and found by their names. */

/**
 * The annotator of one script in Node, which also trains; see `openNodeService`.
 *
 * @param options.worker what computes, the caller's to close; default: one in this process, which ends with the service
 */
export function openService({ worker }: Pick<NodeServiceOptions, 'worker'> = {}): Promise<MicroSamService> {
  return openNodeService({ worker, training: trainingHere });
}

/**
 * Trains a model on annotated images, as `train_sam` of the service does: named after `micro_sam.training.train_sam`. The arguments
 * are those of docs/scripting.md; images and labels are arrays, paths or addresses.
 *
 * @returns what was learned, on how much, and the scores before and after; the model is known by its name
 * @example
 * const { name, scores } = await trainSam({ images: ['a.tif', 'b.tif'], labels: ['a_labels.tif', 'b_labels.tif'] });
 */
export async function trainSam(options: Readonly<Record<string, unknown>>): Promise<TrainingRecord> {
  ownModels(() => undefined);
  const { functions } = trainingFunctions(
    { host: trainingHere, adopt: ({ model }) => adoptModel(model) },
    async (input, given) =>
      openImage(await inputOf(input), typeof input === 'string' ? { ...given, name: nameOfFile(input) } : given),
  );
  return functions.train_sam(options) as Promise<TrainingRecord>;
}
