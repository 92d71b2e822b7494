import type * as v from 'valibot';
import { type ImageEmbeddings, openEmbeddings } from '../embeddings/image-embeddings.js';
import { precomputeEmbeddings } from '../embeddings/precompute.js';
import { checkTiles } from '../embeddings/tiling.js';
import { SamError } from '../errors.js';
import { scoreSegmentation } from '../evaluation/segmentation-accuracy.js';
import { type ImageSource, planeCount } from '../io/image.js';
import { type ImageInput, openImage } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import { readLabelImage } from '../io/results/label-image.js';
import { toRpcArray } from '../io/rpc-array.js';
import type { Store } from '../io/store.js';
import { resolveModel } from '../model/registry.js';
import { type LabelImage, type Tensor, tensor, type YX } from '../ndimage/array.js';
import { threeAxes } from '../ndimage/label.js';
import { maskFromBitmap, maskToBitmap } from '../ndimage/rle.js';
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
import { thresholdsOf } from './automatic.js';
import { method } from './call.js';
import { needed, type PrecomputePlanes } from './engine.js';
import { folderOf } from './folder.js';
import { type EmbeddingsHandle, isHandle } from './handle.js';
import { type ImageArguments, type PromptArguments, schemas } from './headless-arguments.js';
import { imageInput, imageName, type ServiceImage } from './image.js';
import { streamable } from './result-stream.js';
import type { RunningCalls } from './running-calls.js';

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
  readonly precompute?: PrecomputePlanes;
}

/** Images whose embeddings are kept for their callers; of each at most 256 MB. The one that was used least lately goes first. */
const KEPT = 4;

interface Opened {
  readonly embeddings: ImageEmbeddings;
  readonly model: string;
  readonly planes: number;
  /** Planes are slices, not frames. */
  readonly volume: boolean;
  close(): Promise<void>;
}

export interface EncodedPlane {
  readonly plane: number;
  /** What stands for the image, of which these planes are encoded already; absent where it is the one that is open. */
  readonly embeddings?: EmbeddingsHandle;
}

interface SegmentedPlane {
  readonly plane: number;
  readonly labels: LabelImage;
}

export function headlessFunctions(deps: Partial<HeadlessDeps>, calls: RunningCalls) {
  const { openInput = openImage } = deps;
  const kept = new Map<string, Opened>();
  let count = 0;

  async function open(image: ServiceImage, given: ImageArguments, task: TaskOptions): Promise<Opened> {
    const { name = imageName(image) ?? 'image', axes, key, series } = given;
    const model = resolveModel(given.model_type);
    if (given.halo && !given.tile_shape) throw new SamError('invalid_argument', 'A halo needs a tile_shape.');
    const tiling = given.tile_shape && checkTiles({ tileShape: given.tile_shape, halo: given.halo ?? [0, 0] });
    const { embedding_path: path } = given;
    const store = path === undefined ? undefined : folderOf(deps.folder, path, 'embedding_path');
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

  async function encodeAll(
    image: ServiceImage,
    { planes, ...given }: ImageArguments & { readonly planes?: readonly number[] },
    task: TaskOptions,
    onPlane?: (found: EncodedPlane) => void,
  ): Promise<EmbeddingsHandle> {
    const worker = await needed(deps.worker)();
    const opened = await open(image, given, task);
    const first = planes?.map((plane) => ({ plane }));
    try {
      // Who is told of the planes works with them while the others are encoded.
      const early = onPlane && (await keep(opened));
      await precomputeEmbeddings(
        opened.embeddings,
        {
          ...(first && !opened.embeddings.tiling && { first }),
          concurrency: () => worker.atOnce ?? 1,
          ...(early && { onPlane: (plane) => onPlane({ plane, embeddings: early }) }),
        },
        task,
      );
      return early ?? (await keep(opened));
    } catch (error) {
      if (!onPlane || !task.signal?.aborted) await drop(opened);
      throw error;
    }
  }

  async function drop(opened: Opened): Promise<void> {
    for (const [id, one] of kept) if (one === opened) kept.delete(id);
    await opened.close();
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

  function automaticLabels(
    {
      image,
      mode,
      preset,
      mirror,
      refine,
      ndim,
      points_per_side: pointsPerSide,
      gap_closing,
      min_z_extent,
      ...given
    }: v.InferOutput<typeof schemas.automatic>,
    task: TaskOptions,
    onPlane?: (plane: number, labels: LabelImage) => void,
  ): Promise<LabelImage> {
    return using(image, given, task, ({ embeddings, model, planes, volume }, worker) =>
      automaticStack({ worker, model, following: resolveModel(model).following, embeddings }, planes, {
        ...task,
        ...(mode !== 'auto' && { mode }),
        preset,
        mirror,
        refine,
        through: (ndim ?? (volume ? 3 : 2)) === 3,
        thresholds: thresholdsOf(given),
        recommended: resolveModel(model).defaults,
        ...floorsOf(given),
        ...(pointsPerSide !== undefined && { pointsPerSide }),
        merge: { gapClosing: gap_closing ?? 2, minExtent: min_z_extent ?? 2 },
        onAlone: onPlane,
      }),
    );
  }

  return {
    /**
     * Encodes an image, all planes and tiles, and keeps the embeddings; what it returns takes the image's place in the
     * functions below. Without an image: encodes planes of the one that is open ahead, so that clicks are answered at once.
     * With `stream` plane by plane as they are encoded, as `{ plane, embeddings }`: what would be returned can be used at once,
     * and also when nobody reads on; what it lacks is encoded when it is asked for.
     */
    precompute_image_embeddings: streamable(
      method(
        'precompute_image_embeddings',
        ['image'],
        schemas.precompute,
        async ({ image, planes, stream = false, ...given }) => {
          const encode = async (task: TaskOptions, onPlane?: (found: EncodedPlane) => void) =>
            image === undefined
              ? needed(deps.precompute)(planes, task, onPlane && ((plane) => onPlane({ plane })))
              : encodeAll(image, { planes, ...given }, task, onPlane);
          if (!stream) return await calls.run(given, encode);
          return calls.stream(given, encode, (found) => found);
        },
      ),
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
    /**
     * All objects of an image: uint32 labels [H, W], or [planes, H, W] of a stack. `ndim` 3 is the default of volumes. With
     * `stream` plane by plane as they are done, as `{ plane, labels }` with labels [H, W] from 1 in each; of objects that go
     * through the planes, when all are done.
     */
    automatic_instance_segmentation: streamable(
      method('automatic_instance_segmentation', ['image'], schemas.automatic, async ({ stream = false, ...given }) => {
        if (!stream) return await calls.run(given, async (task) => toRpcArray(await automaticLabels(given, task)));
        return calls.stream(
          given,
          async (task, emit: (found: SegmentedPlane) => void) => {
            const isTold = new Set<number>();
            const tell = (plane: number, labels: LabelImage) => {
              isTold.add(plane);
              emit({ plane, labels });
            };
            const all = await automaticLabels(given, task, tell);
            const [planes, height, width] = threeAxes(all.shape);
            for (let plane = 0; plane < planes; plane++) {
              const data = all.data.subarray(plane * height * width, (plane + 1) * height * width);
              if (!isTold.has(plane)) emit({ plane, labels: { data, shape: [height, width] } });
            }
          },
          ({ plane, labels }) => ({ plane, labels: toRpcArray(labels) }),
        );
      }),
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
export function promptPoints(points: readonly YX[], labels: readonly (number | boolean)[] | undefined): PromptPoint[] {
  if (labels && labels.length !== points.length)
    throw new SamError('invalid_argument', `There are ${points.length} points but ${labels.length} labels.`);
  return points.map((at, i) => ({ at, positive: labels === undefined || Boolean(labels[i]) }));
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
      candidates: found.candidates.map(({ mask, predictedIou: score }) => ({ mask: toRpcArray(bitmap(mask)), score })),
    }),
    ...(found.notices.length > 0 && { notices: [...found.notices] }),
  };
}
