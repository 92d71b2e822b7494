import * as v from 'valibot';
import { SamError } from '../errors.js';
import type { ImageInput } from '../io/open.js';
import { toRpcArray } from '../io/rpc-array.js';
import type { Store } from '../io/store.js';
import { needImage, paintLayer } from '../session/layers.js';
import type { ImageSeries, SeriesImage } from '../session/series/image-series.js';
import type { AnnotationSession } from '../session/session.js';
import type { ImageInfo, ObjectLayer } from '../session/state.js';
import type { TaskOptions } from '../task.js';
import { method } from './call.js';
import { folderOf } from './folder.js';
import { imageInput, imageName, imageSchema } from './image.js';
import { streamable } from './result-stream.js';
import { type RunningCalls, STREAM_ARGUMENTS } from './running-calls.js';

/** Series of images over RPC: open one, see what became of each image, go from one to the next. */
export interface SeriesDeps {
  /** The series of images that is open, if one is. */
  readonly series?: () => SeriesControl | undefined;
  /**
   * Opens one, and of its images the one where the work stopped.
   *
   * @param output where results go; where the program keeps them, if absent
   */
  readonly openSeries?: (
    images: readonly { readonly name: string; readonly input: ImageInput }[],
    output?: Store,
  ) => Promise<void>;
  /** The folder of this path. */
  readonly folder?: (path: string) => Store;
}

/** What the service needs of an `ImageSeries`. */
export type SeriesControl = Pick<
  ImageSeries,
  'images' | 'current' | 'goTo' | 'next' | 'previous' | 'segmentation' | 'isUnsegmented' | 'subscribe'
>;

const schemas = {
  none: v.strictObject({}),
  open_series: v.strictObject({
    images: v.pipe(v.array(imageSchema), v.minLength(1, 'the list is empty')),
    names: v.optional(v.array(v.pipe(v.string(), v.nonEmpty()))),
    output_folder: v.optional(v.pipe(v.string(), v.nonEmpty())),
  }),
  segment_series: v.strictObject(STREAM_ARGUMENTS),
  go_to_image: v.strictObject({ index: v.pipe(v.number(), v.integer(), v.minValue(0)) }),
};

export function seriesFunctions(
  { series, openSeries, folder }: SeriesDeps,
  session: AnnotationSession,
  calls: RunningCalls,
) {
  function needSeries(): SeriesControl {
    const open = series?.();
    if (open) return open;
    throw new SamError('not_found', 'No series of images is open. Open a folder of images, or call open_series.');
  }

  function describeSeries() {
    const open = needSeries();
    return { current: open.current ?? null, images: open.images.map((image) => ({ ...image })) };
  }

  async function open({ images, names, output_folder: path }: v.InferOutput<typeof schemas.open_series>) {
    if (!openSeries) throw new SamError('unsupported', 'Series of images cannot be opened here.');
    if (names && names.length !== images.length)
      throw new SamError('invalid_argument', `There are ${images.length} images but ${names.length} names.`);
    await openSeries(
      images.map((image, index) => {
        const name = names?.[index] ?? imageName(image) ?? `image ${index + 1}`;
        return { name, input: imageInput(image, { name }) };
      }),
      path === undefined ? undefined : folderOf(folder, path, 'output_folder'),
    );
    return describeSeries();
  }

  /** Segments what is not segmented; what is found of an image is handed out when it is committed. */
  async function segment({ signal, onProgress }: TaskOptions, emit?: (found: SegmentedImage) => void): Promise<void> {
    const open = needSeries();
    const before = open.images;
    const told = new Set([...before.keys()].filter((index) => !open.isUnsegmented(index)));
    const total = before.length - told.size;
    let done = 0;
    const tell = () => {
      for (const [index, image] of open.images.entries()) {
        const isDone = image.segmented || (image !== before[index] && image.state !== 'work');
        if (told.has(index) || !isDone) continue;
        told.add(index);
        onProgress?.({ done: ++done, total, message: `${image.name}: ${image.failure ?? `${image.objects} objects`}` });
        if (!emit) continue;
        const { state } = session; // of this image, as long as it is not left
        const found = () => ({ layer: state.layers.committed_objects, image: needImage(state) });
        emit({ index, image, ...(image.state !== 'failed' && { found: found() }) });
      }
    };
    const unsubscribe = open.subscribe(tell);
    const stop = () => open.segmentation.stop();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await open.segmentation.run({ signal });
    } finally {
      signal?.removeEventListener('abort', stop);
      unsubscribe();
    }
  }

  return {
    /**
     * A series is known by the names of its images: opened again under the same, it goes on where it stopped. Names may be
     * left out of files and addresses. `output_folder` is where results are written, for programs that have folders. Returns
     * what `get_series` does.
     */
    open_series: method('open_series', ['images', 'names'], schemas.open_series, open),
    /** The same, under micro-sam's name. */
    image_series_annotator: method('image_series_annotator', ['images', 'names'], schemas.open_series, open),
    /** Of each image: name, state (new, work, done, empty, failed), objects when it was left, why it failed. */
    get_series: method('get_series', [], schemas.none, describeSeries),
    /**
     * Segments every image that has no objects and was not segmented before, all its planes, commits what is found and
     * writes its results. Returns what `get_series` does. With `stream` image by image as they are done:
     * `{ index, name, objects, labels }`, the labels as `get_layer` gives them, or `{ index, name, failure }`.
     */
    segment_series: streamable(
      method('segment_series', [], schemas.segment_series, async ({ stream = false, ...given }) => {
        needSeries();
        if (stream) return calls.stream(given, segment, foundJson);
        await calls.run(given, segment);
        return describeSeries();
      }),
    ),
    /** False after the last (before the first) image. */
    next_image: method('next_image', [], schemas.none, () => needSeries().next()),
    previous_image: method('previous_image', [], schemas.none, () => needSeries().previous()),
    go_to_image: method('go_to_image', ['index'], schemas.go_to_image, ({ index }) => needSeries().goTo(index)),
  };
}

interface SegmentedImage {
  readonly index: number;
  readonly image: SeriesImage;
  /** What was committed; absent if the image could not be opened. */
  readonly found?: { readonly layer: ObjectLayer; readonly image: ImageInfo };
}

function foundJson({ index, image: { name, objects, failure }, found }: SegmentedImage) {
  if (!found) return { index, name, failure };
  return { index, name, objects, labels: toRpcArray(paintLayer(found.layer, found.image)) };
}
