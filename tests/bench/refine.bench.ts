import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { correctionPoints } from '../../src/evaluation/iterative-prompting.js';
import { promptFromObject } from '../../src/evaluation/prompts-from-ground-truth.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { resolveModel } from '../../src/model/registry.js';
import type { LabelImage, Size, Tensor } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { intersectionArea, maskIou } from '../../src/ndimage/mask-sets.js';
import { EMPTY_MASK, masksFromLabels } from '../../src/ndimage/rle.js';
import { generateAutomatic, initializeAutomatic } from '../../src/segmentation/automatic.js';
import { recommendedThresholds } from '../../src/segmentation/automatic-choices.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import { correctMask } from '../../src/segmentation/correct-mask.js';
import { segmentBatch, segmentEach } from '../../src/segmentation/from-prompts.js';
import type { PromptPoint } from '../../src/segmentation/image-prompt.js';
import { Annotator3d } from '../../src/session/annotators/annotator-3d.js';
import { AnnotatorTracking } from '../../src/session/annotators/annotator-tracking.js';
import { annotatedMask, layerOf } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import { openImages } from '../recipes/training-data.js';
import { dataItems, dataPath, hasData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { seededRandom } from '../support/random.js';
import { readFrames, readStack } from '../support/real-stacks.js';
import { realWorker } from '../support/real-worker.js';
import { clickInLargestError, middleOf } from '../support/simulated-clicks.js';
import { stackContext } from '../support/stack-source.js';
import { objectOf } from '../support/volume-accuracy.js';
import { volumeIou } from '../support/volume-iou.js';
import { atLeast, atMost, type Figure, reported } from './figure.js';

/**
 * What correcting clicks do to masks that are there, by simulated people who click in the middle of the largest error
 * (volumes, automatic objects) or anywhere in it (iterative prompting). docs/correction.md has the results.
 *
 * REFINE_PARTS names the parts to run, by commas: click, rounds, automatic (by a grid of points), instances (automatic by
 * the model's instance decoder, in a fiftieth of the time), held (the same on images that neither a model nor a rule has
 * seen: those held back of the images to train with), volume. REFINE_OBJECTS is the number of
 * objects per image, REFINE_IMAGES parts of the ids of images, REFINE_VOLUMES the volumes and time series by id,
 * REFINE_MODEL the model.
 */
const MODEL = process.env.REFINE_MODEL ?? 'vit_t';
const PARTS = (process.env.REFINE_PARTS ?? 'click,rounds,automatic,instances,held,volume').split(',');
const OBJECTS = Number(process.env.REFINE_OBJECTS ?? 2);
const IMAGES = (process.env.REFINE_IMAGES ?? '').split(',');
const VOLUMES = (process.env.REFINE_VOLUMES ?? 'qcanet-8cell').split(',');
const ROUNDS = 8;
const MIN_PIXELS = 30;
const TIME_SERIES = ['usiigaci-t98g-f0', 'laptrack-c2c12'];
const STACKS = ['gala-train', 'neuroproof-ts2-z0-60', 'plantseg-sample_ovule', 'plantseg-1135_mini', 'qcanet-8cell'];

type Worker = Awaited<ReturnType<typeof realWorker>>;

export default async function run(): Promise<Figure[]> {
  if (!hasData) return [];
  const worker = await realWorker();
  const figures: Figure[] = [];
  if (PARTS.includes('click')) figures.push(...(await firstClicks(worker)));
  if (PARTS.includes('rounds')) figures.push(...(await rounds(worker)));
  if (PARTS.includes('automatic'))
    figures.push(...(await automaticObjects(worker, flatImages(worker), 'automatic', 'amg')));
  if (PARTS.includes('instances'))
    figures.push(...(await automaticObjects(worker, flatImages(worker), 'instances', 'auto')));
  if (PARTS.includes('held')) figures.push(...(await automaticObjects(worker, heldImages(worker), 'held', 'auto')));
  if (PARTS.includes('volume')) for (const id of VOLUMES) figures.push(...(await volumes(worker, id)));
  await worker.close();
  return figures;
}

interface Labelled {
  readonly id: string;
  readonly set: string;
  readonly pixels: Tensor;
  readonly context: SegmentContext;
  readonly size: Size;
  readonly objects: readonly Mask[];
}

/** The labelled 2D images, and of the stacks the middle plane. */
async function* images(worker: Worker): AsyncGenerator<Labelled> {
  for (const item of dataItems()) {
    const set = ['a_lm2d', 'b_em', 'c_lm3d', 'd_tracking'].find((folder) => item.file.startsWith(folder));
    if (!set || !item.labels || !IMAGES.some((part) => item.id.includes(part))) continue;
    const isStack = STACKS.includes(item.id) || TIME_SERIES.includes(item.id);
    const { pixels, labels } = isStack ? await middlePlane(item.id) : await readGroundTruth(item.id);
    const context = contextOf(worker, pixels, undefined, MODEL);
    const objects = [...masksFromLabels(labels).values()].filter(({ area }) => area >= MIN_PIXELS);
    yield { id: item.id, set, pixels, context, size: context.embeddings.size, objects };
  }
}

async function* flatImages(worker: Worker): AsyncGenerator<Labelled> {
  for await (const image of images(worker)) if (image.set === 'a_lm2d' || image.set === 'b_em') yield image;
}

async function* heldImages(worker: Worker): AsyncGenerator<Labelled> {
  for (const { name, set, load } of openImages('held')) {
    if (!IMAGES.some((part) => name.includes(part))) continue;
    const { image: pixels, labels } = await load();
    const context = contextOf(worker, pixels, undefined, MODEL);
    const objects = [...masksFromLabels(labels).values()].filter(({ area }) => area >= MIN_PIXELS);
    yield { id: name, set, pixels, context, size: context.embeddings.size, objects };
  }
}

/** Every centre of an object is clicked once: what takes the whole image, and how good the first mask is. */
async function firstClicks(worker: Worker): Promise<Figure[]> {
  let wholeFrames = 0;
  const ious = new Map<string, { first: number[]; surest: number[] }>();
  for await (const { id, set, context, size, objects } of images(worker)) {
    const { first, surest } = ious.get(set) ?? { first: [], surest: [] };
    ious.set(set, { first, surest });
    const some = evenly(objects, 20 * OBJECTS);
    const points = some.map((object) => ({ points: [{ at: middleOf(object), positive: true }] }));
    for await (const [index, { mask, takesFrame, candidates }] of segmentEach(context, points)) {
      if (!takesFrame && reachesAllSides(mask, size)) wholeFrames++;
      first.push(takesFrame ? 0 : maskIou(mask, some[index]));
      surest.push(maskIou(candidates.reduce((a, b) => (b.predictedIou > a.predictedIou ? b : a)).mask, some[index]));
    }
    console.error(
      `${id}: ${some.length} clicks, mean IoU ${mean(first).toFixed(3)}, by score ${mean(surest).toFixed(3)}`,
    );
  }
  return [
    atMost('first_click_whole_frame', wholeFrames, 'objects', 0),
    ...[...ious].map(([set, { first, surest }]) => atLeast(`click_iou_${set}`, mean(first), 'mean IoU', mean(surest))),
  ];
}

/** Iterative prompting: a point or a box, then in each round a click in what is missing and one in what is too much. */
async function rounds(worker: Worker): Promise<Figure[]> {
  const sums = new Map<string, number[][]>();
  let worstFall = 0;
  for await (const { id, set, context, size, objects } of flatImages(worker)) {
    for (const start of ['point', 'box'] as const) {
      const perObject: number[][] = [];
      for (const [k, object] of evenly(objects, OBJECTS).entries())
        perObject.push(await correctedInRounds(context, object, size, start, seededRandom(k + 1)));
      const perRound = Array.from({ length: ROUNDS + 1 }, (_, r) => mean(perObject.map((ious) => ious[r])));
      const key = `${set}_${start}`;
      sums.set(key, [...(sums.get(key) ?? []), perRound]);
      worstFall = Math.max(worstFall, perRound[0] - perRound[ROUNDS]);
      console.error(`${id} from a ${start}: ${perRound.map((iou) => iou.toFixed(3)).join(' ')}`);
    }
  }
  const figures = [...sums].flatMap(([key, perImage]) => {
    const means = Array.from({ length: ROUNDS + 1 }, (_, r) => mean(perImage.map((ious) => ious[r])));
    console.error(`${key}: ${means.map((iou) => iou.toFixed(3)).join(' ')}`);
    const steps = means.slice(1).map((iou, r) => iou - means[r]);
    return [
      reported(`refine_iou_${key}`, means[ROUNDS], 'mean IoU'),
      atLeast(`refine_iou_${key}_smallest_rise`, Math.min(...steps), 'mean IoU', 0),
    ];
  });
  return [...figures, atMost('refine_iou_worst_image', worstFall, 'mean IoU lost', 0.01)];
}

async function correctedInRounds(
  context: SegmentContext,
  object: Mask,
  size: Size,
  start: 'point' | 'box',
  random: () => number,
): Promise<number[]> {
  const setting = { positives: start === 'point' ? 1 : 0, negatives: 0, box: start === 'box' };
  const prompt = promptFromObject(object, size, setting, random);
  const [first] = await segmentBatch(context, [prompt]);
  let mask = first.takesFrame ? EMPTY_MASK : first.mask;
  const ious = [maskIou(mask, object)];
  const points: PromptPoint[] = [...(prompt.points ?? [])];
  for (let round = 0; round < ROUNDS; round++) {
    for (const click of correctionPoints(object, mask, size, random)) {
      points.push(click);
      ({ mask } = await correctMask(context, mask, click, points));
    }
    ious.push(maskIou(mask, object));
  }
  return ious;
}

/** Objects that automatic segmentation found, but not well: one click in the middle of the largest error. */
async function automaticObjects(
  worker: Worker,
  labelled: AsyncIterable<Labelled>,
  name: string,
  mode: 'amg' | 'auto',
): Promise<Figure[]> {
  let [total, up, down, gain] = [0, 0, 0, 0];
  const model = resolveModel(MODEL);
  await worker.load(model);
  for await (const { id, pixels, size, objects } of labelled) {
    const source = openNdarray({ ...pixels, axes: pixels.shape.length === 3 ? 'yxc' : 'yx' } as never);
    const context = { worker, model: MODEL, plane: 0, embeddings: await openEmbeddings({ source, worker, model }) };
    const state = await initializeAutomatic(context, { mode });
    const found = generateAutomatic(state, recommendedThresholds(state.mode, model.defaults));
    const wrong = found.flatMap(({ mask }) => {
      const ious = objects.map((object) => maskIou(mask, object));
      const best = ious.reduce((b, iou, k) => (iou > ious[b] ? k : b), 0);
      return ious[best] >= 0.3 && ious[best] <= 0.8 ? [{ mask, object: objects[best], iou: ious[best] }] : [];
    });
    for (const { mask, object, iou } of evenly(wrong, 4 * OBJECTS)) {
      const click = clickInLargestError(object, mask);
      if (!click) continue;
      const after = maskIou((await correctMask(context, mask, click, [click])).mask, object);
      total++;
      gain += after - iou;
      if (after > iou) up++;
      if (after < iou - 0.05) down++;
    }
    console.error(
      `${id}: ${wrong.length} of ${found.length} automatic objects to correct; so far ${up} up, ${down} down of ${total}, ${size}`,
    );
  }
  return [
    atLeast(`refine_${name}_up`, up / total, 'of objects', 0.85),
    atMost(`refine_${name}_down`, down / total, 'of objects', 0.02),
    reported(`refine_${name}_gain`, gain / total, 'mean IoU'),
  ];
}

/**
 * One click in the middle plane and propagation; three times a click in the worst plane and propagation again. `bound`:
 * instead of the click the worst plane is painted right.
 */
async function volumes(worker: Worker, id: string): Promise<Figure[]> {
  const { pixels, labels } = await readLabelledStack(id);
  const context = stackContext(worker, pixels, MODEL);
  const objects = [...new Set(labels.data)]
    .filter((label) => label > 0)
    .map((label) => objectOf(labels, label))
    .filter((masks) => masks.size >= 4 && areaOf(masks) / masks.size >= 2 * MIN_PIXELS)
    .sort((a, b) => areaOf(a) - areaOf(b));
  const chosen = id === 'qcanet-8cell' ? objects : evenly(objects, 4 * OBJECTS);
  const results: Record<'clicks' | 'bound', number[][]> = { clicks: [], bound: [] };
  for (const [k, truth] of chosen.entries())
    for (const how of ['clicks', 'bound'] as const) {
      const ious = await correctedVolume(context, truth, labels.shape, how, TIME_SERIES.includes(id));
      results[how].push(ious);
      console.error(`${id} ${k + 1}, ${how}: ${ious.map((iou) => iou.toFixed(3)).join(' ')}`);
    }
  const isReference = id === 'qcanet-8cell';
  return (['clicks', 'bound'] as const).flatMap((how) => {
    const means = [0, 1, 2, 3].map((step) => mean(results[how].map((ious) => ious[step])));
    console.error(`${id}, ${how}: ${means.map((iou) => iou.toFixed(3)).join(' ')}`);
    const steps = results[how].flatMap((ious) => ious.slice(1).map((iou, i) => iou - ious[i]));
    const falls = steps.filter((step) => step < -0.02).length;
    const rises = Math.min(...means.slice(1).map((iou, i) => iou - means[i]));
    const name = `${how === 'clicks' ? 'refine_volume_iou' : 'refine_volume_bound'}${isReference ? '' : `_${id}`}`;
    if (!isReference)
      return [reported(name, means[3], 'mean IoU'), reported(`${name}_falls`, falls, `of ${steps.length}`)];
    return [
      atLeast(name, means[3], 'mean 3D IoU', how === 'clicks' ? 0.67 : 0.74),
      atLeast(`${name}_smallest_rise`, rises, 'mean 3D IoU', 0),
      atMost(`${name}_falls`, falls, 'of 24 steps', how === 'clicks' ? 1 : 0),
    ];
  });
}

async function correctedVolume(
  context: ReturnType<typeof stackContext>,
  truth: ReadonlyMap<number, Mask>,
  [planes, height, width]: readonly number[],
  how: 'clicks' | 'bound',
  isTimeSeries: boolean,
): Promise<number[]> {
  const session = new AnnotationSession({ trackDirection: 'both' });
  const annotator = isTimeSeries ? new AnnotatorTracking(context, planes) : new Annotator3d(context, planes);
  const axes = isTimeSeries ? 'tyx' : 'zyx';
  session.open({ name: 'volume', axes, size: [height, width], planes, signature: 'v' }, annotator);
  const masks = () =>
    session.state.layers.current_object.objects.values().next().value?.masks ?? new Map<number, Mask>();
  const click = async (plane: number, { at, positive }: PromptPoint) => {
    await session.run('set_plane', { plane });
    await session.run('put_prompts', { prompts: [{ kind: 'point', id: session.newPromptId(), plane, at, positive }] });
  };
  const ious: number[] = [];
  const propagate = async () => {
    await session.run('segment_all');
    ious.push(volumeIou(truth, masks()));
  };
  const marked = [...truth.keys()];
  const middle = marked[marked.length >> 1];
  await click(middle, { at: middleOf(truth.get(middle) as Mask), positive: true });
  await propagate();
  for (let step = 0; step < 3; step++) {
    const plane = worstPlane(truth, masks(), planes);
    if (plane === undefined) {
      ious.push(ious[ious.length - 1]);
      continue;
    }
    const right = truth.get(plane);
    if (how === 'bound' && right) paintPlane(session, plane, right);
    else {
      const correction = clickInLargestError(right ?? EMPTY_MASK, masks().get(plane) ?? EMPTY_MASK);
      if (correction) await click(plane, correction);
    }
    await propagate();
  }
  await session.annotator?.close?.();
  return ious;
}

/** As the brush would leave it. */
function paintPlane(session: AnnotationSession, plane: number, mask: Mask): void {
  session.apply({
    title: 'Paint',
    change(state) {
      const [record] = state.layers.current_object.objects.values();
      const current_object = layerOf([{ ...record, ...annotatedMask(record, plane, mask) }]);
      return { ...state, layers: { ...state.layers, current_object } };
    },
  });
}

function worstPlane(
  truth: ReadonlyMap<number, Mask>,
  found: ReadonlyMap<number, Mask>,
  planes: number,
): number | undefined {
  const wrong = (plane: number) => {
    const [a, b] = [truth.get(plane) ?? EMPTY_MASK, found.get(plane) ?? EMPTY_MASK];
    return a.area + b.area - 2 * intersectionArea(a, b);
  };
  const worst = Array.from({ length: planes }, (_, plane) => plane).reduce((a, b) => (wrong(b) > wrong(a) ? b : a));
  return wrong(worst) > 0 ? worst : undefined;
}

function reachesAllSides({ box, area }: Mask, [height, width]: Size): boolean {
  return area > 0 && box[0] <= 0 && box[1] <= 0 && box[2] >= height && box[3] >= width;
}

function areaOf(masks: ReadonlyMap<number, Mask>): number {
  return [...masks.values()].reduce((sum, { area }) => sum + area, 0);
}

/** At most so many, in even steps. */
function evenly<T>(items: readonly T[], count: number): T[] {
  const taken = Math.min(count, items.length);
  return Array.from({ length: taken }, (_, i) => items[Math.floor(((i + 0.5) * items.length) / taken)]);
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function middlePlane(id: string): Promise<{ pixels: Tensor; labels: LabelImage }> {
  const { pixels, labels } = await readLabelledStack(id);
  const plane = pixels.shape[0] >> 1;
  const [height, width] = pixels.shape.slice(1);
  const cut = <T extends Tensor>({ data }: T) => ({
    data: data.slice(plane * height * width, (plane + 1) * height * width),
    shape: [height, width],
  });
  return { pixels: cut(pixels) as Tensor, labels: cut(labels) as LabelImage };
}

async function readLabelledStack(id: string): Promise<{ pixels: Tensor; labels: LabelImage }> {
  const item = dataItems().find((candidate) => candidate.id === id);
  if (!item?.labels) throw new Error(`No labelled item ${id}.`);
  const isFolder = id === 'usiigaci-t98g-f0';
  const pixels = isFolder ? await readFrames(dataPath(item.file), /^t\d+\.tif$/) : await readStack(dataPath(item.file));
  const truth = isFolder
    ? await readFrames(dataPath(item.labels), /^man_track\d+\.tif$/)
    : await readStack(dataPath(item.labels));
  return { pixels, labels: { data: Uint32Array.from(truth.data), shape: truth.shape } };
}
