import { SamError } from '../errors.js';
import { memoryStore } from '../io/stores/memory.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { TaskOptions } from '../task.js';
import { type Sample, trainingImages } from './annotated.js';
import { type ModelCard, trainedFiles } from './model-card.js';
import { ENCODER_PARTS, type TrainingSettings } from './settings.js';
import { type PartsTraining, type TrainingPlace, trainableParts, trainParts } from './train-parts.js';
import {
  settingsOf,
  type TrainingJob,
  type TrainingNews,
  type TrainingResult,
  type TrainingRun,
} from './training-job.js';
import { amountOf, perPhase, TrainingClock, type TrainingSpeed } from './training-time.js';

/** A job done where the trainer is. */
export interface HostPlace extends TrainingPlace {
  /** The model of the job as this place knows it, if not as the job does. */
  readonly model?: ModelSpec;
  /** Keeps what was trained, as a model that can be found again. */
  readonly keep: (job: TrainingJob, card: ModelCard, files: ReadonlyMap<string, Uint8Array>) => Promise<ModelSpec>;
}

export async function measureJob(
  job: TrainingJob,
  place: TrainingPlace,
  task: TaskOptions = {},
): Promise<TrainingSpeed> {
  return measureTraining(await partsTraining(job, place, task), place, task);
}

export async function runJob(job: TrainingJob, place: HostPlace, run: TrainingRun = {}): Promise<TrainingResult> {
  const { onNews, controls, ...task } = run;
  const training = await partsTraining(job, place, task);
  const { training: learned, heldBack } = job.data;
  const images = { training: learned.length, heldBack: heldBack.length };
  const clock = new TrainingClock(amountOf(training.settings(true), training.parts, images), job.speed);
  let news: TrainingNews = { phase: 'pictures', done: 0, total: 0 };
  const trained = await trainParts(
    training,
    place,
    {
      onAdvance(phase, done, total) {
        const secondsLeft = clock.advance(phase, done);
        news = { phase, done, total, ...(secondsLeft !== undefined && { secondsLeft }) };
        onNews?.(news);
      },
      onStep: (row) => onNews?.({ ...news, row }),
      hand: {
        ...(controls && { enough: controls.enough }),
        async rest() {
          await controls?.rest();
          clock.begin();
        },
      },
    },
    task,
  );
  if (!trained.instances && !trained.decoder)
    throw new SamError('cancelled', 'Stopped before anything was learned; the model is as it was.');
  const { card, files } = trainedFiles(trained, {
    name: job.name,
    base: job.model.name,
    seed: training.settings(true).seed,
    date: new Date().toISOString().slice(0, 10),
    trainedOn: learned.map(summaryOf),
    scoredOn: heldBack.map(summaryOf),
  });
  return { card, model: await place.keep(job, card, files), pictures: trained.pictures };
}

async function partsTraining(job: TrainingJob, place: TrainingPlace, task: TaskOptions): Promise<PartsTraining> {
  const { model, data } = job;
  const possible = await trainableParts(model, place.load, task);
  const parts = new Set(job.parts.filter((part) => possible.has(part)));
  // The encoder changes the embedding, on which both decoders build.
  if (!parts.has('instances') || !parts.has('mask_decoder')) for (const part of ENCODER_PARTS) parts.delete(part);
  if (parts.size === 0)
    throw new SamError(
      'unsupported',
      `Nothing of the model ${model.name} can be trained here: its decoder was not exported by segment-anything, and its encoder is not a TinyViT. Choose one of the built-in models.`,
    );
  return {
    model,
    parts,
    fromScratch: job.fromScratch,
    settings: (goesOn) => settingsOf(job, goesOn),
    training: trainingImages(data.training),
    heldBack: trainingImages(data.heldBack),
  };
}

/**
 * How long the steps of a training take here. One picture and two steps of each part are made, of which the second counts,
 * since the first prepares the graph; scoring an image takes about what encoding it does.
 */
async function measureTraining(
  training: PartsTraining,
  place: TrainingPlace,
  task: TaskOptions = {},
): Promise<TrainingSpeed> {
  const speed = perPhase(() => 0);
  let last = 0;
  const two = (settings: TrainingSettings): TrainingSettings => ({
    ...settings,
    canvases: 1,
    instances: { ...settings.instances, steps: 2 },
    decoder: { ...settings.decoder, steps: 2 },
    late: { ...settings.late, steps: 2 },
    full: { ...settings.full, steps: 2 },
    lora: { ...settings.lora, steps: 2 },
  });
  await trainParts(
    { ...training, settings: (goesOn) => two(training.settings(goesOn)), heldBack: [] },
    { ...place, store: memoryStore() },
    {
      onAdvance(phase) {
        speed[phase] = (performance.now() - last) / 1000;
      },
      hand: {
        rest() {
          last = performance.now();
          return undefined;
        },
      },
    },
    task,
  );
  return { ...speed, score: speed.pictures };
}

function summaryOf({ name, labels }: Sample) {
  const [height, width] = labels.shape;
  return { image: name, size: [height, width] as const, objects: new Set(labels.data).size - 1 };
}
