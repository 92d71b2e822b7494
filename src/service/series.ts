import * as v from 'valibot';
import { SamError } from '../errors.js';
import type { ImageInput } from '../io/open.js';
import type { ImageSeries } from '../session/series/image-series.js';
import { method } from './call.js';
import { imageInput, imageName, imageSchema } from './image.js';

/** Series of images over RPC: open one, see what became of each image, go from one to the next. */
export interface SeriesDeps {
  /** The series of images that is open, if one is. */
  readonly series?: () => SeriesControl | undefined;
  /** Opens one, and of its images the one where the work stopped. */
  readonly openSeries?: (images: readonly { readonly name: string; readonly input: ImageInput }[]) => Promise<void>;
}

/** What the service needs of an `ImageSeries`. */
export type SeriesControl = Pick<ImageSeries, 'images' | 'current' | 'goTo' | 'next' | 'previous' | 'segmentation'>;

const schemas = {
  none: v.strictObject({}),
  open_series: v.strictObject({
    images: v.pipe(v.array(imageSchema), v.minLength(1, 'the list is empty')),
    names: v.optional(v.array(v.pipe(v.string(), v.nonEmpty()))),
  }),
  go_to_image: v.strictObject({ index: v.pipe(v.number(), v.integer(), v.minValue(0)) }),
};

export function seriesFunctions({ series, openSeries }: SeriesDeps) {
  function needSeries(): SeriesControl {
    const open = series?.();
    if (open) return open;
    throw new SamError('not_found', 'No series of images is open. Open a folder of images, or call open_series.');
  }

  function describeSeries() {
    const open = needSeries();
    return { current: open.current ?? null, images: open.images.map((image) => ({ ...image })) };
  }

  async function open({ images, names }: v.InferOutput<typeof schemas.open_series>) {
    if (!openSeries) throw new SamError('unsupported', 'Series of images cannot be opened here.');
    if (names && names.length !== images.length)
      throw new SamError('invalid_argument', `There are ${images.length} images but ${names.length} names.`);
    await openSeries(
      images.map((image, index) => {
        const name = names?.[index] ?? imageName(image) ?? `image ${index + 1}`;
        return { name, input: imageInput(image, { name }) };
      }),
    );
    return describeSeries();
  }

  return {
    /**
     * A series is known by the names of its images: opened again under the same, it goes on where it stopped. Names may be
     * left out of files and addresses. Returns what `get_series` does.
     */
    open_series: method('open_series', ['images', 'names'], schemas.open_series, open),
    /** The same, under micro-sam's name. */
    image_series_annotator: method('image_series_annotator', ['images', 'names'], schemas.open_series, open),
    /** Of each image: name, state (new, work, done, empty, failed), objects when it was left, why it failed. */
    get_series: method('get_series', [], schemas.none, describeSeries),
    /**
     * Segments every image that has no objects and was not segmented before, all its planes, commits what is found and
     * writes its results. Returns what `get_series` does.
     */
    segment_series: method('segment_series', [], schemas.none, async () => {
      await needSeries().segmentation.run();
      return describeSeries();
    }),
    /** False after the last (before the first) image. */
    next_image: method('next_image', [], schemas.none, () => needSeries().next()),
    previous_image: method('previous_image', [], schemas.none, () => needSeries().previous()),
    go_to_image: method('go_to_image', ['index'], schemas.go_to_image, ({ index }) => needSeries().goTo(index)),
  };
}
