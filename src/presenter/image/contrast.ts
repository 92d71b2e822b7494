import { type ImageSource, planeAt, planeCount } from '../../io/image.js';
import type { Size, YXYX } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';

/** What is looked at of a channel to choose its contrast. */
export interface ChannelRange {
  /** The 1st and 99th percentile; the extremes where these are equal; never equal. */
  readonly limits: readonly [low: number, high: number];
  /** The extremes. */
  readonly range: readonly [low: number, high: number];
}

/**
 * Contrast of some channels of an image from samples, however large it is: three planes spread over a stack, or one
 * given plane, each in the coarsest level that still has 512 px, and of that, where it is large, 16 squares.
 */
export async function measureContrast(
  source: ImageSource,
  channels: readonly number[],
  { plane, signal }: { readonly plane?: number } & Pick<TaskOptions, 'signal'> = {},
): Promise<ChannelRange[]> {
  const count = planeCount(source);
  const spread = [1 / 6, 1 / 2, 5 / 6].map((part) => Math.floor(part * count));
  const planes = new Set(plane === undefined ? spread : [plane]);
  const level = Math.max(
    0,
    source.levels.findLastIndex((size) => Math.max(...size) >= 512),
  );
  const boxes = sampleBoxes(source.levels[level]);
  const samples = MOST_SAMPLES / (planes.size * boxes.length);
  const values: number[][] = channels.map(() => []);
  for (const index of planes)
    for (const box of boxes) {
      const { data } = await source.readRegion({ ...planeAt(source, index), channels, level, box }, { signal });
      const pixels = data.length / channels.length;
      // Odd, so that columns of an even width are not sampled alone.
      const step = Math.max(1, Math.floor(pixels / samples)) | 1;
      for (let i = 0; i < pixels; i += step)
        for (let c = 0; c < channels.length; c++) {
          const value = data[i * channels.length + c];
          if (Number.isFinite(value)) values[c].push(value);
        }
    }
  return values.map(rangeOf);
}

/** Per channel: percentiles come out right to a fraction of a percent. */
const MOST_SAMPLES = 1 << 17;
const WHOLE_PIXELS = 1 << 22;
const SQUARE = 256;

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
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))];
  const range = apart(at(0), at(1));
  return { limits: at(0.01) < at(0.99) ? [at(0.01), at(0.99)] : range, range };
}

function apart(low: number, high: number): readonly [number, number] {
  return low < high ? [low, high] : [low, low + 1];
}
