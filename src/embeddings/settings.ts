import { type ImageSource, planeAt, planeCount } from '../io/image.js';
import { itemAt } from '../items.js';
import { fixRange, type IntensityPolicy, intensityKey, MIN_MAX, uniteRanges } from '../model/transforms.js';
import type { Size, YXYX } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import type { EmbeddingOptions } from './options.js';
import { MICRO_SAM_INTENSITY } from './signature.js';
import { chooseTiling, type TileChoice } from './tiling.js';

/**
 * How an image is to be cut and stretched before it is encoded. What the user says comes first; else a cache that is
 * already there decides, so that embeddings computed elsewhere are used rather than refused.
 */
type Stored = Readonly<Record<string, unknown>> | undefined;

/** The tiling asked for, else that of the cache, else the automatic choice. */
export function chosenTiling(
  { tiling, objectDiameter }: EmbeddingOptions,
  size: Size,
  stored: Stored,
  notices: string[],
): TileChoice | undefined {
  if (tiling === 'none') return undefined;
  if (tiling) return tiling;
  if (stored && 'tile_shape' in stored && objectDiameter === undefined) {
    const { tile_shape: tileShape, halo } = stored;
    if (tileShape === null) return undefined;
    if (isSize(tileShape) && isSize(halo)) {
      notices.push(
        `Tiles of ${tileShape.join(' x ')} px with a halo of ${halo.join(' x ')} px, as in the stored embeddings.`,
      );
      return { tileShape, halo };
    }
  }
  return chooseTiling({ size, objectDiameter });
}

const isSize = (value: unknown): value is Size =>
  Array.isArray(value) && value.length === 2 && value.every((v) => Number.isInteger(v) && v >= 0);

/** The intensity policy asked for, else that of the cache, else the default; a range over the image is measured. */
export async function chosenIntensity(
  { source, channels, intensity, range }: EmbeddingOptions,
  tiled: boolean,
  stored: Stored,
  notices: string[],
  task: TaskOptions,
): Promise<IntensityPolicy> {
  if (intensity === undefined && range === undefined && stored && 'data_signature' in stored) {
    const policy = policyFromKey(String(stored.intensity ?? MICRO_SAM_INTENSITY));
    if (policy) {
      if (tiled || policy.kind !== 'min-max')
        notices.push(`Intensity range ${intensityKey(policy)}, as in the stored embeddings.`);
      return policy;
    }
  }
  const policy = intensity ?? MIN_MAX;
  if (policy.kind === 'fixed' || (range ?? (tiled ? 'image' : 'region')) === 'region') return policy;
  return rangeOfImage(source, policy, channels, task);
}

/** The inverse of intensityKey(). */
function policyFromKey(key: string): IntensityPolicy | undefined {
  if (key === 'min-max') return MIN_MAX;
  const [, kind, list] = /^(percentile|fixed)\((.*)\)$/.exec(key) ?? [];
  const ranges = list?.split(';').map((pair) => pair.split(',').map(Number) as [number, number]);
  if (!ranges?.every((pair) => pair.length === 2 && pair.every(Number.isFinite))) return undefined;
  if (kind === 'fixed') return { kind, ranges };
  const [range] = ranges;
  return range && { kind: 'percentile', low: range[0], high: range[1] };
}

/**
 * One range for the whole image: that of up to 32 planes, each looked at in the coarsest level that still has 1024 px,
 * and in samples where even that is huge. So an image of any size is measured quickly; what lies outside is clipped.
 */
async function rangeOfImage(
  source: ImageSource,
  policy: IntensityPolicy,
  channels: readonly number[] | undefined,
  { signal, onProgress }: TaskOptions,
): Promise<IntensityPolicy> {
  const level = Math.max(
    0,
    source.levels.findLastIndex((size) => Math.max(...size) >= 1024),
  );
  const boxes = sampleBoxes(itemAt(source.levels, level));
  const count = planeCount(source);
  const looked = Math.min(count, 32);
  const ranges: IntensityPolicy[] = [];
  for (let i = 0; i < looked; i++) {
    const at = planeAt(source, Math.floor(((i + 0.5) * count) / looked));
    for (const box of boxes) {
      signal?.throwIfAborted();
      ranges.push(fixRange(await source.readRegion({ ...at, channels, level, box }, { signal }), policy));
    }
    onProgress?.({ done: i + 1, total: looked, message: 'Measuring the intensity range' });
  }
  return uniteRanges(ranges);
}

/** The whole of a level up to 16 megapixels, else 8 x 8 evenly spaced squares of 512 px. */
function sampleBoxes([height, width]: Size): YXYX[] {
  if (height * width <= 2 ** 24) return [[0, 0, height, width]];
  const starts = (length: number) => {
    const count = Math.min(8, Math.ceil(length / 512));
    return Array.from({ length: count }, (_, i) =>
      Math.floor((Math.max(0, length - 512) * i) / Math.max(1, count - 1)),
    );
  };
  return starts(height).flatMap((y) =>
    starts(width).map((x): YXYX => [y, x, Math.min(height, y + 512), Math.min(width, x + 512)]),
  );
}
