import { SamError } from '../errors.js';
import { type Tensor, tensor } from '../ndimage/array.js';

/**
 * From pixels of any type to the 8-bit RGB that the encoder takes, as micro-sam does it (`_to_image` of
 * micro_sam/util.py, 1.8): every channel is stretched to its own range, uint8 and colour pictures too. What
 * surprises: the result therefore depends on the region that was given, so tiles and slices of one image differ unless a
 * fixed range is passed (`fixRange`), and one hot pixel darkens everything else (use percentiles).
 */
export type IntensityPolicy =
  /** Each channel from its minimum to its maximum: the behaviour of micro-sam, and the default. */
  | { readonly kind: 'min-max' }
  /** Each channel between two percentiles (0..100), clipped outside. */
  | { readonly kind: 'percentile'; readonly low: number; readonly high: number }
  /** Given [low, high] per channel in the unit of the pixels, clipped outside; one pair serves all channels. */
  | { readonly kind: 'fixed'; readonly ranges: readonly (readonly [low: number, high: number])[] };

export const MIN_MAX: IntensityPolicy = { kind: 'min-max' };
export const PERCENTILE_1_99: IntensityPolicy = { kind: 'percentile', low: 1, high: 99 };

/** One string per policy, equal for equal policies: part of the signature of an embedding. */
export function intensityKey(policy: IntensityPolicy): string {
  switch (policy.kind) {
    case 'min-max':
      return 'min-max';
    case 'percentile':
      return `percentile(${policy.low},${policy.high})`;
    case 'fixed':
      return `fixed(${policy.ranges.map(([low, high]) => `${low},${high}`).join(';')})`;
  }
}

/**
 * 8-bit RGB for the encoder, [H, W, 3].
 *
 * @param pixels [H, W] or [H, W, C], any type. One channel is repeated, a missing third is black, only the first three
 *   of more are used. NaN becomes 0 and, like infinities, does not count for the range; a constant channel is all 0.
 */
export function toImage(pixels: Tensor, policy: IntensityPolicy = MIN_MAX): Tensor<Uint8Array> {
  const { height, width, channels } = layoutOf(pixels);
  const count = height * width;
  const out = new Uint8Array(count * 3);
  const used = Math.min(channels, 3);
  const ranges = rangesOf(pixels, policy);
  for (let channel = 0; channel < used; channel++) {
    const convert = stretch(pixels.data, ranges[channel]);
    for (let i = 0, from = channel, to = channel; i < count; i++, from += channels, to += 3) {
      out[to] = convert(pixels.data[from]);
    }
  }
  if (channels === 1) {
    for (let i = 0; i < out.length; i += 3) {
      out[i + 1] = out[i];
      out[i + 2] = out[i];
    }
  }
  return tensor(out, [height, width, 3]);
}

/** The policy that stretches every other image as `policy` would stretch `pixels`: one range for all tiles or slices. */
export function fixRange(pixels: Tensor, policy: IntensityPolicy = MIN_MAX): IntensityPolicy {
  return { kind: 'fixed', ranges: rangesOf(pixels, policy) };
}

/** The ranges that cover all of several fixed policies (e.g. of the slices of a volume). */
export function uniteRanges(policies: readonly IntensityPolicy[]): IntensityPolicy {
  const ranges: [number, number][] = [];
  for (const policy of policies) {
    if (policy.kind !== 'fixed')
      throw new SamError('invalid_argument', `Only fixed ranges can be united, got ${intensityKey(policy)}.`);
    policy.ranges.forEach(([low, high], i) => {
      ranges[i] = ranges[i] ? [Math.min(ranges[i][0], low), Math.max(ranges[i][1], high)] : [low, high];
    });
  }
  return { kind: 'fixed', ranges };
}

function layoutOf({ shape }: Tensor): { height: number; width: number; channels: number } {
  const [height, width, channels = 1] = shape;
  if (shape.length < 2 || shape.length > 3 || !(height > 0) || !(width > 0) || !(channels > 0))
    throw new SamError('invalid_image', `An image is [height, width] or [height, width, channels], got [${shape}].`, {
      details: { shape: [...shape] },
    });
  return { height, width, channels };
}

function rangesOf(pixels: Tensor, policy: IntensityPolicy): (readonly [number, number])[] {
  const { channels } = layoutOf(pixels);
  return Array.from({ length: Math.min(channels, 3) }, (_, channel) => {
    if (policy.kind === 'min-max') return minMax(pixels.data, channel, channels);
    if (policy.kind === 'percentile') return percentiles(pixels.data, channel, channels, policy.low, policy.high);
    return givenRange(policy.ranges, channel);
  });
}

function givenRange(ranges: readonly (readonly [number, number])[], channel: number): readonly [number, number] {
  const range = ranges[channel] ?? (ranges.length === 1 ? ranges[0] : undefined);
  if (range && range[1] >= range[0]) return range;
  const got = range ? `[${range[0]}, ${range[1]}]` : 'none';
  throw new SamError('invalid_argument', `Channel ${channel} needs a range [low, high] with low <= high, got ${got}.`);
}

function minMax(data: Tensor['data'], channel: number, channels: number): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = channel; i < data.length; i += channels) {
    const value = data[i];
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  }
  return high >= low ? [low, high] : [0, 0];
}

/** Percentiles with linear interpolation between ranks, as numpy.percentile. */
function percentiles(
  data: Tensor['data'],
  channel: number,
  channels: number,
  low: number,
  high: number,
): [number, number] {
  if (!(low >= 0 && low < high && high <= 100))
    throw new SamError('invalid_argument', `Percentiles must satisfy 0 <= low < high <= 100, got ${low} and ${high}.`);
  const values = new Float64Array(Math.ceil((data.length - channel) / channels));
  let count = 0;
  for (let i = channel; i < data.length; i += channels) if (Number.isFinite(data[i])) values[count++] = data[i];
  if (count === 0) return [0, 0];
  const sorted = values.subarray(0, count).sort();
  const at = (percent: number) => {
    const rank = ((count - 1) * percent) / 100;
    const below = Math.floor(rank);
    const next = sorted[Math.min(below + 1, count - 1)];
    return sorted[below] + (next - sorted[below]) * (rank - below);
  };
  return [at(low), at(high)];
}

/** value -> 0..255, in float32 steps and truncated, so that the result is micro-sam's to the grey level. */
function stretch(data: Tensor['data'], [low, high]: readonly [number, number]): (value: number) => number {
  const bottom = Math.fround(low);
  const range = Math.fround(Math.fround(Math.fround(high) - bottom) + 1e-7);
  const convert = (value: number) => {
    const unit = Math.fround(Math.fround(Math.fround(value) - bottom) / range);
    return unit > 0 ? Math.min(255, Math.trunc(Math.fround(unit * 255))) : 0; // NaN fails the comparison
  };
  if (high === low) return (value) => (value > high ? 255 : 0);
  if (data instanceof Uint8Array || data instanceof Uint16Array) {
    const table = new Uint8Array(data instanceof Uint8Array ? 256 : 65536);
    for (let value = 0; value < table.length; value++) table[value] = convert(value);
    return (value) => table[value];
  }
  return convert;
}
