import * as v from 'valibot';
import { SamError } from '../errors.js';
import type { ImageSource } from '../io/image.js';
import { type ImageInput, openImage } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import { readLabelImage } from '../io/results/label-image.js';
import { itemAt, keysOf } from '../items.js';
import type { ModelSpec } from '../model/model-spec.js';
import { MODEL_NAME, MODEL_NAME_RULE, modelNames, resolveModel } from '../model/registry.js';
import type { Size } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import { type AnnotatedData, type AnnotatedImage, annotatedData, SMALLEST } from '../training/annotated.js';
import { annotatedPlanes } from '../training/annotated-planes.js';
import { toldApart } from '../training/labelled-image.js';
import { encoderPart, PRESETS, SLOW_STRIPS, TRAINED_PARTS } from '../training/settings.js';
import { partsOfPreset, type TrainingHost, type TrainingResult } from '../training/training-job.js';
import { gainsOf, TrainingTask } from '../training/training-task.js';
import { method } from './call.js';
import { imageInput, imageSchema, type ServiceImage } from './image.js';
import { resultStream, streamable } from './result-stream.js';
import { latestOnly, STREAM_ARGUMENTS } from './running-calls.js';

/** Training over RPC, under the name of micro-sam's `micro_sam.training.train_sam`. */
export interface TrainingDeps {
  /** Where a model is trained. */
  readonly host: (model: ModelSpec) => TrainingHost;
  /** Makes a trained model known. */
  readonly adopt: (result: TrainingResult) => void;
  /** What is committed in this window or session, and the model that is in use there. */
  readonly annotated?: (task: TaskOptions) => Promise<readonly AnnotatedImage[]>;
  readonly model?: () => ModelSpec;
  /** How large images are cut there. */
  readonly window?: () => Size | undefined;
}

type OpenInput = (input: ImageInput, options: OpenOptions) => Promise<ImageSource>;

const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const steps = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)));
const images = v.pipe(v.array(imageSchema), v.minLength(1, 'the list is empty'));
const taskName = v.pipe(v.string(), v.nonEmpty());

const schemas = {
  train_sam: v.strictObject({
    name: v.optional(v.pipe(v.string(), v.regex(MODEL_NAME, MODEL_NAME_RULE))),
    images: v.optional(images),
    labels: v.optional(images),
    val_images: v.optional(images),
    val_labels: v.optional(images),
    model_type: v.optional(v.string()),
    preset: v.optional(v.picklist(keysOf(PRESETS))),
    parts: v.optional(v.pipe(v.array(v.picklist(TRAINED_PARTS)), v.minLength(1))),
    from_scratch: v.optional(v.boolean()),
    partial: v.optional(v.boolean()),
    min_size: v.optional(natural),
    n_iterations: steps,
    n_prompt_iterations: steps,
    n_late_iterations: steps,
    n_full_iterations: steps,
    n_lora_iterations: steps,
    batch_size: steps,
    n_canvases: steps,
    seed: v.optional(natural),
    wait: v.optional(v.boolean()),
    ...STREAM_ARGUMENTS,
  }),
  task: v.strictObject({ task: taskName }),
  pause: v.strictObject({ task: taskName, paused: v.optional(v.boolean()) }),
};

type Asked = v.InferOutput<typeof schemas.train_sam>;

export function trainingFunctions(deps: TrainingDeps | undefined, openInput?: OpenInput) {
  const tasks = new Map<string, TrainingTask>();
  let count = 0;

  function find(task: string): TrainingTask {
    const found = tasks.get(task);
    if (found) return found;
    throw new SamError('not_found', `There is no training ${JSON.stringify(task)}; train_sam tells its task.`);
  }

  /** @param onNews called when the record has become another */
  async function begin(asked: Asked, onNews?: (record: TrainingRecord) => void): Promise<BegunTraining> {
    if (!deps) throw new SamError('unsupported', 'Models cannot be trained here.');
    const id = asked.task ?? `training-${++count}`;
    if (tasks.get(id)?.state === 'running')
      throw new SamError('invalid_argument', `A training with the task ${JSON.stringify(id)} is under way.`);
    const model = asked.model_type === undefined ? (deps.model?.() ?? resolveModel()) : resolveModel(asked.model_type);
    if (asked.parts) encoderPart(new Set(asked.parts));
    const host = deps.host(model);
    const { report, ...data } = await dataOf(asked, deps, host, openInput);
    const preset = asked.preset ?? 'better';
    const parts = asked.parts?.filter((part) => host.parts.includes(part)) ?? partsOfPreset(preset, host, model);
    const task = new TrainingTask(
      host,
      {
        name: asked.name ?? newName(model.name),
        model,
        preset,
        parts,
        slow: host.slow,
        pictures: asked.batch_size,
        fromScratch: asked.from_scratch,
        seed: asked.seed,
        steps: {
          canvases: asked.n_canvases,
          instances: asked.n_iterations,
          decoder: asked.n_prompt_iterations,
          late: asked.n_late_iterations,
          full: asked.n_full_iterations,
          lora: asked.n_lora_iterations,
        },
        data,
      },
      report,
      () => onNews?.(recordOf(id, task, host)),
    );
    tasks.set(id, task);
    const adopted = task.finished.then((result) => deps.adopt(result));
    return { task, adopted, record: () => recordOf(id, task, host) };
  }

  const teller = ({ progress }: Asked) =>
    progress && latestOnly<TrainingRecord>(progress as (record: TrainingRecord) => unknown);

  async function train({ wait = true, ...asked }: Asked): Promise<TrainingRecord> {
    const tell = teller(asked);
    const { adopted, record } = await begin(asked, tell?.tell);
    if (wait) {
      await adopted;
      await tell?.finished();
    } else adopted.catch(() => undefined); // told by get_training
    return record();
  }

  /** What the record has become, as often as it is asked for; the last one is that of the finished model. */
  function trainAndTell(asked: Asked) {
    return resultStream<TrainingRecord, TrainingRecord>(
      async (emit, stopped) => {
        const tell = teller(asked);
        const { task, adopted, record } = await begin(asked, (news) => {
          emit(news);
          tell?.tell(news);
        });
        const stop = () => task.wish('enough');
        if (stopped.aborted) stop();
        stopped.addEventListener('abort', stop, { once: true });
        await adopted;
        emit(record());
      },
      (record) => record,
      { latestOnly: true },
    );
  }

  return {
    functions: {
      /**
       * Trains a model on images and labels, or on what is committed in this window if none are given; the model is known
       * at once by its name. Resolves when it is done, or at once with `wait: false`. `cancel(task)` ends it with the best so
       * far. `progress` is told the record that `get_training` tells; with `stream` the records are handed out, each when it is
       * asked for, and who reads on no more ends the training with the best so far.
       */
      train_sam: streamable(
        method('train_sam', ['name', 'images', 'labels'], schemas.train_sam, async ({ stream = false, ...asked }) =>
          stream ? trainAndTell(asked) : train(asked),
        ),
      ),
      /** How far a training is: state, curve, seconds left, scores before and after. */
      get_training: method('get_training', ['task'], schemas.task, ({ task }) => recordOf(task, find(task))),
      /** Lets a training rest, or go on. */
      pause_training: method('pause_training', ['task', 'paused'], schemas.pause, ({ task, paused = true }) =>
        find(task).wish(paused ? 'rest' : 'go on'),
      ),
    },
    /** Ends a training with the best so far. @returns whether there is one */
    stop(task: string): boolean {
      const found = tasks.get(task);
      found?.wish('enough');
      return found !== undefined;
    },
    dropAll(): void {
      for (const task of tasks.values()) task.drop();
    },
  };
}

interface BegunTraining {
  readonly task: TrainingTask;
  /** The model is known now. */
  readonly adopted: Promise<void>;
  readonly record: () => TrainingRecord;
}

/** A training as plain data. */
export interface TrainingRecord {
  readonly task: string;
  /** Of the model that is made; `list_models` has it once the state is 'done'. */
  readonly name: string;
  readonly state: TrainingTask['state'];
  readonly where?: string;
  readonly data: { images: number; trained: number; held_back: number; left_out: string[] };
  readonly phase?: string;
  readonly done: number;
  readonly total: number;
  readonly message: string;
  readonly seconds_left?: number;
  readonly curve: readonly { part: string; step: number; loss: number; accuracy?: number }[];
  readonly scores: readonly { part: string; before?: number; after: number }[];
  readonly error?: string;
}

function recordOf(id: string, task: TrainingTask, host?: TrainingHost): TrainingRecord {
  const { job, report, news, curve, result, failure, state } = task;
  const { phase, done = 0, total = 0, secondsLeft } = news ?? {};
  const message = failure?.message ?? (phase === undefined ? 'Reading the model' : `${phase}: ${done} of ${total}`);
  return {
    task: id,
    name: job.name,
    state,
    ...(host && { where: host.where }),
    data: { images: report.images, trained: report.trained, held_back: report.heldBack, left_out: [...report.leftOut] },
    ...(phase !== undefined && { phase }),
    done,
    total,
    message: result ? 'Done' : message,
    ...(secondsLeft !== undefined && !result && { seconds_left: secondsLeft }),
    curve: curve.map(({ name: part, step, loss, accuracy }) => ({
      part,
      step,
      loss,
      ...(accuracy !== undefined && { accuracy }),
    })),
    scores: result ? gainsOf(result.card).map((gain) => ({ ...gain })) : [],
    ...(failure && { error: `${failure.code}: ${failure.message}` }),
  };
}

/** `msi_lm-mine`, `msi_lm-mine-2` …: what is trained again keeps its first name. */
export function newName(base: string, taken: readonly string[] = modelNames()): string {
  const root = `${base.replace(/-mine(-\d+)?$/, '').slice(0, 48)}-mine`;
  for (let n = 1; ; n++) {
    const name = n === 1 ? root : `${root}-${n}`;
    if (!taken.includes(name)) return name;
  }
}

async function dataOf(
  asked: Asked,
  deps: TrainingDeps,
  { slow }: TrainingHost,
  openInput: OpenInput = openImage,
): Promise<AnnotatedData> {
  const { images, labels, val_images, val_labels, min_size: minSize, seed } = asked;
  if (!images !== !labels || !val_images !== !val_labels)
    throw new SamError('invalid_argument', 'images and labels belong together, and so do val_images and val_labels.');
  const common = { minSize, seed, window: images ? LARGEST : deps.window?.() };
  if (!images && !deps.annotated)
    throw new SamError('invalid_argument', 'Give images and labels: there is no session to train on here.');
  const given =
    images && labels ? await annotatedOf(images, labels, minSize, openInput) : ((await deps.annotated?.({})) ?? []);
  const partial = asked.partial ?? !images;
  const data = annotatedData(given, { ...common, partial, ...(slow && { mostStrips: SLOW_STRIPS }) });
  if (!val_images || !val_labels) return data;
  const [all, held] = [
    annotatedData(given, { ...common, partial, keepBack: false }),
    annotatedData(await annotatedOf(val_images, val_labels, minSize, openInput), {
      ...common,
      partial,
      keepBack: false,
    }),
  ];
  const report = { ...all.report, heldBack: held.report.trained };
  return { training: all.training, heldBack: held.training, report };
}

/** Larger images are cut: the model would see them shrunk. */
const LARGEST: Size = [1500, 1500];

async function annotatedOf(
  images: readonly ServiceImage[],
  labels: readonly ServiceImage[],
  minSize: number | undefined,
  openInput: OpenInput,
): Promise<AnnotatedImage[]> {
  if (images.length !== labels.length)
    throw new SamError('invalid_argument', `There are ${images.length} images but ${labels.length} label images.`);
  const all: AnnotatedImage[] = [];
  for (const [i, image] of images.entries()) {
    const [source, labelled] = [
      await openInput(imageInput(image, { name: `image ${i + 1}` }), {}),
      await openInput(imageInput(itemAt(labels, i), { name: `labels ${i + 1}` }), {}),
    ];
    try {
      all.push(...(await annotatedPlanes(source, toldApart(await readLabelImage(labelled), minSize ?? SMALLEST))));
    } finally {
      await source.close();
      await labelled.close();
    }
  }
  return all;
}
