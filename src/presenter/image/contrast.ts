import { type ImageSource, planeAt, planeCount } from '../../io/image.js';
import { itemAt } from '../../items.js';
import type { Size, YXYX } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';

/** What is looked at of a channel to choose its contrast. */
export interface ChannelRange {
  /** From the 1st percentile to about the 99th (`upperLimit`); the extremes where these are equal; never equal. */
  readonly limits: readonly [low: number, high: number];
  /** The extremes. */
  readonly range: readonly [low: number, high: number];
}

/**
 * Contrast of some channels of an image from samples, however large it is: planes spread over the whole stack, three at
 * least and more where they are small, or one given plane, each in the coarsest level that still has 512 px, and of that,
 * where it is large, 16 squares.
 */
export async function measureContrast(
  source: ImageSource,
  channels: readonly number[],
  { plane, signal }: { readonly plane?: number } & Pick<TaskOptions, 'signal'> = {},
): Promise<ChannelRange[]> {
  const level = Math.max(
    0,
    source.levels.findLastIndex((size) => Math.max(...size) >= 512),
  );
  const size = itemAt(source.levels, level);
  const [height, width] = size;
  const planes = plane === undefined ? spreadPlanes(planeCount(source), height * width) : [plane];
  const boxes = sampleBoxes(size);
  const samples = MOST_SAMPLES / (planes.length * boxes.length);
  const values: number[][] = channels.map(() => []);
  for (const index of planes)
    for (const box of boxes) {
      const { data } = await source.readRegion({ ...planeAt(source, index), channels, level, box }, { signal });
      const pixels = data.length / channels.length;
      // Odd, so that columns of an even width are not sampled alone.
      const step = Math.max(1, Math.floor(pixels / samples)) | 1;
      for (let i = 0; i < pixels; i += step)
        for (const [c, ofChannel] of values.entries()) {
          const value = data[i * channels.length + c]!;
          if (Number.isFinite(value)) ofChannel.push(value);
        }
    }
  return values.map(rangeOf);
}

/** Per channel: percentiles come out right to a fraction of a percent. */
const MOST_SAMPLES = 1 << 17;
const WHOLE_PIXELS = 1 << 22;
const SQUARE = 256;
const MOST_PLANES = 32;

/** The middles of equal parts of the stack. */
function spreadPlanes(count: number, pixels: number): number[] {
  const parts = Math.min(count, Math.max(3, Math.min(MOST_PLANES, Math.floor(WHOLE_PIXELS / pixels))));
  return Array.from({ length: parts }, (_, i) => Math.floor(((i + 0.5) * count) / parts));
}

function sampleBoxes([height, width]: Size): YXYX[] {
  if (height * width <= WHOLE_PIXELS) return [[0, 0, height, width]];
  const starts = (length: number) => {
    const count = Math.min(4, Math.ceil(length / SQUARE));
    return Array.from({ length: count }, (_, i) => Math.max(0, Math.floor(((i + 0.5) * length) / count - SQUARE / 2)));
  };
  return starts(height).flatMap((y) =>
    starts(width).map((x): YXYX => [y, x, Math.min(height, y + SQUARE), Math.min(width, x + SQUARE)]),
  );
}

function rangeOf(values: readonly number[]): ChannelRange {
  if (values.length === 0) return { limits: [0, 1], range: [0, 1] };
  const sorted = Float64Array.from(values).sort();
  const range = apart(itemAt(sorted, 0), itemAt(sorted, sorted.length - 1));
  const low = quantile(sorted, 0.01);
  const high = upperLimit(sorted, low);
  return { limits: low < high ? [low, high] : range, range };
}

/**
 * The 99th percentile; higher where what is bright is so little of the image that this is still background: then a
 * quarter of the way to the brightest pixels in a thousand, which leaves the background dark and the objects bright.
 */
function upperLimit(sorted: Float64Array, low: number): number {
  return Math.max(quantile(sorted, 0.99), low + (quantile(sorted, 0.999) - low) / 4);
}

function quantile(sorted: Float64Array, part: number): number {
  return itemAt(sorted, Math.round(part * (sorted.length - 1)));
}

function apart(low: number, high: number): readonly [number, number] {
  return low < high ? [low, high] : [low, low + 1];
}
