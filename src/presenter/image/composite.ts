import type { Size, Tensor, TypedArray, YXYX } from '../../ndimage/array.js';

/**
 * Pixels of any type to the RGB picture on screen: every channel between its contrast limits, in its colour, added up.
 * Only for the eye: the model is given the stored values (model/transforms.ts), whatever the limits here are.
 */
export interface PaintedChannel {
  /** Position among the channels of the pixels. */
  readonly at: number;
  readonly limits: readonly [low: number, high: number];
  /** '#rrggbb' at the upper limit and above. */
  readonly color: string;
}

/**
 * [rows, columns, 3] RGB of the part `box` of the pixels, nearest pixel. NaN is black, as is where no channel is painted.
 *
 * @param pixels [H, W] or [H, W, C]
 * @param box in pixels of `pixels`, fractions allowed; what lies outside repeats the border
 */
export function composite(
  pixels: Tensor,
  channels: readonly PaintedChannel[],
  box?: YXYX,
  size?: Size,
): Tensor<Uint8Array> {
  const [height = 0, width = 0, count = 1] = pixels.shape;
  const [rows, columns] = size ?? [height, width];
  const [top, left, bottom, right] = box ?? [0, 0, height, width];
  const xs = nearest(left, right, columns, width).map((x) => x * count);
  const ys = nearest(top, bottom, rows, height).map((y) => y * width * count);
  const single = channels.length === 1 ? channels[0] : undefined;
  if (single?.color === '#ffffff') {
    const out = new Uint8Array(rows * columns * 3);
    paintGrey(out, { pixels: pixels.data, at: single.at, xs, ys, level: levelOf(pixels.data, single.limits) });
    return { data: out, shape: [rows, columns, 3] };
  }
  const out = new Uint8ClampedArray(rows * columns * 3);
  for (const { at, limits, color } of channels)
    addInColor(out, { pixels: pixels.data, at, xs, ys, level: levelOf(pixels.data, limits) }, rgbOf(color));
  return { data: new Uint8Array(out.buffer), shape: [rows, columns, 3] };
}

interface PaintedFrom {
  readonly pixels: TypedArray;
  readonly at: number;
  /** Where the columns and rows of the picture begin in the pixels. */
  readonly xs: Int32Array;
  readonly ys: Int32Array;
  readonly level: Level;
}

/** For each slice that is scrolled over. */
function paintGrey(out: Uint8Array, { pixels, at, xs, ys, level }: PaintedFrom): void {
  const { table, of } = level;
  let to = 0;
  for (const y of ys) {
    const from = y + at;
    for (let column = 0; column < xs.length; column++, to += 3) {
      const stored = pixels[from + xs[column]!]!;
      const value = table ? table[stored]! : of(stored);
      out[to] = value;
      out[to + 1] = value;
      out[to + 2] = value;
    }
  }
}

function addInColor(
  out: Uint8ClampedArray,
  { pixels, at, xs, ys, level }: PaintedFrom,
  weights: readonly [number, number, number],
): void {
  const { table, of } = level;
  const columns = xs.length;
  for (let component = 0; component < 3; component++) {
    const weight = weights[component]!;
    if (weight === 0) continue;
    let to = component;
    for (let row = 0; row < ys.length; row++) {
      const from = ys[row]! + at;
      for (let column = 0; column < columns; column++, to += 3) {
        const stored = pixels[from + xs[column]!]!;
        out[to]! += (table ? table[stored]! : of(stored)) * weight;
      }
    }
  }
}

function nearest(start: number, end: number, count: number, length: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) =>
    Math.min(length - 1, Math.max(0, Math.floor(start + ((i + 0.5) * (end - start)) / count))),
  );
}

export function rgbOf(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

/** Value → 0..255. */
interface Level {
  readonly of: (value: number) => number;
  /** The same for every value there is, where there are few. */
  readonly table?: Uint8Array;
}

function levelOf(data: TypedArray, [low, high]: readonly [number, number]): Level {
  const factor = 255 / (high - low);
  const of = (value: number) => {
    const level = (value - low) * factor;
    return level > 0 ? Math.min(255, Math.round(level)) : 0; // NaN fails the comparison
  };
  if (!(data instanceof Uint8Array || data instanceof Uint16Array) || data.length < 65536) return { of };
  const table = new Uint8Array(data instanceof Uint8Array ? 256 : 65536);
  for (let value = 0; value < table.length; value++) table[value] = of(value);
  return { of, table };
}
