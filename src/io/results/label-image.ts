import { SamError } from '../../errors.js';
import type { LabelImage, TypedArray } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { type ImageSource, planeCount, readPlane } from '../image.js';

/**
 * Reads a label image whole: object numbers, [H, W], or [planes, H, W] of a stack. Any number type that holds them; of a
 * picture with a palette its indices are the numbers, of one in which red, green and blue are equal their common value.
 *
 * @throws SamError `invalid_image` if it is coloured, has channels, was compressed with loss or holds anything but whole
 * numbers from 0 to 4294967295
 */
export async function readLabelImage(image: ImageSource, task: TaskOptions = {}): Promise<LabelImage> {
  const source = image.indices ?? image;
  const { c, y, x } = source.sizes;
  if (c > 1 && !isPicture(source))
    throw new SamError(
      'invalid_image',
      `${source.name} has ${c} channels; a label image has one, in which each pixel holds the number of its object.`,
    );
  if (source.lossy)
    throw new SamError(
      'invalid_image',
      `${source.name} is compressed with loss, as JPEG does, which changes the numbers of objects; save label images as PNG or TIFF.`,
    );
  const planes = planeCount(source);
  const data = new Uint32Array(planes * y * x);
  for (let plane = 0; plane < planes; plane++) {
    const pixels = numbersOf(
      greyOf((await readPlane(source, plane, {}, task)).data, c, source.name),
      source.valueScale,
    );
    const wrong = pixels.findIndex((value: number) => !(Number.isInteger(value) && value >= 0 && value <= 0xffffffff));
    if (wrong >= 0)
      throw new SamError(
        'invalid_image',
        `${source.name} is not a label image: labels are whole numbers from 0 to 4294967295, there is ${pixels[wrong]}.`,
      );
    data.set(pixels, plane * y * x);
    task.onProgress?.({ done: plane + 1, total: planes, message: `Read plane ${plane + 1} of ${planes}` });
  }
  return { data, shape: planes === 1 ? [y, x] : [planes, y, x] };
}

/** A picture of colours, or of grey with transparency. */
function isPicture({ rgb, channels }: ImageSource): boolean {
  return rgb || (channels.length === 2 && channels[1]?.name === 'Alpha');
}

/** The first of each pixel's samples, once the colours are known to be equal. Transparency does not count. */
function greyOf(pixels: TypedArray, samples: number, name: string): TypedArray {
  if (samples === 1) return pixels;
  const grey = pixels.slice(0, pixels.length / samples);
  for (let i = 0; i < grey.length; i++) {
    const at = i * samples;
    grey[i] = pixels[at]!;
    if (samples > 2 && (pixels[at + 1] !== grey[i] || pixels[at + 2] !== grey[i]))
      throw new SamError(
        'invalid_image',
        `${name} is a picture in colours (${pixels[at]}, ${pixels[at + 1]}, ${pixels[at + 2]}); a label image has one channel, in which each pixel holds the number of its object. Save the numbers, not their colours.`,
      );
  }
  return grey;
}

/** The numbers that scaled values stand for, which are whole but for the precision of the scale. */
function numbersOf(pixels: TypedArray, scale: ImageSource['valueScale']): TypedArray {
  if (scale === undefined) return pixels;
  return Float64Array.from(pixels, (value) => {
    const number = value * scale.slope + scale.intercept;
    const whole = Math.round(number);
    return Math.abs(number - whole) < 0.01 ? whole : number;
  });
}
