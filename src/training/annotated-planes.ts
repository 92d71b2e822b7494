import { SamError } from '../errors.js';
import { type ImageSource, planeCount, readPlane } from '../io/image.js';
import { type IntensityPolicy, toImage } from '../model/intensity.js';
import type { LabelImage } from '../ndimage/array.js';
import { labelSizes } from '../ndimage/label.js';
import type { AnnotatedImage } from './annotated.js';

/**
 * The planes of an image that have objects in them.
 *
 * @param labels [H, W], or [planes, H, W] of a stack
 * @throws SamError `invalid_argument` if the two differ in shape
 */
export async function annotatedPlanes(
  source: ImageSource,
  labels: LabelImage,
  { channels, intensity, most = MOST_PLANES }: PlaneOptions = {},
): Promise<AnnotatedImage[]> {
  const planes = planeCount(source);
  const { y: height, x: width } = source.sizes;
  if (labels.data.length !== planes * height * width)
    throw new SamError(
      'invalid_argument',
      `The labels of ${source.name} have the shape ${labels.shape.join(' x ')}, the image has ${planes} x ${height} x ${width}.`,
    );
  const inPlane = (plane: number) => ({
    data: labels.data.slice(plane * height * width, (plane + 1) * height * width),
    shape: [height, width],
  });
  const annotated = [...Array(planes).keys()].filter((plane) => labelSizes(inPlane(plane)).size > 0);
  const step = Math.max(1, annotated.length / most);
  const chosen = Array.from({ length: Math.min(most, annotated.length) }, (_, i) => annotated[Math.floor(i * step)]);
  const all: AnnotatedImage[] = [];
  for (const plane of chosen) {
    const pixels = await readPlane(source, plane, { channels });
    const name = planes === 1 ? source.name : `${source.name}, plane ${plane + 1}`;
    all.push({ name, image: toImage(pixels, intensity), labels: inPlane(plane) });
  }
  return all;
}

export interface PlaneOptions {
  /** That the model is given. */
  readonly channels?: readonly number[];
  readonly intensity?: IntensityPolicy;
  /** Of more, so many evenly spaced ones are taken: neighbours show much the same. */
  readonly most?: number;
}

const MOST_PLANES = 32;
