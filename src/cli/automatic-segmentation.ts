import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { asSamError, SamError } from '../errors.js';
import { type ImageSource, planeCount } from '../io/image.js';
import { isRecording, nameOfView, positionOf, type RecordingView, viewOfRecording } from '../io/recording.js';
import type { LabelExport } from '../io/results/export.js';
import { EXPORT_FORMATS, type ExportFormat } from '../io/results/export-formats.js';
import { factsForExport } from '../io/results/measured-image.js';
import { folderStore } from '../io/stores/fs.js';
import { addLabelsToImage } from '../io/zarr/ome-zarr-writer.js';
import { defined, isOneOf, tableOf } from '../items.js';
import { filesKey } from '../model/model-spec.js';
import type { LabelImage, Tensor } from '../ndimage/array.js';
import { maxLabel } from '../ndimage/label.js';
import type { AutomaticVolumeOptions } from '../segmentation/automatic.js';
import { AUTOMATIC_MODES, type AutomaticThresholds } from '../segmentation/automatic-settings.js';
import { automaticStack } from '../segmentation/automatic-stack.js';
import { INSTANCE_RULES } from '../segmentation/instances/state.js';
import { PRESET_NAMES, withPreset } from '../segmentation/presets.js';
import type { TaskOptions } from '../task.js';
import { Queue } from '../worker/queue.js';
import { BATCH_FLAGS, interruptible, reportBatch, runBatch } from './batch/batch.js';
import { listInputs } from './batch/inputs.js';
import { KeptPlanes } from './batch/kept-planes.js';
import { MapsOnDisk } from './batch/maps-on-disk.js';
import { type ResultItem, resultItems, writeWhole } from './batch/result-items.js';
import { embeddingNames } from './batch/result-records.js';
import { resultSettings } from './batch/result-settings.js';
import { ofShard, parseShard } from './batch/shard.js';
import { type Command, oneOf, UsageError } from './command.js';
import { joinNumbers, MODEL_FLAGS, MODEL_USAGE, type ModelInUse, numberFlag, startModel } from './model-in-use.js';
import { SegmentationReport } from './segmentation-report.js';

/** Everything in many files segmented without prompts. */
const usage = `micro-sam automatic_segmentation -i FILES -o DIR [options]

  -i, --input_path PATH      file, folder, pattern or http(s) address; may be given several times
  -o, --output_path DIR      folder of the results
      --pattern GLOB         files of a folder that match, e.g. "*.tif"
      --format LIST          ${EXPORT_FORMATS.join(', ')}
                             (default: tiff; several with commas)
      --into_image NAME      also add the labels to each image itself, as labels/NAME of its OME-Zarr; labels that it
                             has of this name stay, unless with --force
  -n, --ndim N               2: every plane by itself; 3: objects go through the planes
                             (default: 3 for volumes)
      --mode MODE            ais: all objects in one run, by the model's instance decoder; apg: a point for each object
                             from its maps, then an outline for each point; amg: a grid of points, which every model
                             can; auto (default): the first of these that the model can
      --preset NAME          settings for a kind of image; what else is given comes first:
                             ${PRESET_NAMES.join(', ')}
      --mirror               ais, apg: average with the mirror image of everything (twice the time)
      --refine               apg: outline each object once more from the box around it
      --rule NAME            ais: ${INSTANCE_RULES.join(' or ')}, how maps become objects (default: flow for large objects where
                             the decoder gives vectors)
      --center_distance_threshold X   --boundary_distance_threshold X   --foreground_threshold X
                             ais, apg: the core of an object lies nearer to its centre and farther from its boundary
                             than this, in foreground (all 0.5)
      --distance_smoothing PX         --foreground_smoothing PX
                             ais: default: by the size of the objects; micro-sam has 1.6 and 1
      --max_overlap X        apg: of an object, how much surer ones may cover (0.15)
      --points_per_side N    amg: grid of prompts (default 32; with --object_diameter what that needs)
      --pred_iou_thresh X    --stability_score_thresh X    --box_nms_thresh X
      --min_object_size PX   --max_object_size PX
      --min_visible_share X  drop what less is visible of than this part (default 0.25; 0: as micro-sam)
      --gap_closing N        --min_z_extent N              volumes: close gaps of up to N slices, drop objects over
                             fewer than N (both 2; 0: neither). With apg, each object of the volume is one point,
                             followed through its slices
      --shard I/N            do the I-th of N parts, or auto: Slurm array, Kubernetes indexed job
      --force                segment again what has a result, and replace files that are in the way
      --report               also write report.html: a picture of each image with the outlines of its objects
      --json                 print the table as JSON
${MODEL_USAGE}

Results are called <name>_labels.tif and so on, also with the folder or extension of the image where two have one name.
A file that fails does not stop the others; what has its result already is skipped. Planes of a stack that is stopped are
kept, and the next run goes on after them; planes that its file announces and does not hold are passed over. Of a
recording with time and depth each time point is segmented by itself: <name>_t0000_labels.tif and so on. Which result is of which image is
noted in the folder .micro-sam of the results.`;

const NUMBERS = [
  'center_distance_threshold',
  'boundary_distance_threshold',
  'foreground_threshold',
  'distance_smoothing',
  'foreground_smoothing',
  'max_overlap',
  'points_per_side',
  'pred_iou_thresh',
  'stability_score_thresh',
  'box_nms_thresh',
  'min_object_size',
  'max_object_size',
  'min_visible_share',
  'gap_closing',
  'min_z_extent',
  'batch_size',
] as const;

/** Flags that change what is found. */
const RESULT_FLAGS = [
  'into_image',
  'ndim',
  'mode',
  'preset',
  'mirror',
  'refine',
  'rule',
  ...NUMBERS.filter((name) => name !== 'batch_size'),
];

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: joinNumbers(args),
    allowPositionals: true,
    options: {
      ...MODEL_FLAGS,
      ...BATCH_FLAGS,
      force: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      output_path: { type: 'string', short: 'o' },
      format: { type: 'string', default: 'tiff' },
      into_image: { type: 'string' },
      ndim: { type: 'string', short: 'n' },
      mode: { type: 'string', default: 'auto' },
      preset: { type: 'string' },
      mirror: { type: 'boolean' },
      refine: { type: 'boolean' },
      rule: { type: 'string' },
      ...tableOf(NUMBERS, () => ({ type: 'string' as const })),
    },
  });
  const folder = values.output_path;
  if (!folder) throw new UsageError('Say where the results go with -o.');
  const mode = oneOf('mode', ['auto', ...AUTOMATIC_MODES], values.mode);
  const preset = values.preset === undefined ? undefined : oneOf('preset', PRESET_NAMES, values.preset);
  const rule = values.rule === undefined ? undefined : oneOf('rule', INSTANCE_RULES, values.rule);
  const formats = values.format.split(',').map((name): ExportFormat => {
    if (isOneOf(EXPORT_FORMATS, name)) return name;
    throw new UsageError(`--format is one of ${EXPORT_FORMATS.join(', ')}, not "${name}".`);
  });
  const { into_image: intoImage } = values;
  const ndim = numberFlag('ndim', values.ndim);
  if (ndim !== undefined && ndim !== 2 && ndim !== 3) throw new UsageError(`--ndim is 2 or 3, not ${ndim}.`);
  const { mirror, refine } = values;
  const given = optionsOf(values);
  const options: AutomaticVolumeOptions = {
    ...given,
    ...(mode !== 'auto' && { mode }),
    ...(preset && { preset }),
    ...(mirror && { mirror }),
    ...(refine && { refine }),
    thresholds: { ...given.thresholds, ...(rule && { rule }) },
  };
  const { pattern, force } = values;
  const log = (line: string) => console.error(line);
  const all = await listInputs([...(values.input_path ?? []), ...positionals], { pattern, output: folder, log });
  const shard = parseShard(values.shard);
  const inUse = await startModel(values);
  const report = values.report ? new SegmentationReport(inUse.model.name) : undefined;
  try {
    if ((mode === 'ais' || mode === 'apg') && !inUse.model.instances)
      throw new UsageError(
        `--mode ${mode} needs an instance decoder, which the model ${inUse.model.name} does not have: use amg, or give one with --instances.`,
      );
    const [stacks, remote] = [new Queue(), values.worker !== undefined];
    const job: Job = {
      embeddings: embeddingNames(all),
      folder,
      force,
      intoImage,
      ndim,
      options,
      report,
      stacks,
      remote,
    };
    // Said or not, a mode is the same.
    const modes = inUse.model.instances ? AUTOMATIC_MODES : (['amg'] as const);
    const { mode: used = modes[0] } = withPreset({ preset, ...(mode !== 'auto' && { mode }) }, modes);
    const settings = resultSettings(inUse.model, { ...values, mode: used }, RESULT_FLAGS);
    const batch = {
      folder,
      formats,
      command: 'automatic_segmentation',
      settings,
      force,
      changesImages: intoImage !== undefined,
    };
    const items = resultItems(all, batch, (item, write, task) => segmentFile(inUse, item, write, job, task));
    const atOnce = () => inUse.worker.atOnce ?? 1;
    const rows = await runBatch(ofShard(items, shard), { ...values, atOnce, signal: interruptible() });
    if (report) {
      const part = shard.count > 1 ? `-${shard.index + 1}-of-${shard.count}` : '';
      const facts = { command: `micro-sam automatic_segmentation ${args.join(' ')}`, date: new Date().toISOString() };
      writeWhole(path.join(folder, `report${part}.html`), report.html(rows, facts));
    }
    return reportBatch(rows, values.json);
  } finally {
    await inUse.close();
  }
}

/** Maps of a tile are 1.5 MB. */
const TILES_IN_MEMORY = 128;

type Numbers = Partial<Record<(typeof NUMBERS)[number], string>>;

function optionsOf(values: Numbers): AutomaticVolumeOptions {
  const value = (name: (typeof NUMBERS)[number]) => numberFlag(name, values[name]);
  const thresholds: AutomaticThresholds = defined({
    centerDistanceThreshold: value('center_distance_threshold'),
    boundaryDistanceThreshold: value('boundary_distance_threshold'),
    foregroundThreshold: value('foreground_threshold'),
    distanceSmoothing: value('distance_smoothing'),
    foregroundSmoothing: value('foreground_smoothing'),
    maxOverlap: value('max_overlap'),
    predIouThresh: value('pred_iou_thresh'),
    stabilityScoreThresh: value('stability_score_thresh'),
    boxNmsThresh: value('box_nms_thresh'),
    minObjectSize: value('min_object_size'),
    maxObjectSize: value('max_object_size'),
    minVisibleShare: value('min_visible_share'),
  });
  const floor = (threshold: number | undefined) => (threshold === undefined ? undefined : Math.min(threshold, 0.6));
  return {
    thresholds,
    ...defined({
      pointsPerSide: value('points_per_side'),
      pointsPerBatch: value('batch_size'),
      iouFloor: floor(thresholds.predIouThresh),
      stabilityFloor: floor(thresholds.stabilityScoreThresh),
    }),
    merge: { gapClosing: value('gap_closing') ?? 2, minExtent: value('min_z_extent') ?? 2 },
  };
}

interface Job {
  /** Of the results. */
  readonly folder: string;
  /** Begins anew, whatever is kept of an interrupted run. */
  readonly force: boolean;
  /** What the embeddings of each file are called, where they are kept. */
  readonly embeddings: ReadonlyMap<string, string>;
  /** What the labels are called inside the image, if they are to be added to it. */
  readonly intoImage?: string;
  readonly ndim?: 2 | 3;
  readonly options: AutomaticVolumeOptions;
  readonly report?: SegmentationReport;
  /** Stacks are done one after the other, their planes by all workers: several would not fit into memory. */
  readonly stacks: Queue;
  /** Several requests at the same time hide how long they travel. */
  readonly remote: boolean;
}

async function segmentFile(
  inUse: ModelInUse,
  { input: { file }, title, stem }: ResultItem,
  write: (labels: LabelExport) => Promise<void>,
  job: Job,
  task: TaskOptions,
): Promise<string> {
  if (job.intoImage !== undefined && !statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw new SamError('invalid_argument', `${title} is not an OME-Zarr folder, so labels cannot be added to it.`);
  if (job.intoImage !== undefined && !job.force && existsSync(path.join(file, 'labels', job.intoImage)))
    throw new SamError(
      'invalid_argument',
      `${title} has labels ${job.intoImage} already, which would be lost: give another name with --into_image, or replace them with --force.`,
    );
  const whole = await inUse.open(file, task);
  try {
    const views = viewsOf(whole);
    if (views.length > 1 && job.intoImage !== undefined)
      throw new SamError(
        'unsupported',
        `${title} has time and depth: leave out --into_image; each time point is a file.`,
      );
    const name = job.embeddings.get(file) ?? stem;
    let objects = 0;
    // Kept until the whole recording is done: what is stopped goes on in any of its parts.
    const written: (() => void)[] = [];
    for (const [i, view] of views.entries()) {
      const source = view ? viewOfRecording(whole, view) : whole;
      const part = view ? nameOfView(view) : undefined;
      const named = (base: string) => (part === undefined ? base : `${base}_${part}`);
      const onProgress: TaskOptions['onProgress'] = ({ done, total, message }) =>
        task.onProgress?.({
          done: i + (total > 0 ? done / total : 0),
          total: views.length,
          message: part === undefined ? message : `Time point ${i + 1} of ${views.length}: ${message}`,
        });
      const place = { embeddings: named(name), kept: named(stem) };
      const { labels, done } = await segmentStack(inUse, source, place, job, { ...task, onProgress });
      const position = view && { position: positionOf(view), part };
      const found = { ...factsForExport(source, task), labels, name: source.name, ...position };
      if (job.intoImage !== undefined)
        await addLabelsToImage(folderStore(file), labels, { ...found, ...task, name: job.intoImage });
      await write(found);
      written.push(done);
      if (i === 0) await job.report?.add(stem, source, labels, task);
      objects += maxLabel(labels);
    }
    for (const done of written) done();
    const where = views.length > 1 ? ` in ${views.length} time points` : '';
    return [`${objects} objects${where}`, ...(whole.notices ?? [])].join('. ');
  } finally {
    await whole.close();
  }
}

/** A recording with time and depth is segmented time point by time point; anything else as it is. */
function viewsOf(source: ImageSource): readonly (RecordingView | undefined)[] {
  if (!isRecording(source)) return [undefined];
  return Array.from({ length: source.sizes.t }, (_, t) => ({ as: 'volume', t }) as const);
}

/** @returns the labels, and what to call when all is written */
async function segmentStack(
  inUse: ModelInUse,
  source: ImageSource,
  place: { readonly embeddings: string; readonly kept: string },
  job: Job,
  task: TaskOptions,
): Promise<{ readonly labels: LabelImage; readonly done: () => void }> {
  const embeddings = await inUse.embeddings(source, place.embeddings, task);
  try {
    const planes = planeCount(source);
    const through = planes > 1 && (job.ndim ?? (source.sizes.z > 1 ? 3 : 2)) === 3;
    const { name, defaults, following, objectSizes } = inUse.model;
    const context = { worker: inUse.worker, model: name, following, embeddings };
    const { requests: _, merge: __, ...how } = job.options;
    // Models that share an encoder share embeddings, but not what is made of them.
    const network = [filesKey(inUse.model), defaults, following, objectSizes];
    const work = [embeddings.signature, network, through, how];
    const kept = new KeptPlanes(job.folder, place.kept, work, embeddings.size);
    if (job.force) kept.clear();
    const { atOnce = 1 } = inUse.worker;
    const options = {
      ...job.options,
      ...(job.remote && { requests: 2 * atOnce }),
      ...task,
      ...(source.absentPlanes && { absent: source.absentPlanes }),
      ...(planes > 1 && { kept }),
    };
    // A few tiles are kept in memory; of more it would be gigabytes.
    const large = (embeddings.tiling?.tiles.length ?? 1) > TILES_IN_MEMORY;
    const maps = large && job.options.mode !== 'amg' && inUse.model.instances ? new MapsOnDisk() : undefined;
    const segment = () =>
      automaticStack(context, planes, {
        ...options,
        ...(maps && { keepMaps: (of: Tensor<Uint16Array>) => maps.keep(of) }),
        through,
        recommended: defaults,
      });
    const running = (planes > 1 ? job.stacks.run(segment, task) : segment()).finally(() => maps?.close());
    const labels = await running.catch((error) => {
      if (asSamError(error).code !== 'cancelled' || kept.count === 0) throw error;
      throw new SamError('cancelled', `Stopped. ${kept.count} of ${planes} planes are kept: run it again to go on.`);
    });
    return { labels, done: () => kept.clear() };
  } finally {
    embeddings.close();
  }
}

export const automatic: Command = { summary: 'Segment everything in many images', usage, run };
