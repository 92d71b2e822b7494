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
  const out = new Uint8ClampedArray(rows * columns * 3);
  for (const { at, limits, color } of channels) {
    const brightness = brightnessOf(pixels.data, limits);
    const weights = rgbOf(color);
    const grey = weights.every((weight) => weight === 1) && channels.length === 1;
    const used = [...weights.entries()].filter(([, weight]) => weight > 0);
    for (let row = 0, to = 0; row < rows; row++) {
      const from = ys[row]! + at;
      for (let column = 0; column < columns; column++, to += 3) {
        const value = brightness(pixels.data[from + xs[column]!]!);
        if (grey) {
          out[to] = value;
          out[to + 1] = value;
          out[to + 2] = value;
        } else for (const [component, weight] of used) out[to + component]! += value * weight;
      }
    }
  }
  return { data: new Uint8Array(out.buffer), shape: [rows, columns, 3] };
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

/** Value → 0..255; a table where there are few values. */
function brightnessOf(data: TypedArray, [low, high]: readonly [number, number]): (value: number) => number {
  const factor = 255 / (high - low);
  const convert = (value: number) => {
    const level = (value - low) * factor;
    return level > 0 ? Math.min(255, Math.round(level)) : 0; // NaN fails the comparison
  };
  if (!(data instanceof Uint8Array || data instanceof Uint16Array) || data.length < 65536) return convert;
  const table = Uint8Array.from({ length: data instanceof Uint8Array ? 256 : 65536 }, (_, value) => convert(value));
  return (value) => table[value]!;
}
