import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { modelFields } from '../../src/embeddings/signature.js';
import { evaluatePrompts } from '../../src/evaluation/iterative-prompting.js';
import { renderPicture } from '../../src/evaluation/picture.js';
import { STANDARD_SETTINGS } from '../../src/evaluation/prompts-from-ground-truth.js';
import { scoreSegmentation } from '../../src/evaluation/segmentation-accuracy.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { toImage } from '../../src/model/intensity.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { registerModel, resolveModel } from '../../src/model/registry.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { automaticSegmentation } from '../../src/segmentation/automatic.js';
import { recommendedThresholds } from '../../src/segmentation/automatic-choices.js';
import { masksToLabels } from '../../src/segmentation/masks-to-labels.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { realWorker } from '../support/real-worker.js';
import { type ValidationImage, validationImages } from './validation-images.js';

/**
 * Scores models on images that they were not trained on: mean IoU from the innermost point and from the box of each object,
 * and mean segmentation accuracy without prompts. Image by image, then the mean over the images of each set; what differs
 * from the stored scores is told. `--write` stores them.
 */
const STORED = 'docs/models/scores.csv';
/** Two machines round differently. */
const TOLERANCE = 0.002;

export const MEASURES = ['point', 'box', 'msa', 'sa50'] as const;
export type Scores = Readonly<Partial<Record<(typeof MEASURES)[number], number>>>;

interface Row {
  readonly model: string;
  readonly set: string;
  readonly image: string;
  readonly scores: Scores;
}

const OPTIONS = {
  models: { type: 'string', default: 'vit_t,msi_lm' },
  /** Beginnings of the names of sets. */
  sets: { type: 'string', default: '' },
  images: { type: 'string', default: '' },
  /** Files of a candidate, in the place of the model's own. */
  decoder: { type: 'string' },
  instances: { type: 'string' },
  encoder_delta: { type: 'string' },
  /** Prompted objects of an image, at most. */
  objects: { type: 'string', default: '24' },
  /** prompts, ais. */
  only: { type: 'string', default: 'prompts,ais' },
  work: { type: 'string', default: path.join('dist', 'recipes', 'embeddings') },
  /** A folder for pictures of what was found, with the outlines of the reference. */
  pictures: { type: 'string' },
  write: { type: 'boolean', default: false },
} as const;

export default async function score(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: OPTIONS });
  const chosen = (text: string, list: string) => list.split(',').some((start) => text.includes(start));
  const images = validationImages().filter(({ set, name }) => chosen(set, values.sets) && chosen(name, values.images));
  const models =
    values.decoder || values.instances || values.encoder_delta
      ? [candidate(values)]
      : values.models.split(',').map(resolveKnown);
  const worker = await realWorker();
  const rows: Row[] = [];
  for (const image of images)
    for (const model of models) {
      const row = {
        model: model.name,
        set: image.set,
        image: image.name,
        scores: await scoresOf(worker, model, image, values),
      };
      rows.push(row);
      console.log(line(row));
    }
  await worker.close();
  console.log(`\nMeans over images\n${meansOf(rows).map(line).join('\n')}`);
  if (!values.write) return tellDifferences(rows) ? 0 : 1;
  store(rows);
  return 0;
}

function resolveKnown(name: string): ModelSpec {
  return resolveModel(name);
}

/** Our model with other files. */
function candidate(files: { decoder?: string; instances?: string; encoder_delta?: string }): ModelSpec {
  const { encoder, encoderDelta, decoder, instances, encoderName, defaults } = resolveModel('msi_lm');
  const { encoder_delta: delta } = files;
  return registerModel({
    name: 'candidate',
    encoder,
    encoderDelta: delta ? { url: delta, sha256: sha256Of(delta) } : encoderDelta,
    decoder: files.decoder ?? decoder,
    instances: files.instances ?? instances,
    ...(delta === undefined && { encoderName }),
    defaults,
  });
}

/** Embeddings are kept by it. */
function sha256Of(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

interface Choices {
  /** prompts, ais, amg. */
  readonly only: string;
  readonly objects: string;
  readonly work: string;
  readonly pictures?: string;
}

export async function scoresOf(
  worker: SamWorker,
  model: ModelSpec,
  { name, load }: ValidationImage,
  { only, objects, work, pictures }: Choices,
): Promise<Scores> {
  const { pixels, labels } = await load();
  const source = openNdarray({ ...pixels, axes: pixels.shape.length === 3 ? 'yxs' : 'yx' } as never);
  const store = folderStore(path.join(work, encoderFolder(model), name.replace(/\W/g, '-')));
  const embeddings = await openEmbeddings({ source, worker, model, tiling: 'none', early: true, store });
  const context = { worker, model: model.name, embeddings, plane: 0 };
  const scores: { -readonly [M in keyof Scores]: number } = {};
  const show = (what: string, prediction: LabelImage) => {
    if (!pictures) return;
    const png = renderPicture({ image: toImage(pixels), reference: labels, prediction });
    writeFileSync(path.join(pictures, `${path.basename(name, '.png')}-${model.name}-${what}.png`), png);
  };
  try {
    if (only.includes('prompts')) {
      const options = { random: () => 0.5, minSize: 20, maxObjects: Number(objects) };
      const points = await evaluatePrompts(context, labels, STANDARD_SETTINGS[0], options);
      show('point', masksToLabels(points.masks, embeddings.size));
      scores.point = points.meanIou;
      scores.box = (await evaluatePrompts(context, labels, STANDARD_SETTINGS[3], options)).meanIou;
    }
    for (const mode of ['ais', 'amg'] as const) {
      if (!only.includes(mode)) continue;
      const found = await automaticSegmentation(context, {
        mode,
        thresholds: recommendedThresholds(mode, model.defaults),
      });
      const { msa, sa50 } = scoreSegmentation(labels, found.labels);
      show(mode, found.labels);
      Object.assign(scores, { msa, sa50 });
    }
    await embeddings.stored();
  } finally {
    embeddings.close();
  }
  return scores;
}

/** Models that share an encoder share their embeddings. */
function encoderFolder(model: ModelSpec): string {
  const { model_name: name, model_hash: hash } = modelFields(model);
  return `${name}-${createHash('sha256').update(`${hash}`).digest('hex').slice(0, 8)}`;
}

function meansOf(rows: readonly Row[]): Row[] {
  const groupOf = ({ model, set }: Row) => `${set}\n${model}`;
  return [...new Set(rows.map(groupOf))].map((key) => {
    const group = rows.filter((row) => groupOf(row) === key);
    const mean = (measure: keyof Scores) =>
      group.reduce((sum, { scores }) => sum + (scores[measure] ?? 0), 0) / group.length;
    const measures = MEASURES.filter((measure) => group[0].scores[measure] !== undefined);
    const scores = Object.fromEntries(measures.map((measure) => [measure, mean(measure)]));
    return { ...group[0], image: `mean of ${group.length}`, scores };
  });
}

function line({ model, set, image, scores }: Row): string {
  const values = MEASURES.map((measure) => `${measure} ${scores[measure]?.toFixed(3) ?? '-'}`);
  return [set.padEnd(22), image.padEnd(44), model.padEnd(10), ...values].join('  ');
}

const HEADER = `set,image,model,${MEASURES.join(',')}`;

/** What the file has of other images and models, or of other measures, stays. */
function store(rows: readonly Row[]): void {
  const all = new Map(storedRows().map((row) => [keyOf(row), row]));
  for (const row of rows) all.set(keyOf(row), { ...row, scores: { ...all.get(keyOf(row))?.scores, ...row.scores } });
  const cells = ({ model, set, image, scores }: Row) => [
    ...[`"${set}"`, image, model],
    ...MEASURES.map((measure) => scores[measure]?.toFixed(4) ?? ''),
  ];
  writeFileSync(STORED, `${[HEADER, ...[...all.values()].map((row) => cells(row).join(','))].join('\n')}\n`);
}

function keyOf({ set, image, model }: Row): string {
  return [set, image, model].join('\n');
}

function storedRows(): Row[] {
  if (!existsSync(STORED)) return [];
  const lines = readFileSync(STORED, 'utf8').trim().split('\n').slice(1);
  return lines.map((text) => {
    const [, set, image, model, numbers] = /^"(.*)",(.*),(\w+),((?:[^,]*,){3}[^,]*)$/.exec(text) as string[];
    const values = numbers.split(',');
    const given = MEASURES.flatMap((measure, k) => (values[k] ? [[measure, Number(values[k])]] : []));
    return { set, image, model, scores: Object.fromEntries(given) };
  });
}

/** @returns whether all are as they are stored */
function tellDifferences(rows: readonly Row[]): boolean {
  const stored = new Map(storedRows().map((row) => [keyOf(row), row.scores]));
  let same = true;
  for (const row of rows)
    for (const measure of MEASURES) {
      const [got, was] = [row.scores[measure], stored.get(keyOf(row))?.[measure]];
      if (got === undefined || was === undefined || Math.abs(got - was) <= TOLERANCE) continue;
      console.log(`${row.image}, ${row.model}: ${measure} is ${got.toFixed(4)}, ${was} in ${STORED}`);
      same = false;
    }
  return same;
}
