import { SamError } from '../errors.js';
import { type ImageSource, planeCount } from '../io/image.js';
import { openFile } from '../io/node-open.js';
import { readLabelImage } from '../io/results/label-image.js';
import type { LabelImage } from '../ndimage/array.js';

export interface LabelKey {
  /** The dataset inside the file, if anybody said. */
  readonly key?: string;
  /** What says it. */
  readonly flag: string;
}

/** A label image of a command line; what its user should know goes to stderr. */
export async function readLabels(file: string, { key, flag }: LabelKey): Promise<LabelImage> {
  const source = await openFile(file, { key });
  try {
    const { notices = [] } = source;
    const others = key === undefined ? othersIn(source) : undefined;
    for (const notice of others ? [...notices, `${others}: ${flag} takes another.`] : notices)
      console.error(`${file}: ${notice}`);
    return await readLabelImage(source);
  } finally {
    await source.close();
  }
}

/** Of a file that holds several images, nobody said which one: 'It holds 2 images (a, b); this is the first'. */
export function othersIn({ images = [] }: ImageSource): string | undefined {
  if (images.length < 2) return undefined;
  const names = images.slice(0, 5).join(', ') + (images.length > 5 ? ', …' : '');
  return `It holds ${images.length} images (${names}); this is the first`;
}

/**
 * That labels are as large as their image, a single plane.
 *
 * @throws SamError invalid_argument, or unsupported for stacks
 */
export function checkLabelsFit(labels: LabelImage, image: ImageSource): void {
  const { y, x } = image.sizes;
  const planes = planeCount(image);
  const expected = planes > 1 ? [planes, y, x] : [y, x];
  if (String(labels.shape) !== String(expected))
    throw new SamError(
      'invalid_argument',
      `The labels are ${labels.shape.join(' x ')} pixels, the image ${image.name} is ${expected.join(' x ')}; they must agree.`,
      { details: { got: [...labels.shape], expected } },
    );
  if (planes > 1)
    throw new SamError(
      'unsupported',
      `${image.name} has ${planes} planes; models are scored on images of one plane. Save its planes as files, or score label images with --predictions.`,
    );
}
