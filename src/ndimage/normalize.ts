import type { TypedArray } from './array.js';

/**
 * Percentiles (0..100) with linear interpolation between ranks, as numpy.percentile. 8- and 16-bit data is counted,
 * other data selected; NaN and infinities do not count, and without any finite value it is 0. `channel` of `channels`
 * picks one channel of interleaved data.
 */
export function percentiles(data: TypedArray, percents: readonly number[], channel = 0, channels = 1): number[] {
  if (data instanceof Uint8Array || data instanceof Uint16Array)
    return fromHistogram(data, percents, channel, channels);
  const values = new Float64Array(Math.ceil((data.length - channel) / channels));
  let count = 0;
  for (let p = channel; p < data.length; p += channels) if (Number.isFinite(data[p])) values[count++] = data[p];
  return interpolate(percents, count, (rank) => select(values, count, rank));
}

function fromHistogram(
  data: Uint8Array | Uint16Array,
  percents: readonly number[],
  channel: number,
  channels: number,
): number[] {
  const histogram = new Uint32Array(data instanceof Uint8Array ? 256 : 65536);
  let count = 0;
  for (let p = channel; p < data.length; p += channels, count++) histogram[data[p]]++;
  return interpolate(percents, count, (rank) => {
    let value = 0;
    for (let seen = histogram[0]; seen <= rank; seen += histogram[value]) value++;
    return value;
  });
}

function interpolate(percents: readonly number[], count: number, valueAt: (rank: number) => number): number[] {
  return percents.map((percent) => {
    if (count === 0) return 0;
    const rank = ((count - 1) * percent) / 100;
    const below = Math.floor(rank);
    const low = valueAt(below);
    return rank === below ? low : low + (valueAt(below + 1) - low) * (rank - below);
  });
}

/** The value of the given rank (from 0) among the first `count`; Hoare's selection, reorders `values`. */
function select(values: Float64Array, count: number, rank: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const swapped = values[i];
        values[i++] = values[j];
        values[j--] = swapped;
      }
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return values[rank];
}
