import { asSamError, SamError } from '../errors.js';
import { itemAt } from '../items.js';
import { allocate, type Dtype, sizeOf, type TypedArray, type YXYX } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import type { ImageSource, RegionRequest } from './image.js';

/**
 * What all readers share: checking what is asked for, turning what decoders throw into SamErrors, and putting a region
 * together from tiles. A reader is a description and one function.
 */

/** A request with everything decided and inside the image. */
export interface Region {
  readonly t: number;
  readonly z: number;
  readonly channels: readonly number[];
  readonly level: number;
  readonly box: YXYX;
  readonly height: number;
  readonly width: number;
}

export type ImageDescription = Omit<ImageSource, 'readRegion' | 'close'>;

/** A region larger than this is refused: no viewer needs it and a typed array may not hold it. */
const MAX_REGION_BYTES = 2 ** 31;
/** A tile, strip, chunk or whole compressed picture whose header claims more than this is refused before allocation. */
const MAX_CHUNK_BYTES = 2 ** 30;

/** `read` returns `[height, width, channels]` values, channels last, in the dtype of the description. */
export function imageSource(
  description: ImageDescription,
  read: (region: Region, options: TaskOptions) => Promise<TypedArray>,
  close: () => Promise<void> = async () => {},
): ImageSource {
  const { t, c, z, y, x } = description.sizes;
  for (const [axis, length] of Object.entries({ t, c, z, y, x }))
    if (!Number.isSafeInteger(length) || length < 1)
      throw new SamError(
        'invalid_image',
        `${description.name} is ${length} long along ${axis}; an image needs at least one pixel along every axis.`,
      );
  return {
    ...description,
    async readRegion(request, options = {}) {
      const region = resolveRegion(description, request);
      const data = await asImageErrors(description.name, async () => {
        options.signal?.throwIfAborted();
        return read(region, options);
      });
      const plane = [region.height, region.width];
      return { data, shape: region.channels.length === 1 ? plane : [...plane, region.channels.length] };
    },
    close,
  };
}

/** Runs a decoder: what it throws is the fault of the bytes it was given, unless it already is a SamError or an abort. */
export async function asImageErrors<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const known = asSamError(error);
    if (known.code !== 'internal') throw known;
    throw new SamError('invalid_image', `${name} is damaged or not what it claims to be: ${known.message}`, {
      cause: error,
    });
  }
}

function resolveRegion(image: ImageDescription, request: RegionRequest): Region {
  const { t = 0, z = 0, level = 0 } = request;
  checkIndex('time point', t, image.sizes.t);
  checkIndex('plane', z, image.sizes.z);
  checkIndex('resolution level', level, image.levels.length);
  const channels = request.channels ?? Array.from({ length: image.sizes.c }, (_, channel) => channel);
  if (channels.length === 0) throw new SamError('invalid_argument', 'No channel was asked for; ask for at least one.');
  for (const channel of channels) checkIndex('channel', channel, image.sizes.c);
  const [rows, columns] = itemAt(image.levels, level);
  const box = request.box ?? [0, 0, rows, columns];
  const [y0, x0, y1, x1] = box;
  const inside = y0 >= 0 && x0 >= 0 && y1 > y0 && x1 > x0 && y1 <= rows && x1 <= columns;
  if (!box.every(Number.isInteger) || !inside)
    throw new SamError(
      'invalid_argument',
      `The box [${box}] is not inside level ${level}, which is ${rows} x ${columns}; boxes are [y0, x0, y1, x1] in whole pixels.`,
    );
  const bytes = (y1 - y0) * (x1 - x0) * channels.length * allocate(image.dtype, 0).BYTES_PER_ELEMENT;
  if (bytes > MAX_REGION_BYTES)
    throw new SamError(
      'invalid_argument',
      `A region of ${y1 - y0} x ${x1 - x0} with ${channels.length} channels is ${bytes} bytes; ask for a smaller box or a lower resolution.`,
    );
  return { t, z, channels, level, box, height: y1 - y0, width: x1 - x0 };
}

function checkIndex(what: string, index: number, length: number): void {
  if (Number.isInteger(index) && index >= 0 && index < length) return;
  throw new SamError('invalid_argument', `There is no ${what} ${index}; the image has ${length}, counted from 0.`);
}

/** Refuses a block that a header claims to be larger than any real one, before it is allocated. */
export function checkBlockSize(name: string, what: string, shape: readonly number[], bytesPerSample: number): void {
  const bytes = sizeOf(shape) * bytesPerSample;
  if (shape.every((length) => Number.isSafeInteger(length) && length > 0) && bytes <= MAX_CHUNK_BYTES) return;
  throw new SamError(
    'invalid_image',
    `${name} claims ${what} of ${shape.join(' x ')} samples; it must be at least 1 and at most ${MAX_CHUNK_BYTES} bytes. The file is damaged, or has to be saved tiled.`,
    { details: { shape } },
  );
}

/** A region made of more blocks than this is refused: each costs a request or at least its bookkeeping. */
export const MAX_BLOCKS = 100_000;

export function checkBlockCount(name: string, count: number): void {
  if (count <= MAX_BLOCKS) return;
  throw new SamError(
    'invalid_argument',
    `The region touches ${count} tiles or chunks of ${name}, more than ${MAX_BLOCKS}; ask for a smaller box or a lower resolution, or save the image with larger chunks.`,
  );
}

/** Refuses a picture whose claimed size cannot come out of so few bytes, however well they were compressed. */
export function checkPlausible(name: string, bytes: number, most: number, fileSize: number): void {
  if (bytes <= most) return;
  throw new SamError(
    'invalid_image',
    `${name} claims ${bytes} bytes of pixels, but its ${fileSize} bytes can hold at most ${Math.floor(most)}; it is truncated or damaged.`,
  );
}

/** A grid of equal tiles over a plane; the last row and column may stick out. `stride` samples lie together per pixel. */
export interface Tile {
  readonly data: TypedArray;
  readonly height: number;
  readonly width: number;
  readonly stride: number;
}

/** Copies samples of a tile at (tileY, tileX) into channel positions of a region, where they overlap. */
export function copyTile(
  tile: Tile,
  tileY: number,
  tileX: number,
  out: TypedArray,
  region: Region,
  samples: readonly (readonly [position: number, sample: number])[],
): void {
  const [y0, x0, y1, x1] = region.box;
  const count = region.channels.length;
  const top = Math.max(y0, tileY);
  const bottom = Math.min(y1, tileY + tile.height);
  const left = Math.max(x0, tileX);
  const right = Math.min(x1, tileX + tile.width);
  if (right <= left) return;
  const whole =
    count === tile.stride &&
    samples.length === count &&
    samples.every(([position, sample], i) => position === i && sample === i);
  for (let y = top; y < bottom; y++) {
    const from = ((y - tileY) * tile.width + left - tileX) * tile.stride;
    const to = ((y - y0) * region.width + left - x0) * count;
    if (whole) {
      out.set(tile.data.subarray(from, from + (right - left) * count), to);
      continue;
    }
    for (const [position, sample] of samples) {
      let source = from + sample;
      let target = to + position;
      for (let x = left; x < right; x++, source += tile.stride, target += count) out[target] = tile.data[source]!;
    }
  }
}

/** Tile rows and columns that a box touches. */
export function* tilesIn(box: YXYX, height: number, width: number): Generator<readonly [row: number, column: number]> {
  for (let row = Math.floor(box[0] / height); row * height < box[2]; row++)
    for (let column = Math.floor(box[1] / width); column * width < box[3]; column++) yield [row, column];
}

/** Runs `work` over the items, a few at a time: enough to hide latency, not enough to flood a server or the memory. */
export async function forEachConcurrently<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
  limit = 6,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed = false;
  const run = async () => {
    for (let next = iterator.next(); !next.done && !failed; next = iterator.next()) {
      signal?.throwIfAborted();
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, run));
}

/** What a reader has to report about its file, without empty lists. */
export function reports({
  notices = [],
  absentPlanes = [],
}: Pick<ImageSource, 'notices' | 'absentPlanes'>): Pick<ImageSource, 'notices' | 'absentPlanes'> {
  return { ...(notices.length > 0 && { notices }), ...(absentPlanes.length > 0 && { absentPlanes }) };
}

export function allocateRegion<D extends Dtype>(dtype: D, region: Region) {
  return allocate(dtype, region.height * region.width * region.channels.length);
}

/** Names for the samples of a colour picture. */
export function colourChannels(count: number): { name: string; color?: string }[] {
  if (count === 1) return [{ name: 'Gray' }];
  if (count === 2) return [{ name: 'Gray' }, { name: 'Alpha' }];
  const rgb = [
    { name: 'Red', color: '#ff0000' },
    { name: 'Green', color: '#00ff00' },
    { name: 'Blue', color: '#0000ff' },
  ];
  const rest = Array.from({ length: count - 3 }, (_, i) => ({ name: i === 0 ? 'Alpha' : `Sample ${i + 4}` }));
  return [...rgb, ...rest];
}

/** `Map.groupBy`, which Node 20 does not have. */
export function groupBy<T, Key>(items: Iterable<T>, keyOf: (item: T) => Key): Map<Key, T[]> {
  const groups = new Map<Key, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
