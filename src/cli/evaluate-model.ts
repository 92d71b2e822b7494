import { asSamError } from '../errors.js';
import { type GridSearch, gridSearch, type LabelledState } from '../evaluation/grid-search.js';
import { evaluateIteratively, evaluatePrompts, type PromptedObjects } from '../evaluation/iterative-prompting.js';
import { type LabelledMaps, type MapsSearch, searchMaps } from '../evaluation/maps-search.js';
import { renderPicture } from '../evaluation/picture.js';
import { type PromptSetting, STANDARD_SETTINGS } from '../evaluation/prompts-from-ground-truth.js';
import type { ReportPicture, ScoreRow } from '../evaluation/report.js';
import { scoreSegmentation } from '../evaluation/segmentation-accuracy.js';
import { readPlane } from '../io/image.js';
import { isOneOf } from '../items.js';
import { toImage } from '../model/intensity.js';
import type { LabelImage } from '../ndimage/array.js';
import { threeAxes } from '../ndimage/label.js';
import { generateLabels } from '../segmentation/amg/generate.js';
import { initializeAmg } from '../segmentation/amg/initialize.js';
import { automaticSegmentation } from '../segmentation/automatic.js';
import { recommendedThresholds } from '../segmentation/automatic-choices.js';
import type { SegmentContext } from '../segmentation/context.js';
import { initializeInstances } from '../segmentation/instances/initialize.js';
import { masksToLabels } from '../segmentation/masks-to-labels.js';
import type { TaskOptions } from '../task.js';
import { UsageError } from './command.js';
import { checkLabelsFit } from './label-files.js';
import type { ModelInUse } from './model-in-use.js';

/** The model against reference labels: with prompts made from them, click by click, or without prompts. */
const EVALUATION_MODES = ['prompts', 'iterative', 'ais', 'apg', 'amg', 'grid', 'maps'] as const;
export type EvaluationMode = (typeof EVALUATION_MODES)[number];

/** Scores as they come. */
export interface Scored {
  readonly rows: ScoreRow[];
  readonly pictures: ReportPicture[];
  readonly grids: { readonly model: string; readonly grid: GridSearch }[];
  readonly maps: { readonly model: string; readonly maps: MapsSearch }[];
}

export interface LabelledFile {
  /** Path or address. */
  readonly image: string;
  /** What rows and pictures call it. */
  readonly title: string;
  /** What its kept embeddings are called. */
  readonly embeddings?: string;
  reference(): Promise<LabelImage>;
}

export function parseModes(text: string): EvaluationMode[] {
  return text.split(',').map((name): EvaluationMode => {
    if (isOneOf(EVALUATION_MODES, name)) return name;
    throw new UsageError(`--mode is one of ${EVALUATION_MODES.join(', ')}, not "${name}".`);
  });
}

/**
 * @param setting how the rows call this model
 * @param scored what is found is added to it at once, so that it is there when the task is cancelled
 */
export async function evaluateModel(
  inUse: ModelInUse,
  files: readonly LabelledFile[],
  modes: readonly EvaluationMode[],
  setting: string,
  { rows, pictures, ...searches }: Scored,
  task: TaskOptions = {},
): Promise<void> {
  const states: LabelledState[] = [];
  const maps: LabelledMaps[] = [];
  for (const [index, { image, title, ...file }] of files.entries()) {
    const inner: TaskOptions = {
      signal: task.signal,
      onProgress: ({ done, total, message }) =>
        task.onProgress?.({
          done: index + (total > 0 ? done / total : 0),
          total: files.length,
          message: `${title}: ${message}`,
        }),
    };
    const add = (name: string, scores: Record<string, number>) =>
      rows.push({ image: title, setting: `${setting}, ${name}`, scores });
    try {
      const reference = await file.reference();
      const source = await inUse.open(image, inner);
      try {
        checkLabelsFit(reference, source);
        const embeddings = await inUse.embeddings(source, file.embeddings ?? title, inner);
        try {
          const context = { worker: inUse.worker, model: inUse.model.name, embeddings, plane: 0 };
          if (modes.includes('prompts')) await scorePrompts(context, reference, add, inner);
          if (modes.includes('iterative')) await scoreIterations(context, reference, add, inner);
          const show = async (mode: EvaluationMode, labels: LabelImage) => {
            add(mode, { ...scoreSegmentation(reference, labels) });
            const pixels = toImage(await readPlane(source, 0), embeddings.intensity);
            const png = renderPicture({ image: pixels, reference, prediction: labels });
            pictures.push({ image: title, setting: `${setting}, ${mode}`, png });
          };
          for (const mode of ['ais', 'apg'] as const)
            if (modes.includes(mode))
              await show(
                mode,
                (
                  await automaticSegmentation(context, {
                    mode,
                    thresholds: recommendedThresholds(mode, inUse.model.defaults),
                    ...inner,
                  })
                ).labels,
              );
          if (modes.includes('maps')) maps.push({ state: await initializeInstances(context, inner), reference });
          if (modes.includes('amg') || modes.includes('grid')) {
            const state = await initializeAmg(context, inner);
            states.push({ state, reference });
            const { labels } = generateLabels(state, { ...inUse.model.defaults });
            if (modes.includes('amg')) await show('amg', labels);
          }
        } finally {
          embeddings.close();
        }
      } finally {
        await source.close();
      }
    } catch (error) {
      const known = asSamError(error);
      if (known.code === 'cancelled') throw known;
      rows.push({ image: title, setting, scores: {}, error: known.message });
    }
  }
  if (modes.includes('grid') && states.length > 0)
    searches.grids.push({ model: setting, grid: await gridSearch(states, task) });
  if (maps.length > 0) searches.maps.push({ model: setting, maps: await searchMaps(maps, task) });
}

type AddScores = (name: string, scores: Record<string, number>) => void;

function promptName({ positives, negatives, box }: PromptSetting): string {
  return box && positives === 0 ? 'box' : `p${positives}-n${negatives}${box ? '-box' : ''}`;
}

/** Seeded, so that the figures can be repeated. */
function generator(): () => number {
  let state = 17;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function promptScores(result: PromptedObjects, reference: LabelImage): Record<string, number> {
  const [, height, width] = threeAxes(reference.shape);
  const labels = masksToLabels(result.masks, [height, width]);
  return { mean_iou: result.meanIou, ...scoreSegmentation(reference, labels) };
}

async function scorePrompts(
  context: SegmentContext,
  reference: LabelImage,
  add: AddScores,
  task: TaskOptions,
): Promise<void> {
  for (const setting of STANDARD_SETTINGS) {
    const result = await evaluatePrompts(context, reference, setting, { ...task, random: generator() });
    add(promptName(setting), promptScores(result, reference));
  }
}

async function scoreIterations(
  context: SegmentContext,
  reference: LabelImage,
  add: AddScores,
  task: TaskOptions,
): Promise<void> {
  for (const start of ['point', 'box'] as const) {
    const results = await evaluateIteratively(context, reference, { ...task, start, random: generator() });
    results.forEach((result, i) => {
      add(`iterative from ${start} ${String(i).padStart(2, '0')}`, promptScores(result, reference));
    });
  }
}
