import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../errors.js';
import { keysOf } from '../../items.js';
import { createNodeRuntime } from '../../model/node-runtime.js';
import { BUILT_IN_MODELS, DEFAULT_MODEL, MODEL_NAME, MODEL_NAME_RULE } from '../../model/registry.js';
import type { TaskOptions } from '../../task.js';
import { LEAST_WHOLE } from '../../training/annotated.js';
import type { Learned } from '../../training/learn.js';
import { type ImageSummary, trainedFiles } from '../../training/model-card.js';
import { pointsHadBetterMeanInstances } from '../../training/prompts/points-by-instances.js';
import { Random } from '../../training/random.js';
import {
  type EncoderPart,
  encoderPart,
  PRESETS,
  presetSettings,
  TRAINED_PARTS,
  type TrainedPart,
  type TrainingSettings,
} from '../../training/settings.js';
import { type PartsTraining, type TrainedParts, trainParts } from '../../training/train-parts.js';
import { interruptible } from '../batch/batch.js';
import { listInputs } from '../batch/inputs.js';
import { pairInputs } from '../batch/pairs.js';
import { ProgressLine } from '../batch/progress-line.js';
import { type Command, oneOf, UsageError } from '../command.js';
import { importedModels } from '../imported-models.js';
import { numberFlag } from '../model-in-use.js';
import { trainedModelsFolder } from '../serve/user-data.js';
import { dataReport, type LabelledPlane, labelledPlanes, withStrips } from './labelled-files.js';
import { openRun, type RunState } from './run-state.js';
import {
  baseOf,
  checkReplaceable,
  findModel,
  isMadeFrom,
  loadFile,
  MODEL_CARD,
  withInherited,
  writeTrained,
} from './trained-models.js';
import { FOR_PARENT, trainForParent } from './training-process.js';

const DEFAULT_PARTS = 'instances,mask_decoder';

const usage = `micro-sam train --images PATH --labels PATH --trained_model_name NAME [options]

      --images PATH            annotated images: folder, file or pattern; each plane of a stack counts for itself
      --labels PATH            their labels: 0 is background, each object has a number of its own; paired by name
      --val_images PATH        --val_labels PATH       what to score on; default: a tenth of the images, of fewer than 16
                               a strip of each
      --image_key KEY          --label_key KEY         dataset inside HDF5, zarr or npz files
      --partial                only some of the objects are labelled: what has no label counts as unknown
      --min_size N             objects of fewer pixels are left out (default: 25)
  -m, --model_type NAME        model to go on from (default: ${DEFAULT_MODEL})
      --parts NAMES            what learns, of ${TRAINED_PARTS.join(', ')}
                               (default: ${DEFAULT_PARTS})
      --segmentation_decoder S micro-sam's way to say it: instances (all three), instances_only, or none (no instances)
      --from_scratch           start the instance decoder from random weights, even if the model has one
      --preset NAME            quick, better or best: ${presetText('instances')} steps of the instance decoder,
                               ${presetText('decoder')} of the mask decoder, ${presetText('late')} of the late part, or
                               ${presetText('full')} of the whole encoder, or of lora (default: better)
      --n_iterations N         steps of the instance decoder, instead of the preset's
      --n_prompt_iterations N  steps of the mask decoder, instead of the preset's
      --n_late_iterations N    steps of the late part, instead of the preset's
      --n_full_iterations N    steps of the whole encoder, instead of the preset's
      --n_lora_iterations N    steps of lora, instead of the preset's
      --batch_size N           pictures in a step of the late part or the whole encoder (default: 1)
      --n_canvases N           pictures to make of the images, instead of the preset's
      --trained_model_name N   what the result is called; -m N runs it
  -s, --save_root DIR          where results and the state of the run are kept
                               (default: ${trainedModelsFolder()})
      --seed N                 of what is random (default: 1)
      --threads N              (default: all cores)
      --restart                begin anew, whatever a run that was stopped has learned
      --dry_run                say what would be trained on, and stop

Trains the instance decoder, which finds all objects of an image at once, and the mask decoder, which answers clicks and
boxes. The encoder stays as it is, unless --parts names late, full or lora too: then the late part of the encoder, the whole of it,
or small changes beside the weights of its attention (LoRA) learn at last, together with both decoders, and images are
embedded anew with the new model. A run that was stopped goes on when the command is given again; with other images, labels or
settings a finished one begins anew, and one that was stopped is refused.`;

function presetText(part: 'instances' | 'decoder' | EncoderPart): string {
  return Object.values(PRESETS)
    .map((preset) => preset[part])
    .join(', ');
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
  parts: { type: 'string' },
  segmentation_decoder: { type: 'string' },
  from_scratch: { type: 'boolean', default: false },
  preset: { type: 'string', default: 'better' },
  n_iterations: { type: 'string' },
  n_prompt_iterations: { type: 'string' },
  n_late_iterations: { type: 'string' },
  n_full_iterations: { type: 'string' },
  n_lora_iterations: { type: 'string' },
  batch_size: { type: 'string', default: '1' },
  n_canvases: { type: 'string' },
  trained_model_name: { type: 'string' },
  save_root: { type: 'string', short: 's' },
  seed: { type: 'string', default: '1' },
  threads: { type: 'string' },
  restart: { type: 'boolean', default: false },
  dry_run: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS }).values;
}

async function run(args: readonly string[]): Promise<number> {
  const [first, second] = args;
  if (first === FOR_PARENT && second !== undefined && process.send) return trainForParent(second);
  const values = parse(args);
  const name = nameOf(values);
  const parts = partsOf(values);
  const seed = wholeNumber('seed', values.seed);
  settingsOf(values, seed, true); // tells what is wrong with them at once
  const signal = interruptible();
  const progress = new ProgressLine(process.stderr);
  progress.start();
  const task = { signal, onProgress: progress.update.bind(progress) };
  const data = await dataOf(values, seed, task);
  progress.clear();
  console.log(dataReport(data.training, data.validation));
  const folder = path.join(values.save_root ?? trainedModelsFolder(), name);
  checkReplaceable(folder);
  if (values.dry_run) return 0;
  const model = findModel(values.model_type);
  if (isMadeFrom(values.model_type, folder))
    throw new UsageError(
      `${values.model_type} is what would be replaced in ${folder}, or was trained from that: give the result another name with --trained_model_name.`,
    );
  const training: PartsTraining = {
    model,
    parts,
    fromScratch: values.from_scratch,
    settings: (goesOn) => settingsOf(values, seed, goesOn),
    training: data.training,
    heldBack: data.validation,
  };
  mkdirSync(folder, { recursive: true });
  const made = existsSync(path.join(folder, MODEL_CARD));
  const state = await openRun(folder, training, { made, restart: values.restart }, task);
  try {
    if (state.notice !== undefined) console.log(state.notice);
    progress.start();
    const trained = await trainIn(folder, training, state, values.threads, task);
    progress.clear();
    const result = trainedFiles(trained, {
      name,
      base: baseOf(values.model_type, model),
      seed,
      date: new Date().toISOString().slice(0, 10),
      trainedOn: data.training.map(summaryOf),
      scoredOn: data.validation.map(summaryOf),
    });
    writeTrained(folder, await withInherited(result, model));
    await state.finish();
    for (const line of gainReport(trained)) console.log(line);
  } finally {
    await state.close();
  }
  console.log(`Wrote ${folder}. Use it: micro-sam automatic_segmentation -m ${values.save_root ? folder : name} …`);
  return 0;
}

/** Keeps the curve in the folder, too. */
async function trainIn(
  folder: string,
  training: PartsTraining,
  { store }: RunState,
  threads: string | undefined,
  task: TaskOptions,
): Promise<TrainedParts> {
  const log = path.join(folder, 'log.csv');
  const runtime = await createNodeRuntime({ threads: numberFlag('threads', threads) });
  return trainParts(
    training,
    { runtime, load: loadFile, store },
    {
      onStep: ({ name, step, loss, accuracy }) =>
        appendFileSync(log, `${name},${step},${loss.toFixed(5)},${accuracy ?? ''}\n`),
    },
    task,
  );
}

/** What the training has brought on the images that were kept back. */
function gainReport({ instances, decoder, late, full, lora, points }: TrainedParts): string[] {
  const line = (what: string, learned?: Learned) => {
    if (learned?.accuracy === undefined) return [];
    const before = learned.before === undefined ? '' : `${learned.before.toFixed(3)} → `;
    return [`${what} on the images kept back: ${before}${learned.accuracy.toFixed(3)}`];
  };
  return [
    ...line('Mean segmentation accuracy of all objects found', instances),
    ...line('Mean IoU of objects clicked and boxed', decoder),
    ...line('Mean of both with the late part trained', late),
    ...line('Mean of both with the whole encoder trained', full),
    ...line('Mean of both with the encoder adapted', lora),
    ...(points && pointsHadBetterMeanInstances(points)
      ? [
          `A click means the object that the instance decoder finds under it: mean IoU on the images kept back ${points.alone.toFixed(3)} → ${points.byInstances.toFixed(3)}`,
        ]
      : []),
  ];
}

function partsOf({ parts, segmentation_decoder: style }: Values): Set<TrainedPart> {
  if (parts !== undefined && style !== undefined)
    throw new UsageError('--parts and --segmentation_decoder say the same: give one of them.');
  if (style !== undefined) return new Set(STYLES[oneOf('segmentation_decoder', keysOf(STYLES), style)]);
  const names = (parts ?? DEFAULT_PARTS).split(',').map((part) => part.trim());
  const unknown = names.find((part) => !TRAINED_PARTS.includes(part as TrainedPart));
  if (unknown !== undefined)
    throw new UsageError(`--parts names ${TRAINED_PARTS.join(', ')}, with commas between them, not "${unknown}".`);
  const named = new Set(names as TrainedPart[]);
  try {
    encoderPart(named);
  } catch (error) {
    throw new UsageError(`--parts ${parts}: ${messageOf(error)}`);
  }
  return named;
}

/** What micro-sam trains for its `--segmentation_decoder`, but for the encoder. */
const STYLES = {
  instances: ['instances', 'mask_decoder', 'prompt_encoder'],
  instances_only: ['instances'],
  none: ['mask_decoder', 'prompt_encoder'],
} as const satisfies Record<string, readonly TrainedPart[]>;

function nameOf({ trained_model_name }: Values): string {
  if (!trained_model_name || !MODEL_NAME.test(trained_model_name))
    throw new UsageError(`Give the result a name with --trained_model_name. ${MODEL_NAME_RULE}.`);
  if (BUILT_IN_MODELS.some((built) => built === trained_model_name))
    throw new UsageError(
      `${trained_model_name} is a built-in model: give the result another name with --trained_model_name.`,
    );
  if (importedModels().includes(trained_model_name))
    throw new UsageError(
      `${trained_model_name} is an imported model: give the result another name with --trained_model_name.`,
    );
  return trained_model_name;
}

function settingsOf(values: Values, seed: number, fromStart: boolean): TrainingSettings {
  const { preset, n_iterations, n_prompt_iterations, n_late_iterations, n_full_iterations, n_canvases } = values;
  const settings = presetSettings(oneOf('preset', keysOf(PRESETS), preset), fromStart, { seed });
  const whole = (name: string, text: string | undefined, otherwise: number) =>
    text === undefined ? otherwise : wholeNumber(name, text, 1);
  const { instances, decoder, late, full, lora, canvases } = settings;
  return {
    ...settings,
    canvases: whole('n_canvases', n_canvases, canvases),
    instances: { ...instances, steps: whole('n_iterations', n_iterations, instances.steps) },
    decoder: { ...decoder, steps: whole('n_prompt_iterations', n_prompt_iterations, decoder.steps) },
    late: { ...late, steps: whole('n_late_iterations', n_late_iterations, late.steps) },
    full: { ...full, steps: whole('n_full_iterations', n_full_iterations, full.steps) },
    lora: { ...lora, steps: whole('n_lora_iterations', values.n_lora_iterations, lora.steps) },
    pictures: wholeNumber('batch_size', values.batch_size, 1),
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
  if (!val_images || !val_labels) return split(all, seed, values, task);
  return { training: all, validation: await planesIn(val_images, val_labels, values, task) };
}

async function planesIn(images: string, labels: string, values: Values, task: TaskOptions): Promise<LabelledPlane[]> {
  const log = (line: string) => console.error(line);
  const [imageFiles, labelFiles] = [
    await listInputs([images], { pairs: true, log }),
    await listInputs([labels], { role: 'labels', pairs: true, log }),
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

/** With fewer files none can be spared, however many planes they have. */
const LEAST_FILES = 4;

/** A tenth of the files, at least one, to score on; of few images, of which one or two would say little, a strip of each. */
async function split(
  planes: readonly LabelledPlane[],
  seed: number,
  { min_size, partial }: Values,
  task: TaskOptions,
): Promise<Data> {
  const files = [...new Set(planes.map(({ file }) => file))];
  if (files.length < LEAST_FILES || planes.length < LEAST_WHOLE)
    return withStrips(planes, { seed, partial, minSize: wholeNumber('min_size', min_size) }, task);
  const held = Math.max(1, Math.round(files.length / 10));
  const kept = new Set(new Random(seed).shuffled(files).slice(0, held));
  return {
    training: planes.filter(({ file }) => !kept.has(file)),
    validation: planes.filter(({ file }) => kept.has(file)),
  };
}

function summaryOf({ name, size, objects }: LabelledPlane): ImageSummary {
  return { image: path.basename(name), size, objects };
}

export const train: Command = { summary: 'Train a model on annotated images', usage, run };
