import { zlibSync } from 'fflate';
import { randomInteger } from './random.js';

/** PNG of every kind, with filters chosen at random, for tests of the reader: fast-png writes 8 and 16 bits only. */
export interface PngKind {
  /** 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha. */
  readonly colourType: 0 | 2 | 3 | 4 | 6;
  readonly depth: 1 | 2 | 4 | 8 | 16;
  readonly interlaced: boolean;
  readonly palette?: readonly number[];
  readonly alpha?: readonly number[];
}

export const PNG_CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;
const ADAM7 = ['0088', '0488', '4084', '0244', '2042', '0122', '1021'].map((pass) => [...pass].map(Number));

/** @param values [height, width, channels] */
export function encodePngKind(
  values: ArrayLike<number>,
  [height, width]: readonly [number, number],
  kind: PngKind,
  random: () => number,
): Uint8Array {
  const channels = PNG_CHANNELS[kind.colourType];
  const rows: number[] = [];
  for (const [y0, x0, dy, dx] of kind.interlaced ? ADAM7 : [[0, 0, 1, 1]]) {
    if (x0 >= width) continue;
    let above: number[] | undefined;
    for (let y = y0; y < height; y += dy) {
      const samples: number[] = [];
      for (let x = x0; x < width; x += dx)
        for (let c = 0; c < channels; c++) samples.push(values[(y * width + x) * channels + c]);
      const row = pack(samples, kind.depth);
      rows.push(...filtered(row, above, Math.max(1, (channels * kind.depth) / 8), randomInteger(random, 0, 5)));
      above = row;
    }
  }
  const header = [...uint32(width), ...uint32(height), kind.depth, kind.colourType, 0, 0, Number(kind.interlaced)];
  const data = zlibSync(Uint8Array.from(rows));
  const half = data.length >> 1;
  return Uint8Array.from([
    ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    ...chunk('IHDR', header),
    ...(kind.palette ? chunk('PLTE', kind.palette) : []),
    ...(kind.alpha ? chunk('tRNS', kind.alpha) : []),
    ...chunk('IDAT', data.subarray(0, half)),
    ...chunk('IDAT', data.subarray(half)),
    ...chunk('IEND', []),
  ]);
}

/** Samples from the high bit on, rows padded to whole bytes. */
function pack(samples: readonly number[], depth: number): number[] {
  if (depth === 16) return samples.flatMap((value) => [value >> 8, value & 255]);
  const bytes = Array<number>(Math.ceil((samples.length * depth) / 8)).fill(0);
  for (const [i, value] of samples.entries()) {
    const bit = i * depth;
    bytes[bit >> 3] |= value << (8 - depth - (bit & 7));
  }
  return bytes;
}

function filtered(
  row: readonly number[],
  above: readonly number[] | undefined,
  step: number,
  filter: number,
): number[] {
  const at = (values: readonly number[] | undefined, i: number) => (i < 0 ? 0 : (values?.[i] ?? 0));
  const predictors = [
    () => 0,
    (i: number) => at(row, i - step),
    (i: number) => at(above, i),
    (i: number) => (at(row, i - step) + at(above, i)) >> 1,
    (i: number) => {
      const [left, up, corner] = [at(row, i - step), at(above, i), at(above, i - step)];
      const near = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
      return [left, up, corner][near.indexOf(Math.min(...near))];
    },
  ];
  return [filter, ...row.map((value, i) => (value - predictors[filter](i)) & 255)];
}

const uint32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);

/** Readers of pixels do not look at the checksum; it is left zero. */
function chunk(type: string, content: ArrayLike<number>): number[] {
  const letters = [...type].map((letter) => letter.charCodeAt(0));
  return [...uint32(content.length), ...letters, ...Array.from(content), 0, 0, 0, 0];
}
