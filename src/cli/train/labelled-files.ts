import path from 'node:path';
import { type ImageSource, planeCount, readPlane } from '../../io/image.js';
import { openFile } from '../../io/node-open.js';
import { counted, itemAt } from '../../items.js';
import { toImage } from '../../model/intensity.js';
import { type LabelImage, tensor } from '../../ndimage/array.js';
import { labelSizes, removeSmall, threeAxes } from '../../ndimage/label.js';
import type { TaskOptions } from '../../task.js';
import { annotatedData, LEAST_OBJECTS, type Sample } from '../../training/annotated.js';
import { medianDiameter, type TrainingImage, toldApart } from '../../training/labelled-image.js';
import { UsageError } from '../command.js';
import { readLabels } from '../label-files.js';

/**
 * Images and their labels in files, paired by name; each plane of a stack with objects in it is an image of its own.
 * Labels are read when the list is made, which is when faults are found; images when they are needed.
 */
export interface LabelledFile {
  readonly image: string;
  readonly labels: string;
}

export interface LabelledPlane extends TrainingImage {
  readonly file: LabelledFile;
  /** [H, W]. */
  readonly size: readonly [number, number];
  readonly objects: number;
  readonly dropped: number;
  readonly diameter?: number;
  /** The labels have one value for all objects, which are told apart by the background between them. */
  readonly oneValue: boolean;
}

export interface LabelledOptions {
  readonly imageKey?: string;
  readonly labelKey?: string;
  /** Objects of fewer pixels are taken for background. */
  readonly minSize: number;
  /** Not all objects are labelled. */
  readonly partial: boolean;
}

export async function labelledPlanes(
  files: readonly LabelledFile[],
  options: LabelledOptions,
  { signal, onProgress }: TaskOptions = {},
): Promise<LabelledPlane[]> {
  const planes: LabelledPlane[] = [];
  for (const [index, file] of files.entries()) {
    signal?.throwIfAborted();
    planes.push(...(await planesOf(file, options)));
    onProgress?.({ done: index + 1, total: files.length, message: `Read ${path.basename(file.image)}` });
  }
  return planes;
}

async function planesOf(file: LabelledFile, options: LabelledOptions): Promise<LabelledPlane[]> {
  const stored = await readLabels(file.labels, { key: options.labelKey, flag: '--label_key' });
  const labels = toldApart(stored, options.minSize);
  const [count, height, width] = threeAxes(labels.shape);
  const shape = await read(file.image, options.imageKey, async (source) => ({
    ...source.sizes,
    planes: planeCount(source),
  }));
  if (shape.y !== height || shape.x !== width || shape.planes !== count)
    throw new UsageError(
      `${file.labels} has ${count} x ${height} x ${width} pixels, its image ${file.image} ${shape.planes} x ${shape.y} x ${shape.x}; they must agree.`,
    );
  const found: LabelledPlane[] = [];
  for (let plane = 0; plane < count; plane++) {
    const all: LabelImage = tensor(labels.data.slice(plane * height * width, (plane + 1) * height * width), [
      height,
      width,
    ]);
    const kept = removeSmall(all, options.minSize);
    const objects = labelSizes(kept).size;
    if (objects === 0) continue;
    const name = count === 1 ? file.image : `${file.image}, plane ${plane}`;
    found.push({
      file,
      name,
      kind: `${height} x ${width} x ${shape.c}`,
      size: [height, width],
      objects,
      dropped: labelSizes(all).size - objects,
      diameter: medianDiameter(kept),
      oneValue: labels !== stored,
      load: async () => ({ image: await imageOf(file, plane, options), labels: kept, partial: options.partial }),
    });
  }
  return found;
}

/**
 * Of each of few planes a strip with a quarter of its objects is kept back, as for the annotator's button; nothing of planes
 * with so few objects that none can be spared.
 */
export async function withStrips(
  planes: readonly LabelledPlane[],
  options: Pick<LabelledOptions, 'minSize' | 'partial'> & { readonly seed: number },
  task: TaskOptions,
): Promise<{ readonly training: LabelledPlane[]; readonly validation: LabelledPlane[] }> {
  const objects = planes.reduce((sum, plane) => sum + plane.objects, 0);
  if (objects < 2 * LEAST_OBJECTS) return { training: [...planes], validation: [] };
  const images = await Promise.all(planes.map(async ({ name, load }) => ({ name, ...(await load(task)) })));
  const { training, heldBack } = annotatedData(images, options);
  const planeOf = (sample: Sample): LabelledPlane => {
    const [height = 0, width = 0] = sample.labels.shape;
    const plane = itemAt(
      planes,
      planes.findIndex(({ name }) => name === sample.name),
    );
    return {
      ...plane,
      size: [height, width],
      objects: labelSizes(sample.labels).size,
      dropped: heldBack.includes(sample) ? 0 : plane.dropped,
      diameter: medianDiameter(sample.labels),
      load: async () => sample,
    };
  };
  return { training: training.map(planeOf), validation: heldBack.map(planeOf) };
}

function imageOf(file: LabelledFile, plane: number, { imageKey }: LabelledOptions) {
  return read(file.image, imageKey, async (source) => toImage(await readPlane(source, plane)));
}

async function read<T>(file: string, key: string | undefined, use: (source: ImageSource) => Promise<T>): Promise<T> {
  const source = await openFile(file, { key });
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** What will be trained on, for people. */
export function dataReport(training: readonly LabelledPlane[], validation: readonly LabelledPlane[]): string {
  const sum = (planes: readonly LabelledPlane[], of: (plane: LabelledPlane) => number) =>
    planes.reduce((total, plane) => total + of(plane), 0);
  const line = (what: string, planes: readonly LabelledPlane[]) => {
    const diameters = planes.flatMap(({ diameter }) => diameter ?? []).sort((a, b) => a - b);
    const [smallest] = diameters;
    const span =
      smallest === undefined ? '' : `, ${smallest.toFixed(0)} to ${diameters.at(-1)?.toFixed(0)} pixels across`;
    const objects = sum(planes, (plane) => plane.objects);
    return `${what}: ${counted(planes.length, 'image')}, ${counted(objects, 'object')}${span}`;
  };
  const dropped = sum([...training, ...validation], (plane) => plane.dropped);
  const masks = new Set(
    [...training, ...validation].filter(({ oneValue }) => oneValue).map(({ file }) => path.basename(file.labels)),
  );
  return [
    line('To train on', training),
    validation.length > 0 ? line('To score on', validation) : 'To score on: nothing, there are too few images',
    ...(dropped > 0 ? [`Left out for being too small (--min_size): ${counted(dropped, 'object')}`] : []),
    ...(masks.size > 0
      ? [`Masks of one value, in which each connected piece counts as an object: ${[...masks].join(', ')}`]
      : []),
  ].join('\n');
}
