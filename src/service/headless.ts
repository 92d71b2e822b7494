import * as v from 'valibot';
import { type ImageEmbeddings, openEmbeddings } from '../embeddings/image-embeddings.js';
import { precomputeEmbeddings } from '../embeddings/precompute.js';
import { checkTiles } from '../embeddings/tiling.js';
import { SamError } from '../errors.js';
import { scoreSegmentation } from '../evaluation/segmentation-accuracy.js';
import { type ImageSource, planeCount } from '../io/image.js';
import { type ImageInput, openImage } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import { readLabelImage } from '../io/results/label-image.js';
import type { Store } from '../io/store.js';
import { resolveModel } from '../model/registry.js';
import { type LabelImage, type Tensor, tensor } from '../ndimage/array.js';
import { maskFromBitmap, maskToBitmap } from '../ndimage/rle.js';
import { AUTOMATIC_MODES } from '../segmentation/automatic.js';
import { automaticStack } from '../segmentation/automatic-stack.js';
import type { SegmentContext } from '../segmentation/context.js';
import {
  type SegmentedPrompt,
  segmentFromBox,
  segmentFromBoxAndPoints,
  segmentFromMask,
  segmentFromPoints,
} from '../segmentation/from-prompts.js';
import type { PromptPoint } from '../segmentation/image-prompt.js';
import type { TaskOptions } from '../task.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { THRESHOLD_ARGUMENTS, thresholdsOf } from './automatic.js';
import { method } from './call.js';
import { halo, needed, tileShape } from './engine.js';
import { type EmbeddingsHandle, isHandle } from './handle.js';
import { imageInput, imageName, imageOrHandleSchema, imageSchema, type ServiceImage } from './image.js';
import { toRpcArray } from './ndarray.js';
import { type RunningCalls, TASK_ARGUMENTS } from './running-calls.js';
import { labelsSchema, rows } from './schemas.js';

/**
 * Segmentation without an annotator, under the names of micro-sam's Python functions: an image goes in, masks and labels come
 * out, and whatever is open stays as it is. Coordinates are (y, x) in pixels of the image. Where several questions are
 * asked of one image, `precompute_image_embeddings` encodes it once and its result takes the image's place.
 */
export interface HeadlessDeps {
  worker(): SamWorker | Promise<SamWorker>;
  /** How images are opened; default: `openImage`, which fetches addresses but knows no paths of files. */
  readonly openInput?: (input: ImageInput, options: OpenOptions) => Promise<ImageSource>;
  /** The folder of this path, to keep embeddings in. */
  readonly folder?: (path: string) => Store;
  /** Encodes these planes of the image that is open (default: all). */
  readonly precompute?: (planes: readonly number[] | undefined, task: TaskOptions) => Promise<void>;
}

/** Images whose embeddings are kept for their callers; of each at most 256 MB. The one that was used least lately goes first. */
const KEPT = 4;

const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const number = v.pipe(v.number(), v.finite());

/** Which image, and how it goes to the model. */
const IMAGE_ARGUMENTS = {
  model_type: v.optional(v.string()),
  tile_shape: v.optional(tileShape),
  halo: v.optional(halo),
  object_diameter: v.optional(v.pipe(number, v.minValue(1))),
  embedding_path: v.optional(v.pipe(v.string(), v.nonEmpty())),
  name: v.optional(v.string()),
  axes: v.optional(v.string()),
  key: v.optional(v.string()),
  series: v.optional(natural),
};
const PROMPT_ARGUMENTS = {
  image: imageOrHandleSchema,
  plane: v.optional(natural),
  multimask_output: v.optional(v.boolean()),
  ...IMAGE_ARGUMENTS,
  ...TASK_ARGUMENTS,
};
const box = v.pipe(
  rows(4, '[y0, x0, y1, x1]', true),
  v.transform(([first]) => first as unknown as readonly [number, number, number, number]),
);
const flag = v.optional(v.boolean());

const schemas = {
  precompute: v.strictObject({
    image: v.optional(imageSchema),
    planes: v.optional(v.pipe(v.array(natural), v.minLength(1))),
    ...IMAGE_ARGUMENTS,
    ...TASK_ARGUMENTS,
  }),
  points: v.strictObject({ ...PROMPT_ARGUMENTS, points: rows(2, '[y, x]'), labels: v.optional(labelsSchema) }),
  box: v.strictObject({
    ...PROMPT_ARGUMENTS,
    box,
    box_extension: v.optional(v.pipe(number, v.minValue(0))),
  }),
  boxAndPoints: v.strictObject({
    ...PROMPT_ARGUMENTS,
    box,
    points: rows(2, '[y, x]'),
    labels: v.optional(labelsSchema),
  }),
  mask: v.strictObject({
    ...PROMPT_ARGUMENTS,
    mask: imageSchema,
    use_box: flag,
    use_mask: flag,
    use_points: flag,
    use_single_point: flag,
    box_extension: v.optional(v.pipe(number, v.minValue(0))),
  }),
  automatic: v.strictObject({
    image: imageOrHandleSchema,
    mode: v.optional(v.picklist(['auto', ...AUTOMATIC_MODES])),
    ndim: v.optional(v.picklist([2, 3], 'ndim is 2 (each plane by itself) or 3 (objects go through the planes)')),
    points_per_side: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(128))),
    gap_closing: v.optional(natural),
    min_z_extent: v.optional(natural),
    ...THRESHOLD_ARGUMENTS,
    ...IMAGE_ARGUMENTS,
    ...TASK_ARGUMENTS,
  }),
  evaluate: v.strictObject({ labels: imageSchema, predictions: imageSchema, ...TASK_ARGUMENTS }),
};

interface Opened {
  readonly embeddings: ImageEmbeddings;
  readonly model: string;
  readonly planes: number;
  /** Planes are slices, not frames. */
  readonly volume: boolean;
  close(): Promise<void>;
}

type ImageArguments = v.InferOutput<ReturnType<typeof v.strictObject<typeof IMAGE_ARGUMENTS, undefined>>>;

export function headlessFunctions(deps: Partial<HeadlessDeps>, calls: RunningCalls) {
  const { openInput = openImage } = deps;
  const kept = new Map<string, Opened>();
  let count = 0;

  async function open(image: ServiceImage, given: ImageArguments, task: TaskOptions): Promise<Opened> {
    const { name = imageName(image) ?? 'image', axes, key, series } = given;
    const model = resolveModel(given.model_type);
    if (given.halo && !given.tile_shape) throw new SamError('invalid_argument', 'A halo needs a tile_shape.');
    const tiling = given.tile_shape && checkTiles({ tileShape: given.tile_shape, halo: given.halo ?? [0, 0] });
    const store = given.embedding_path === undefined ? undefined : folderOf(given.embedding_path);
    const worker = await needed(deps.worker)();
    const source = await openInput(imageInput(image, { name, axes }), { name, key, series, signal: task.signal });
    try {
      const channels = source.rgb || source.sizes.c <= 3 ? undefined : [0];
      const options = { source, worker, model, tiling, objectDiameter: given.object_diameter, channels, store };
      const embeddings = await openEmbeddings({ ...options, early: store && true }, task);
      return {
        embeddings,
        model: model.name,
        planes: planeCount(source),
        volume: source.sizes.z > 1,
        async close() {
          embeddings.close();
          await source.close();
        },
      };
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  function folderOf(path: string): Store {
    if (deps.folder) return deps.folder(path);
    throw new SamError(
      'unsupported',
      'A page has no folders: leave embedding_path out, or call the service of `npm start`.',
    );
  }

  function keptOf({ embedding_id: id }: EmbeddingsHandle): Opened {
    const opened = kept.get(id);
    if (!opened)
      throw new SamError(
        'no_embedding',
        `The embeddings ${id} are not kept any more (the last ${KEPT} are). Call precompute_image_embeddings again.`,
      );
    kept.delete(id);
    kept.set(id, opened);
    return opened;
  }

  async function keep(opened: Opened): Promise<EmbeddingsHandle> {
    const { embeddings, planes, model } = opened;
    const id = `embeddings-${++count}`;
    kept.set(id, opened);
    for (const [oldest, { close }] of kept) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
      await close();
    }
    const tiles = embeddings.tiling?.tiles.length ?? 1;
    return { embedding_id: id, shape: [...embeddings.size], planes, tiles, model_type: model };
  }

  /** Of an image of the caller's, or of embeddings made before. */
  async function using<T>(
    image: ServiceImage | EmbeddingsHandle,
    given: ImageArguments,
    task: TaskOptions,
    work: (opened: Opened, worker: SamWorker) => Promise<T>,
  ): Promise<T> {
    const worker = await needed(deps.worker)();
    if (isHandle(image)) return work(keptOf(image), worker);
    const opened = await open(image, given, task);
    try {
      return await work(opened, worker);
    } finally {
      await opened.close();
    }
  }

  type PromptArguments = v.InferOutput<ReturnType<typeof v.strictObject<typeof PROMPT_ARGUMENTS, undefined>>>;

  function fromPrompt(
    given: PromptArguments,
    segment: (context: SegmentContext, options: TaskOptions & { multimask?: boolean }) => Promise<SegmentedPrompt>,
  ) {
    const { image, plane = 0, multimask_output: multimask } = given;
    return calls.run(given, (task) =>
      using(image, given, task, async ({ embeddings, model, planes }, worker) => {
        if (plane >= planes)
          throw new SamError('invalid_argument', `Plane ${plane} was asked for; the image has ${planes}, from 0.`);
        const options = { ...task, ...(multimask !== undefined && { multimask }) };
        return maskJson(await segment({ worker, model, embeddings, plane }, options), embeddings, multimask === true);
      }),
    );
  }

  async function labelsOf(image: ServiceImage, name: string, task: TaskOptions): Promise<LabelImage> {
    const title = imageName(image) ?? name;
    const source = await openInput(imageInput(image, { name: title }), { name: title, signal: task.signal });
    try {
      return await readLabelImage(source, { signal: task.signal });
    } finally {
      await source.close();
    }
  }

  return {
    /**
     * Encodes an image, all planes and tiles, and keeps the embeddings; what it returns takes the image's place in the
     * functions below. Without an image: encodes planes of the one that is open ahead, so that clicks are answered at once.
     */
    precompute_image_embeddings: method(
      'precompute_image_embeddings',
      ['image'],
      schemas.precompute,
      ({ image, planes, ...given }) =>
        calls.run(given, async (task) => {
          if (image === undefined) return needed(deps.precompute)(planes, task);
          const opened = await open(image, given, task);
          try {
            const first = planes?.map((plane) => ({ plane }));
            await precomputeEmbeddings(
              opened.embeddings,
              { ...(first && !opened.embeddings.tiling && { first }) },
              task,
            );
          } catch (error) {
            await opened.close();
            throw error;
          }
          return keep(opened);
        }),
    ),
    /**
     * The object at these points: `{ mask, score, stability }`, the mask as uint8 [H, W]. Labels are 1 inside of it, 0
     * outside (default: all 1). With `multimask_output` also all `candidates`, best first.
     */
    segment_from_points: method('segment_from_points', ['image', 'points', 'labels'], schemas.points, (given) => {
      const points = promptPoints(given.points, given.labels);
      return fromPrompt(given, (context, options) => segmentFromPoints(context, points, options));
    }),
    /** @param box_extension pixels on each side if >= 1, else a fraction of the box's sides */
    segment_from_box: method('segment_from_box', ['image', 'box'], schemas.box, (given) =>
      fromPrompt(given, (context, options) =>
        segmentFromBox(context, given.box, { ...options, boxExtension: given.box_extension }),
      ),
    ),
    segment_from_box_and_points: method(
      'segment_from_box_and_points',
      ['image', 'box', 'points', 'labels'],
      schemas.boxAndPoints,
      (given) => {
        const points = promptPoints(given.points, given.labels);
        return fromPrompt(given, (context, options) => segmentFromBoxAndPoints(context, given.box, points, options));
      },
    ),
    /** @param mask [H, W], the object where it is not 0 */
    segment_from_mask: method('segment_from_mask', ['image', 'mask'], schemas.mask, (given) =>
      fromPrompt(given, async (context, options) => {
        const { data, shape } = await labelsOf(given.mask, 'the mask', options);
        const [height, width] = context.embeddings.size;
        if (shape.length !== 2 || shape[0] !== height || shape[1] !== width)
          throw new SamError(
            'invalid_prompt',
            `The mask has the shape [${shape}]; the image has [${height}, ${width}].`,
          );
        return segmentFromMask(context, maskFromBitmap(data, [height, width]), {
          ...options,
          useBox: given.use_box,
          useMask: given.use_mask,
          usePoints: given.use_points,
          singlePoint: given.use_single_point,
          boxExtension: given.box_extension,
        });
      }),
    ),
    /** All objects of an image: uint32 labels [H, W], or [planes, H, W] of a stack. `ndim` 3 is the default of volumes. */
    automatic_instance_segmentation: method(
      'automatic_instance_segmentation',
      ['image'],
      schemas.automatic,
      ({ image, mode, ndim, points_per_side: pointsPerSide, gap_closing, min_z_extent, ...given }) =>
        calls.run(given, (task) =>
          using(image, given, task, async ({ embeddings, model, planes, volume }, worker) => {
            const labels = await automaticStack({ worker, model, embeddings }, planes, {
              ...task,
              mode,
              through: (ndim ?? (volume ? 3 : 2)) === 3,
              thresholds: thresholdsOf(given),
              recommended: resolveModel(model).defaults,
              ...floorsOf(given),
              ...(pointsPerSide !== undefined && { pointsPerSide }),
              merge: { gapClosing: gap_closing ?? 2, minExtent: min_z_extent ?? 2 },
            });
            return toRpcArray(labels);
          }),
        ),
    ),
    /** How good an instance segmentation is, by comparison with reference labels of the same shape. */
    evaluate: method('evaluate', ['labels', 'predictions'], schemas.evaluate, ({ labels, predictions, ...given }) =>
      calls.run(given, async (task) => {
        const reference = await labelsOf(labels, 'the labels', task);
        const predicted = await labelsOf(predictions, 'the predictions', task);
        if (String(reference.shape) !== String(predicted.shape))
          throw new SamError(
            'invalid_argument',
            `The labels have the shape [${reference.shape}], the predictions [${predicted.shape}]; expected the same.`,
          );
        const { referenceObjects, predictedObjects, ...scores } = scoreSegmentation(reference, predicted);
        return { ...scores, reference_objects: referenceObjects, predicted_objects: predictedObjects };
      }),
    ),
  };
}

/** @throws SamError `invalid_argument` unless there is one label for each point */
export function promptPoints(
  points: readonly (readonly number[])[],
  labels: readonly (number | boolean)[] | undefined,
): PromptPoint[] {
  if (labels && labels.length !== points.length)
    throw new SamError('invalid_argument', `There are ${points.length} points but ${labels.length} labels.`);
  return points.map(([y, x], i) => ({ at: [y, x], positive: labels === undefined || Boolean(labels[i]) }));
}

/** Candidates below a floor are never asked for again, so it lies below what was given. */
function floorsOf({ pred_iou_thresh: iou, stability_score_thresh: stability }: Parameters<typeof thresholdsOf>[0]) {
  return {
    ...(iou !== undefined && { iouFloor: Math.min(iou, 0.6) }),
    ...(stability !== undefined && { stabilityFloor: Math.min(stability, 0.6) }),
  };
}

function maskJson(found: SegmentedPrompt, { size }: ImageEmbeddings, all: boolean) {
  const bitmap = (mask: SegmentedPrompt['mask']): Tensor => tensor(maskToBitmap(mask, size), [...size]);
  return {
    mask: toRpcArray(bitmap(found.mask)),
    score: found.predictedIou,
    stability: found.stability,
    ...(all && {
      candidates: found.candidates.map(({ mask, iou }) => ({ mask: toRpcArray(bitmap(mask)), score: iou })),
    }),
    ...(found.notices.length > 0 && { notices: [...found.notices] }),
  };
}
