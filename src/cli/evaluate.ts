import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { asSamError, SamError } from '../errors.js';
import { renderPicture } from '../evaluation/picture.js';
import { type ReportPicture, reportToHtml, type ScoreRow, scoresToCsv } from '../evaluation/report.js';
import { scoreSegmentation, separateObjects } from '../evaluation/segmentation-accuracy.js';
import { planeCount, readPlane } from '../io/image.js';
import { toImage } from '../model/intensity.js';
import type { LabelImage } from '../ndimage/array.js';
import { interruptible } from './batch/batch.js';
import { expandInputs, stemOf } from './batch/inputs.js';
import { ProgressLine } from './batch/progress-line.js';
import { type Command, UsageError } from './command.js';
import { openFile } from './engine.js';

/** Predictions against reference labels: a table per image and its means, as CSV and as a page with pictures. */
const usage = `micro-sam evaluate --labels FILES --predictions FILES [options]

      --labels PATH          reference labels: file, folder or pattern
      --predictions PATH     labels to score; give it several times to compare side by side
      --label_key KEY        --prediction_key KEY       dataset inside an HDF5, zarr or npz file
      --images PATH          the images, for the pictures of the report
  -o, --output PATH          a .csv file, or a folder for scores.csv and report.html
      --names LIST           names of the predictions, with commas (default: their folders)
      --separate             relabel the reference by connected components, as micro-sam does for files
      --json                 print the scores as JSON

Files belong together in sorted order; their numbers must agree.
Scores: mean segmentation accuracy over IoU 0.50 to 0.95, at 0.5 and 0.75, precision, recall, F1, Dice.`;

async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      labels: { type: 'string' },
      predictions: { type: 'string', multiple: true },
      label_key: { type: 'string' },
      prediction_key: { type: 'string' },
      images: { type: 'string' },
      output: { type: 'string', short: 'o' },
      names: { type: 'string' },
      separate: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  if (!values.labels || !values.predictions?.length) throw new UsageError('Give --labels and --predictions.');
  const references = expandInputs([values.labels]);
  const images = values.images ? expandInputs([values.images]) : undefined;
  const settings = values.predictions.map((given, i) => {
    const files = expandInputs([given]);
    if (files.length !== references.length) {
      throw new UsageError(
        `${values.labels} has ${references.length} files and ${given} has ${files.length}; they must agree.`,
      );
    }
    return { name: values.names?.split(',')[i] ?? path.basename(path.resolve(given)), files };
  });
  if (images && images.length !== references.length) {
    throw new UsageError(`There are ${references.length} label files and ${images.length} images; they must agree.`);
  }

  const signal = interruptible();
  const progress = new ProgressLine(process.stderr, values.json);
  progress.start();
  const rows: ScoreRow[] = [];
  const pictures: ReportPicture[] = [];
  const total = references.length * settings.length;
  for (const [i, file] of references.entries()) {
    for (const setting of settings) {
      signal.throwIfAborted();
      const row = { image: stemOf(file), setting: setting.name };
      try {
        const read = await readLabels(file, values.label_key);
        const reference = values.separate ? separateObjects(read) : read;
        const prediction = await readLabels(setting.files[i], values.prediction_key);
        rows.push({ ...row, scores: { ...scoreSegmentation(reference, prediction) } });
        if (images && reference.shape.length === 2)
          pictures.push({ ...row, png: await picture(images[i], reference, prediction) });
      } catch (error) {
        rows.push({ ...row, scores: {}, error: asSamError(error).message });
      }
      progress.update({ done: rows.length, total, message: `Scored ${row.image}` });
    }
  }
  progress.clear();
  if (values.output) writeReport(values.output, rows, pictures, args);
  console.log(values.json ? JSON.stringify(rows, null, 2) : scoresToCsv(rows).trimEnd());
  return rows.some((row) => row.error) ? 1 : 0;
}

/** [H, W], or [planes, H, W] of a stack. */
async function readLabels(file: string, key?: string): Promise<LabelImage> {
  const source = await openFile(file, key);
  try {
    if (source.sizes.c > 1) {
      throw new SamError('invalid_image', `${file} has ${source.sizes.c} channels; a label image has one.`);
    }
    const { y, x } = source.sizes;
    const planes = planeCount(source);
    const data = new Uint32Array(planes * y * x);
    for (let plane = 0; plane < planes; plane++) data.set((await readPlane(source, plane)).data, plane * y * x);
    return { data, shape: planes === 1 ? [y, x] : [planes, y, x] };
  } finally {
    await source.close();
  }
}

async function picture(file: string, reference: LabelImage, prediction: LabelImage): Promise<Uint8Array> {
  const source = await openFile(file);
  try {
    return renderPicture({ image: toImage(await readPlane(source, 0)), reference, prediction });
  } finally {
    await source.close();
  }
}

function writeReport(
  output: string,
  rows: readonly ScoreRow[],
  pictures: readonly ReportPicture[],
  args: readonly string[],
): void {
  if (/\.csv$/i.test(output)) {
    mkdirSync(path.dirname(path.resolve(output)), { recursive: true });
    writeFileSync(output, scoresToCsv(rows));
    return;
  }
  mkdirSync(output, { recursive: true });
  writeFileSync(path.join(output, 'scores.csv'), scoresToCsv(rows));
  const facts = { command: `micro-sam evaluate ${args.join(' ')}`, date: new Date().toISOString() };
  writeFileSync(
    path.join(output, 'report.html'),
    reportToHtml({ title: 'Segmentation scores', rows, pictures, facts }),
  );
}

export const evaluate: Command = { summary: 'Score predictions against reference labels', usage, run };
