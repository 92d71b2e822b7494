import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { folderStore } from '../../io/stores/fs.js';
import { encoderWithEarlyFeatures } from '../../model/early-features.js';
import { ImageEncoder } from '../../model/image-encoder.js';
import type { ModelSpec } from '../../model/model-spec.js';
import { createNodeRuntime, fetchBytesInNode } from '../../model/node-runtime.js';
import { DEFAULT_MODEL } from '../../model/registry.js';
import type { OrtRuntime } from '../../model/runtime.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import type { TaskOptions } from '../../task.js';
import { EARLY } from '../../training/instances/feature-cache.js';
import { lightDecoderModel, weightsOfLightDecoder } from '../../training/instances/light-decoder.js';
import {
  type InstanceTrainingSettings,
  PRESETS,
  type Preset,
  presetSettings,
  trainInstances,
} from '../../training/instances/train-instances.js';
import { instanceScore } from '../../training/instances/validation.js';
import type { Weights } from '../../training/parameters.js';
import { Random } from '../../training/random.js';
import { interruptible } from '../batch/batch.js';
import { listInputs } from '../batch/inputs.js';
import { pairInputs } from '../batch/pairs.js';
import { ProgressLine } from '../batch/progress-line.js';
import { type Command, UsageError } from '../command.js';
import { numberFlag } from '../engine.js';
import { dataReport, type LabelledPlane, labelledPlanes } from './labelled-files.js';
import { findModel, type ImageSummary, MODEL_CARD, type ModelCard, trainedModelsFolder } from './trained-models.js';

const usage = `micro-sam train --images PATH --labels PATH --trained_model_name NAME [options]

      --images PATH            annotated images: folder, file or pattern; each plane of a stack counts for itself
      --labels PATH            their labels: 0 is background, each object has a number of its own; paired by name
      --val_images PATH        --val_labels PATH       what to score on; default: a tenth of the images
      --image_key KEY          --label_key KEY         dataset inside HDF5, zarr or npz files
      --partial                only some of the objects are labelled: what has no label counts as unknown
      --min_size N             objects of fewer pixels are left out (default: 25)
  -m, --model_type NAME        model to go on from (default: ${DEFAULT_MODEL})
      --from_scratch           start the instance decoder from random weights, even if the model has one
      --preset NAME            quick, better or best: ${presetText()} (default: better)
      --n_iterations N         steps, instead of the preset's
      --n_canvases N           pictures to make of the images, instead of the preset's
      --trained_model_name N   what the result is called; -m N runs it
  -s, --save_root DIR          where results and the state of the run are kept
                               (default: ${trainedModelsFolder()})
      --seed N                 of what is random (default: 1)
      --threads N              (default: all cores)
      --dry_run                say what would be trained on, and stop

Trains the instance decoder, which finds all objects of an image at once; the encoder and prompts stay as they are.
A run that was stopped goes on when the command is given again.`;

function presetText(): string {
  return Object.values(PRESETS)
    .map(({ steps }) => steps)
    .join(', ')
    .concat(' steps');
}

const OPTIONS = {
  images: { type: 'string' },
  labels: { type: 'string' },
  val_images: { type: 'string' },
  val_labels: { type: 'string' },
  image_key: { type: 'string' },
  label_key: { type: 'string' },
  partial: { type: 'boolean', default: false },
  min_size: { type: 'string', default: '25' },
  model_type: { type: 'string', short: 'm', default: DEFAULT_MODEL },
  from_scratch: { type: 'boolean', default: false },
  preset: { type: 'string', default: 'better' },
  n_iterations: { type: 'string' },
  n_canvases: { type: 'string' },
  trained_model_name: { type: 'string' },
  save_root: { type: 'string', short: 's' },
  seed: { type: 'string', default: '1' },
  threads: { type: 'string' },
  dry_run: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS }).values;
}

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args);
  const name = nameOf(values);
  const seed = wholeNumber('seed', values.seed);
  const signal = interruptible();
  const progress = new ProgressLine(process.stderr);
  progress.start();
  const task = { signal, onProgress: progress.update.bind(progress) };
  const { training, validation } = await dataOf(values, seed, task);
  progress.clear();
  console.log(dataReport(training, validation));
  if (values.dry_run) return 0;
  const folder = path.join(values.save_root ?? trainedModelsFolder(), name);
  mkdirSync(folder, { recursive: true });
  const runtime = await createNodeRuntime({ threads: numberFlag('threads', values.threads) });
  const model = findModel(values.model_type);
  const start = values.from_scratch ? undefined : await decoderOf(model);
  const settings = settingsOf(values, seed, start !== undefined);
  const encoder = await encoderOf(runtime, model);
  progress.start();
  const log = path.join(folder, 'log.csv');
  const trained = await trainInstances(
    {
      runtime,
      encoder,
      images: training,
      store: folderStore(path.join(folder, 'run')),
      start,
      settings,
      ...(validation.length > 0 && { score: instanceScore(runtime, encoder, validation) }),
      onStep: ({ step, loss, accuracy }) => appendFileSync(log, `${step},${loss.toFixed(5)},${accuracy ?? ''}\n`),
    },
    task,
  ).finally(() => encoder.release());
  progress.clear();
  writeFileSync(path.join(folder, 'instances.onnx'), writeModel(lightDecoderModel(trained.weights)));
  const card: ModelCard = {
    name,
    base: model.name,
    instances: 'instances.onnx',
    ...(trained.accuracy !== undefined && { accuracy: trained.accuracy }),
    step: trained.step,
    steps: settings.steps,
    seed: settings.seed,
    started: start ? model.name : 'random weights',
    date: new Date().toISOString().slice(0, 10),
    trainedOn: training.map(summaryOf),
    scoredOn: validation.map(summaryOf),
  };
  writeFileSync(path.join(folder, MODEL_CARD), `${JSON.stringify(card, null, 2)}\n`);
  console.log(`Wrote ${folder}. Use it: micro-sam automatic_segmentation -m ${values.save_root ? folder : name} …`);
  return 0;
}

function nameOf({ trained_model_name }: Values): string {
  if (trained_model_name && /^[\w.-]{1,64}$/.test(trained_model_name)) return trained_model_name;
  throw new UsageError("Give the result a name of letters, digits, '.', '_' and '-' with --trained_model_name.");
}

function settingsOf(values: Values, seed: number, fromStart: boolean): InstanceTrainingSettings {
  const { preset, n_iterations, n_canvases } = values;
  if (!Object.hasOwn(PRESETS, preset))
    throw new UsageError(`--preset is ${Object.keys(PRESETS).join(', ')}, not "${preset}".`);
  return {
    ...presetSettings(preset as Preset, fromStart, seed),
    ...(n_iterations !== undefined && { steps: wholeNumber('n_iterations', n_iterations, 1) }),
    ...(n_canvases !== undefined && { canvases: wholeNumber('n_canvases', n_canvases, 1) }),
  };
}

function wholeNumber(name: string, text: string, least = 0): number {
  const value = numberFlag(name, text);
  if (value !== undefined && Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} takes a whole number of at least ${least}, not "${text}".`);
}

interface Data {
  readonly training: readonly LabelledPlane[];
  readonly validation: readonly LabelledPlane[];
}

async function dataOf(values: Values, seed: number, task: TaskOptions): Promise<Data> {
  const { images, labels, val_images, val_labels } = values;
  if (!images || !labels) throw new UsageError('Give the images with --images and their labels with --labels.');
  if (!val_images !== !val_labels) throw new UsageError('--val_images and --val_labels belong together.');
  const all = await planesIn(images, labels, values, task);
  if (all.length === 0)
    throw new UsageError('None of the label images has an object that is large enough (--min_size).');
  if (!val_images || !val_labels) return split(all, seed);
  return { training: all, validation: await planesIn(val_images, val_labels, values, task) };
}

async function planesIn(images: string, labels: string, values: Values, task: TaskOptions): Promise<LabelledPlane[]> {
  const log = (line: string) => console.error(line);
  const [imageFiles, labelFiles] = [
    await listInputs([images], { log }),
    await listInputs([labels], { role: 'labels', log }),
  ];
  // What is not annotated yet is no fault: the report says how much is used.
  const sides = { ones: 'images', others: 'label files', ignoreUnpaired: true, log };
  const files = pairInputs(imageFiles, labelFiles, sides).map(([image, own]) => ({
    image: image.file,
    labels: own.file,
  }));
  const { image_key: imageKey, label_key: labelKey, partial } = values;
  return labelledPlanes(
    files,
    { imageKey, labelKey, partial, minSize: wholeNumber('min_size', values.min_size) },
    task,
  );
}

/** A tenth of the files, at least one, to score on; of fewer than four nothing can be spared. */
function split(planes: readonly LabelledPlane[], seed: number): Data {
  const files = [...new Set(planes.map(({ file }) => file))];
  const held = files.length < 4 ? 0 : Math.max(1, Math.round(files.length / 10));
  const kept = new Set(new Random(seed).shuffled(files).slice(0, held));
  return {
    training: planes.filter(({ file }) => !kept.has(file)),
    validation: planes.filter(({ file }) => kept.has(file)),
  };
}

/** The weights of the model's own instance decoder, if it is of the kind that is trained here. */
async function decoderOf({ instances }: ModelSpec): Promise<Weights | undefined> {
  return instances && weightsOfLightDecoder(readModel(await fetchBytesInNode(instances.url)));
}

async function encoderOf(
  runtime: OrtRuntime,
  { encoder, encoderInput, earlyFeatures }: ModelSpec,
): Promise<ImageEncoder> {
  const file = encoderWithEarlyFeatures(await fetchBytesInNode(encoder.url), EARLY, earlyFeatures);
  return ImageEncoder.create(runtime, file.bytes, encoderInput, file.outputs);
}

function summaryOf({ name, size, objects }: LabelledPlane): ImageSummary {
  return { image: path.basename(name), size, objects };
}

export const train: Command = { summary: 'Train a model on annotated images', usage, run };
