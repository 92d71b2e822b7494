import path from 'node:path';
import { parseArgs } from 'node:util';
import { asSamError } from '../errors.js';
import type { GridSearch } from '../evaluation/grid-search.js';
import { type MapsSearch, mapsFlags } from '../evaluation/maps-search.js';
import { renderPicture } from '../evaluation/picture.js';
import { reportToHtml, scoresToCsv } from '../evaluation/report.js';
import { scoreSegmentation, separateObjects } from '../evaluation/segmentation-accuracy.js';
import { resultNames } from '../io/folder/result-names.js';
import { readPlane } from '../io/image.js';
import { kindOf } from '../io/node-file.js';
import { openFile } from '../io/node-open.js';
import { counted, itemAt } from '../items.js';
import { toImage } from '../model/intensity.js';
import type { LabelImage } from '../ndimage/array.js';
import { piecesOfOneObject } from '../session/edits/separate.js';
import { interruptible } from './batch/batch.js';
import type { Input } from './batch/input.js';
import { listInputs } from './batch/inputs.js';
import { pairInputs } from './batch/pairs.js';
import { ProgressLine } from './batch/progress-line.js';
import { writeWhole } from './batch/result-items.js';
import { embeddingNames } from './batch/result-records.js';
import { type Command, UsageError } from './command.js';
import { evaluateModel, parseModes, type Scored } from './evaluate-model.js';
import { checkLabelsFit, readLabels } from './label-files.js';
import { joinNumbers, MODEL_FLAGS, MODEL_USAGE, startModel } from './model-in-use.js';

/** Predictions, or models, against reference labels: a table per image and its means, as CSV and as a page. */
const usage = `micro-sam evaluate --labels FILES --predictions FILES [options]      scores label images
micro-sam evaluate --labels FILES --images FILES --mode MODES [options]  scores models

      --labels PATH          reference labels: file, folder, pattern or http(s) address
      --predictions PATH     labels to score; give it several times to compare side by side
      --images PATH          the images: to run models on, or for the pictures of the report
      --mode LIST            prompts    points and boxes made from the labels (p1-n0, p2-n4, p4-n8, box)
                             iterative  corrected click by click, eight times, from point and box
                             ais        automatic segmentation by the model's instance decoder
                             apg        by points from its maps
                             amg        by a grid of points
                             grid       the thresholds of amg that suit these images best
                             maps       the rule and thresholds of ais that suit these images best
      --models LIST          models to compare, with commas (default: the one of -m)
      --label_key KEY        --prediction_key KEY       dataset inside an HDF5, zarr or npz file
  -o, --output PATH          a .csv file, or a folder for scores.csv and report.html
      --pattern GLOB         of a folder of images, only what matches
      --ignore_unpaired      score what has a partner, although other files have none
      --names LIST           names of the predictions, with commas (default: their folders)
      --separate             relabel the reference by connected components, as micro-sam does for files
      --json                 print the scores as JSON
${MODEL_USAGE}

Files belong together by their names: cells.tif, cells_labels.tif, cells_cp_masks.png; those without a partner are listed.
Scores: mean segmentation accuracy over IoU 0.50 to 0.95, at 0.5 and 0.75, precision, recall, F1, Dice.`;

function parse(args: readonly string[]) {
  return parseArgs({
    args: joinNumbers(args),
    options: {
      ...MODEL_FLAGS,
      labels: { type: 'string' },
      predictions: { type: 'string', multiple: true },
      images: { type: 'string' },
      mode: { type: 'string' },
      models: { type: 'string' },
      label_key: { type: 'string' },
      prediction_key: { type: 'string' },
      output: { type: 'string', short: 'o' },
      names: { type: 'string' },
      separate: { type: 'boolean', default: false },
      pattern: { type: 'string' },
      ignore_unpaired: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  }).values;
}

type Values = ReturnType<typeof parse>;

async function run(args: readonly string[]): Promise<number> {
  const values = parse(args);
  if (!values.labels) throw new UsageError('Give the reference with --labels.');
  if (!values.predictions && !values.mode) throw new UsageError('Give --predictions to score, or --images and --mode.');
  if (values.output) checkOutput(values.output);
  const labels = await listInputs([values.labels], { role: 'labels', pairs: true, log });
  const images = values.images
    ? imagesOf(labels, await listInputs([values.images], { pattern: values.pattern, pairs: true, log }), values)
    : undefined;
  const signal = interruptible();
  const progress = new ProgressLine(process.stderr, values.json);
  progress.start();
  const scored: Scored = { rows: [], pictures: [], grids: [], maps: [] };
  let stopped = false;
  try {
    if (values.predictions) await scorePredictions(values, labels, images, scored, signal, progress);
    if (values.mode) await scoreModels(values, labels, images, scored, signal, progress);
  } catch (error) {
    if (asSamError(error).code !== 'cancelled') throw error;
    stopped = true;
  }
  progress.clear();
  if (stopped) log(`Stopped: these are the scores of ${counted(scored.rows.length, 'row')}, not of all.`);
  // Printed first: what cannot be written is not lost.
  print(scored, values.json);
  if (values.output) writeReport(values.output, scored, args);
  return stopped || scored.rows.some((row) => row.error) ? 1 : 0;
}

const isTable = (output: string) => /\.csv$/i.test(output);

/** Before anything is scored: what the scores cannot be written to. */
function checkOutput(output: string): void {
  const kind = kindOf(output);
  if (kind === (isTable(output) ? 'folder' : 'file'))
    throw new UsageError(`--output is a .csv file or a folder; ${output} is a ${kind}.`);
}

const log = (line: string) => console.error(line);

/** The image of each label file. */
function imagesOf(labels: readonly Input[], images: readonly Input[], { ignore_unpaired }: Values): Map<Input, Input> {
  return new Map(
    pairInputs(labels, images, { ones: 'label files', others: 'images', ignoreUnpaired: ignore_unpaired, log }),
  );
}

async function scorePredictions(
  values: Values,
  labels: readonly Input[],
  images: ReadonlyMap<Input, Input> | undefined,
  { rows, pictures }: Scored,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<void> {
  const settings: { name: string; files: Map<Input, Input> }[] = [];
  for (const [i, given] of (values.predictions ?? []).entries()) {
    const predictions = await listInputs([given], { role: 'labels', log });
    const sides = {
      ones: 'label files',
      others: 'predictions',
      ignoreUnpaired: values.ignore_unpaired,
      log,
      itself: true,
    };
    const files = new Map(pairInputs(labels, predictions, sides));
    settings.push({ name: values.names?.split(',')[i] ?? path.basename(path.resolve(given)), files });
  }
  const titles = titlesOf(labels);
  const total = settings.reduce((sum, { files }) => sum + files.size, 0);
  for (const label of labels) {
    for (const { name, files } of settings) {
      const prediction = files.get(label);
      if (!prediction) continue;
      signal.throwIfAborted();
      const row = { image: titles.get(label) ?? label.name, setting: name };
      try {
        const reference = await readReference(label.file, values);
        const labelled = await readLabels(prediction.file, { key: values.prediction_key, flag: '--prediction_key' });
        tellPieces(
          prediction.file,
          labelled,
          'number its parts, for example with "Connected Components Labeling" in Fiji',
        );
        const scores = { ...scoreSegmentation(reference, labelled) };
        const image = images?.get(label);
        if (image && reference.shape.length === 2)
          pictures.push({ ...row, png: await picture(image.file, reference, labelled) });
        rows.push({ ...row, scores });
      } catch (error) {
        rows.push({ ...row, scores: {}, error: asSamError(error).message });
      }
      progress.update({ done: rows.length, total, message: `Scored ${row.image}` });
    }
  }
}

/** What rows call each label file. */
function titlesOf(labels: readonly Input[]): Map<Input, string> {
  const names = resultNames(labels.map(({ name }) => name));
  return new Map(labels.map((label, i) => [label, itemAt(names, i)]));
}

async function scoreModels(
  values: Values,
  labels: readonly Input[],
  images: ReadonlyMap<Input, Input> | undefined,
  scored: Scored,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<void> {
  if (!images) throw new UsageError('--mode needs --images.');
  const modes = parseModes(values.mode as string);
  const titles = titlesOf(labels);
  const kept = embeddingNames([...images.values()]);
  const files = [...images].map(([label, { file }]) => {
    const title = titles.get(label) ?? label.name;
    return { image: file, title, embeddings: kept.get(file), reference: () => readReference(label.file, values) };
  });
  for (const model_type of values.models?.split(',') ?? [values.model_type]) {
    const inUse = await startModel({ ...values, model_type });
    try {
      const task = { signal, onProgress: progress.update.bind(progress) };
      await evaluateModel(inUse, files, modes, inUse.model.name, scored, task);
    } finally {
      await inUse.close();
    }
  }
}

async function readReference(file: string, values: Values): Promise<LabelImage> {
  const labels = await readLabels(file, { key: values.label_key, flag: '--label_key' });
  if (values.separate) return separateObjects(labels);
  tellPieces(file, labels, 'with --separate each becomes an object of its own');
  return labels;
}

function tellPieces(file: string, labels: LabelImage, advice: string): void {
  const pieces = piecesOfOneObject(labels);
  if (pieces > 1) log(`All of ${file} is one object, in ${pieces} pieces that do not touch; ${advice}.`);
}

async function picture(file: string, reference: LabelImage, prediction: LabelImage): Promise<Uint8Array> {
  const source = await openFile(file);
  try {
    checkLabelsFit(reference, source);
    return renderPicture({ image: toImage(await readPlane(source, 0)), reference, prediction });
  } finally {
    await source.close();
  }
}

function writeReport(output: string, { rows, pictures, grids, maps }: Scored, args: readonly string[]): void {
  const csv = isTable(output);
  writeWhole(csv ? output : path.join(output, 'scores.csv'), scoresToCsv(rows));
  if (csv) return;
  const facts: Record<string, string> = {
    command: `micro-sam evaluate ${args.join(' ')}`,
    date: new Date().toISOString(),
  };
  for (const { model, grid } of grids) facts[`best thresholds of ${model}`] = describe(grid);
  for (const { model, maps: search } of maps) facts[`best settings of ${model}'s maps`] = describeMaps(search);
  writeWhole(path.join(output, 'report.html'), reportToHtml({ title: 'Segmentation scores', rows, pictures, facts }));
  for (const { model, grid } of grids) {
    const lines = grid.points.map((p) => [p.predIouThresh, p.stabilityScoreThresh, p.msa].join(','));
    writeWhole(
      path.join(output, `grid_${model}.csv`),
      `pred_iou_thresh,stability_score_thresh,msa\n${lines.join('\n')}\n`,
    );
  }
}

function describe({ best }: GridSearch): string {
  return `predicted IoU ${best.predIouThresh}, stability ${best.stabilityScoreThresh}: mean segmentation accuracy ${best.msa.toFixed(3)}`;
}

function describeMaps({ best }: MapsSearch): string {
  return `${mapsFlags(best)}: mean segmentation accuracy ${best.msa.toFixed(3)}`;
}

function print({ rows, grids, maps }: Scored, json: boolean): void {
  if (json) {
    const searches = { grids: grids.map(({ model, grid }) => ({ model, ...grid })), maps };
    console.log(JSON.stringify({ rows, ...searches }, null, 2));
    return;
  }
  console.log(scoresToCsv(rows).trimEnd());
  for (const { model, grid } of grids) console.log(`${model}: best ${describe(grid)}`);
  for (const { model, maps: search } of maps) console.log(`${model}: best ${describeMaps(search)}`);
}

export const evaluate: Command = { summary: 'Score predictions or models against reference labels', usage, run };
