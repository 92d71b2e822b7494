import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { train } from '../../src/cli/train/train.js';
import { findModel } from '../../src/cli/train/trained-models.js';
import { itemAt } from '../../src/items.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { type DataItem, dataItems, dataPath } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { realWorker } from '../support/real-worker.js';
import { MEASURES, type Scores, scoresOf } from './score.js';

/**
 * What `micro-sam train` on a few images gains on others of the same source: 14 images of nuclei in five folds, and four of
 * phase contrast, of which each in turn is left out. Every fold is trained as a user would, by one command on a folder, the
 * instance decoder from random weights; the others are scored before and after. Rows are kept as they come, and the same
 * command goes on where it was, also in the middle of a fold.
 */
const STORED = 'docs/models/finetuned.csv';

/** The model that is begun with has an instance decoder of its own, which has learned from images of these sources. */
const FROM_SCRATCH = '--from_scratch';

const ALL_PARTS = ['--parts', 'instances,mask_decoder,late', FROM_SCRATCH];

type Item = Pick<DataItem, 'id' | 'file' | 'labels'>;

/** Smooth nuclei; there is a third image with granular ones. */
const SMOOTH = ['4185b9369fc8', '2817299fd3b8'].map(
  (id): Item => ({ id, file: `a_lm2d/dsb2018/${id}.png`, labels: `a_lm2d/dsb2018/${id}_labels.png` }),
);

/** Images to train with of which there is a third one among the open images. */
const [CYTOLOGY, TWO_NUCLEI] = [
  ['08275a5b1c2d', '76a372bfd3fa'],
  ['80632d6be60c', '1400420310c9'],
].map((ids) =>
  ids.map(
    (id): Item => ({ id, file: `training/dsb2018/images/${id}.png`, labels: `training/dsb2018/labels/${id}.png` }),
  ),
);

interface Recipe {
  /** Of the images that are scored. */
  readonly prefix: string;
  readonly folds: number;
  /** Instead of those of the other folds. */
  readonly training?: readonly Item[];
  readonly parts?: readonly string[];
}

const RECIPES: Readonly<Record<string, Recipe>> = {
  nuclei: { prefix: 'dsb-', folds: 5, parts: ALL_PARTS },
  'phase contrast': { prefix: 'usiigaci-set', folds: 4, parts: ALL_PARTS },
  // Two annotated, and the third of them.
  cytology: { prefix: 'dsb-1b44d2264383', folds: 1, training: CYTOLOGY },
  'two nuclei': { prefix: 'dsb-20e209f6ffa1', folds: 1, training: TWO_NUCLEI, parts: ['--parts', 'mask_decoder'] },
  'two of another kind': { prefix: 'dsb-aa47f0b303b1', folds: 1, training: SMOOTH, parts: ['--parts', 'mask_decoder'] },
  'SEM axons': { prefix: 'axon-', folds: 3 },
};

const OPTIONS = {
  base: { type: 'string', default: 'vit_t' },
  sets: { type: 'string', default: Object.keys(RECIPES).join(',') },
  folds: { type: 'string' },
  seed: { type: 'string', default: '1' },
  preset: { type: 'string', default: 'quick' },
  /** Instead of the preset's, in this order: instance decoder, mask decoder, late part, pictures; e.g. 240,120,16,36. */
  steps: { type: 'string' },
  /** Instead of the recipe's; what begins with random weights in it does so all the same. */
  parts: { type: 'string' },
  minutes: { type: 'string', default: '60' },
  threads: { type: 'string', default: '2' },
  work: { type: 'string', default: path.join('dist', 'recipes', 'finetune') },
  stored: { type: 'string', default: STORED },
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: string[]) {
  return parseArgs({ args, options: OPTIONS }).values;
}

const STEP_FLAGS = ['--n_iterations', '--n_prompt_iterations', '--n_late_iterations', '--n_canvases'];

function stepFlags({ steps }: Values): string[] {
  return (steps?.split(',') ?? []).flatMap((count, k) => [itemAt(STEP_FLAGS, k), count]);
}

/** How long the training is, for the table and for names. */
function lengthOf({ preset, steps }: Values): string {
  return steps?.replaceAll(',', '-') ?? preset;
}

/** @returns 0 when all folds are there, 3 when there is more to do */
export default async function finetune(args: string[]): Promise<number> {
  const values = parse(args);
  const end = Date.now() + Number(values.minutes) * 60_000;
  for (const fold of foldsOf(values)) {
    if (isStored(fold, values)) continue;
    if (Date.now() > end) {
      console.log('# paused; the same command goes on');
      return 3;
    }
    await runFold(fold, values);
  }
  return 0;
}

interface Fold {
  readonly set: string;
  /** Counted from 1; 0 is the model as it was, on all images. */
  readonly index: number;
  readonly training: readonly Item[];
  readonly testing: readonly Item[];
  readonly parts: readonly string[];
}

/** Folds of both sets in turn, at last the models as they were, whose grid of points takes long. */
function foldsOf({ sets, folds: chosen, parts: chosenParts }: Values): Fold[] {
  const perSet = Object.entries(RECIPES)
    .filter(([set]) => sets.split(',').includes(set))
    .map(([set, { prefix, folds, ...given }]) => {
      const { parts: own = [] } = given;
      const parts =
        chosenParts === undefined ? own : ['--parts', chosenParts, ...own.filter((part) => part === FROM_SCRATCH)];
      const items = dataItems().filter(({ id }) => id.startsWith(prefix));
      return Array.from({ length: folds + 1 }, (_, k) => (k + 1) % (folds + 1)).map((index): Fold => {
        const isTested = (k: number) => index === 0 || k % folds === index - 1;
        const training = given.training ?? items.filter((_, k) => !isTested(k));
        return { set, index, training, testing: items.filter((_, k) => isTested(k)), parts };
      });
    });
  const most = Math.max(...perSet.map(({ length }) => length));
  return Array.from({ length: most }, (_, index) => perSet.flatMap((folds) => folds[index] ?? []))
    .flat()
    .filter(({ index }) => chosen === undefined || chosen.split(',').includes(String(index)));
}

async function runFold(fold: Fold, values: Values): Promise<void> {
  const { model, seconds } =
    fold.index === 0 ? { model: findModel(values.base), seconds: 0 } : await trainOn(fold, values);
  const rows = await scoreOn(fold, model, values);
  store(rows, fold, seconds, values);
  if (fold.index > 0) rmSync(runFolder(fold, values), { recursive: true, force: true });
  const mean = (measure: keyof Scores) => rows.reduce((sum, row) => sum + (row.scores[measure] ?? 0), 0) / rows.length;
  const text = MEASURES.map((measure) => `${measure} ${mean(measure).toFixed(3)}`).join('  ');
  console.log(`${fold.set}, fold ${fold.index}, ${rows.length} images, ${seconds} s of processor time: ${text}`);
}

interface Training {
  readonly model: ModelSpec;
  /** Of processor time. */
  readonly seconds: number;
}

function nameOf({ set, index }: Fold, values: Values): string {
  const { base, seed } = values;
  return [base, set.replace(/\W/g, '-'), lengthOf(values), `seed${seed}`, `fold${index}`].join('-');
}

/** The state of a training, and what it works on. */
function runFolder(fold: Fold, values: Values): string {
  return path.join(values.work, 'models', nameOf(fold, values), 'run');
}

async function trainOn(fold: Fold, values: Values): Promise<Training> {
  const { training, parts } = fold;
  const { base, seed, preset, threads, work } = values;
  const name = nameOf(fold, values);
  const [images, models] = [path.join(work, `${name}-images`), path.join(work, 'models')];
  mkdirSync(images, { recursive: true });
  for (const { id, file, labels } of training) {
    copyFileSync(dataPath(file), path.join(images, `${id}${path.extname(file)}`));
    if (labels) copyFileSync(dataPath(labels), path.join(images, `${id}_labels${path.extname(labels)}`));
  }
  const folders = ['--images', images, '--labels', images, '--save_root', models];
  const named = ['--model_type', base, '--seed', seed, '--trained_model_name', name, '--threads', threads];
  const watch = stopwatch(path.join(work, `${name}.seconds`));
  const code = await train.run([...folders, ...named, ...parts, '--preset', preset, ...stepFlags(values)]);
  const seconds = watch.stop();
  if (code !== 0) throw new Error(`The training of ${name} ended with code ${code}.`);
  return { model: findModel(path.join(models, name)), seconds: Math.round(seconds) };
}

/** Processor time, which goes on from what is in the file, where it is written down every few seconds. */
function stopwatch(file: string): { readonly stop: () => number } {
  const earlier = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  const before = process.cpuUsage();
  const write = () => {
    const { user, system } = process.cpuUsage(before);
    const seconds = earlier + (user + system) / 1e6;
    writeFileSync(file, String(seconds));
    return seconds;
  };
  const timer = setInterval(write, 5000);
  return {
    stop() {
      clearInterval(timer);
      return write();
    },
  };
}

interface ScoredImage {
  readonly image: string;
  readonly scores: Scores;
}

/** Without training there is no instance decoder of these images: the grid of points finds what it finds. */
async function scoreOn(fold: Fold, model: ModelSpec, values: Values): Promise<ScoredImage[]> {
  const { index, set, testing, parts } = fold;
  const worker = await realWorker();
  const choices = {
    only: parts.includes('mask_decoder') ? 'prompts' : index === 0 ? 'prompts,amg' : 'prompts,ais',
    objects: '24',
    work: path.join(values.work, 'embeddings'),
  };
  const rows: ScoredImage[] = [];
  try {
    for (const { id } of testing) {
      const scores = await scoresOf(worker, model, { set, name: id, load: () => readGroundTruth(id) }, choices);
      rows.push({ image: id, scores });
    }
    return rows;
  } finally {
    await worker.close();
  }
}

const HEADER = `base,set,steps,seed,fold,image,${MEASURES.join(',')},cpu_seconds`;

function keyOf({ set, index }: Pick<Fold, 'set' | 'index'>, values: Values): string {
  const { base, seed } = values;
  return [base, set, ...(index === 0 ? ['', ''] : [lengthOf(values), seed]), index, ''].join(',');
}

function isStored(fold: Fold, values: Values): boolean {
  if (!existsSync(values.stored)) return false;
  return readFileSync(values.stored, 'utf8').includes(`\n${keyOf(fold, values)}`);
}

function store(rows: readonly ScoredImage[], fold: Fold, seconds: number, values: Values): void {
  if (!existsSync(values.stored)) appendFileSync(values.stored, `${HEADER}\n`);
  const lines = rows.map(({ image, scores }) => {
    const cells = MEASURES.map((measure) => scores[measure]?.toFixed(4) ?? '');
    return `${keyOf(fold, values)}${image},${cells.join(',')},${seconds}\n`;
  });
  appendFileSync(values.stored, lines.join(''));
}
