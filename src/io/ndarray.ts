import { SamError } from '../errors.js';
import { itemAt } from '../items.js';
import { dtypeOf, sizeOf, type TypedArray } from '../ndimage/array.js';
import type { ChannelInfo, ImageSource } from './image.js';
import { allocateRegion, colourChannels, type ImageDescription, imageSource, type Region } from './region.js';

/**
 * An image that is in memory: what other plugins and scripts send, and what formats become that are decoded whole.
 *
 * Without `axes` the shape is read as people write arrays: `[y, x]`; `[y, x, 3 | 4]` is a colour picture, channels last,
 * unless the middle axis is also 3 or 4 long; `[y, x, 1 | 2]` has channels, unless the middle axis is at most 4 long; any
 * other three axes are a stack `[z, y, x]`; four axes are `[z, y, x, 1 to 4]` or `[t, z, y, x]`; five are
 * `[t, c, z, y, x]`. To say otherwise, give `axes`: one letter of `tczyx` per axis, in any order, `s` for the samples of a
 * colour picture.
 */
export interface NdarrayImage {
  readonly data: TypedArray;
  readonly shape: readonly number[];
  readonly axes?: string;
  readonly name?: string;
  readonly pixelSize?: ImageSource['pixelSize'];
  readonly channels?: readonly ChannelInfo[];
}

export function isNdarray(value: unknown): value is NdarrayImage {
  const image = value as NdarrayImage;
  return typeof image === 'object' && image !== null && ArrayBuffer.isView(image.data) && Array.isArray(image.shape);
}

export function openNdarray(image: NdarrayImage): ImageSource {
  const { data, shape, name = 'array' } = image;
  if (!shape.every((length) => Number.isSafeInteger(length) && length > 0) || sizeOf(shape) !== data.length)
    throw new SamError(
      'invalid_image',
      `${name} has ${data.length} values but the shape [${shape}]; they have to agree and be at least 1 long.`,
    );
  const axes = (image.axes ?? guessAxes(shape, name)).toLowerCase();
  const layout = arrange(shape, axes, name);
  const { sizes } = layout;
  const dtype = dtypeOf(data);
  const rgb = axes.includes('s') && sizes.c >= 3 && sizes.c <= 4;
  const description: ImageDescription = {
    name,
    axes: planeAxes(sizes.t > 1 || axes.includes('t'), sizes.z > 1 || axes.includes('z')),
    sizes,
    dtype,
    channels: image.channels ?? (axes.includes('s') ? colourChannels(sizes.c) : namedChannels(sizes.c)),
    rgb,
    pixelSize: image.pixelSize,
    levels: [[sizes.y, sizes.x]],
  };
  return imageSource(description, async (region) => gather(data, layout, region, allocateRegion(dtype, region)));
}

/** Where each logical axis lies in a flat array: lengths and strides in elements. */
export interface Layout {
  readonly sizes: ImageSource['sizes'];
  readonly strides: ImageSource['sizes'];
}

/** Reads `axes` (letters of `tczyxs`, one per axis of `shape`, C order) as a layout of the five logical axes. */
export function arrange(shape: readonly number[], axes: string, name: string, strides = cStrides(shape)): Layout {
  const letters = [...axes].map((letter) => (letter === 's' ? 'c' : letter));
  const known = letters.every((letter) => 'tczyx'.includes(letter));
  if (letters.length !== shape.length || !known || new Set(letters).size !== letters.length)
    throw new SamError(
      'invalid_argument',
      `The axes "${axes}" do not describe the shape [${shape}] of ${name}; give one letter of t c z y x per axis, each once.`,
    );
  const sizes = { t: 1, c: 1, z: 1, y: 1, x: 1 };
  const steps = { t: 0, c: 0, z: 0, y: 0, x: 0 };
  letters.forEach((letter, axis) => {
    sizes[letter as keyof typeof sizes] = itemAt(shape, axis);
    steps[letter as keyof typeof sizes] = itemAt(strides, axis);
  });
  return { sizes, strides: steps };
}

function cStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

function gather(data: TypedArray, { strides }: Layout, region: Region, out: TypedArray): TypedArray {
  const [y0, x0, y1, x1] = region.box;
  const plane = region.t * strides.t + region.z * strides.z;
  const count = region.channels.length;
  const inRows = strides.x === 1 && count === 1;
  region.channels.forEach((channel, position) => {
    let target = position;
    for (let y = y0; y < y1; y++) {
      let from = plane + channel * strides.c + y * strides.y + x0 * strides.x;
      if (inRows) {
        out.set(data.subarray(from, from + x1 - x0), target);
        target += x1 - x0;
      } else for (let x = x0; x < x1; x++, from += strides.x, target += count) out[target] = data[from]!;
    }
  });
  return out;
}

export function planeAxes(time: boolean, depth: boolean): ImageSource['axes'] {
  if (time) return depth ? 'tzyx' : 'tyx';
  return depth ? 'zyx' : 'yx';
}

export function namedChannels(count: number): ChannelInfo[] {
  return Array.from({ length: count }, (_, channel) => ({ name: `Channel ${channel + 1}` }));
}

export function guessAxes(shape: readonly number[], name: string): string {
  const [width = 0, last = 0] = shape.slice(-2);
  const colour = (length: number) => length === 3 || length === 4;
  const samples = colour(last) && !colour(width) ? 's' : last <= 2 && width > 4 ? 'c' : '';
  if (shape.length === 1) return 'x';
  if (shape.length === 2) return 'yx';
  if (shape.length === 3) return samples ? `yx${samples}` : 'zyx';
  if (shape.length === 4) return samples ? `zyx${samples}` : 'tzyx';
  if (shape.length === 5) return 'tczyx';
  throw new SamError('unsupported', `${name} has ${shape.length} axes [${shape}]; 1 to 5 are read.`);
}
