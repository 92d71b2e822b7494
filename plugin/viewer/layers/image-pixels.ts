import { SamError } from '../../../src/errors.js';
import { isArrayLike, isBoolean, viewRpcArray } from '../../../src/io/rpc-array.js';
import { itemAt } from '../../../src/items.js';
import { contextOf } from '../surfaces.js';

/** What `view_image` and `set_image` accept, as pixel values; and values to a canvas under contrast limits. */
export interface ImagePixels {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 RGB, 4 RGBA, interleaved. */
  readonly components: number;
  readonly values: ArrayLike<number>;
  /** True if the values are a finished picture (RGB, or decoded from a file), to be shown as they are. */
  readonly finished: boolean;
}

interface ItkStyleImage {
  readonly imageType: { readonly dimension: number; readonly componentType: string; readonly components: number };
  readonly size: readonly number[];
  readonly data: Uint8Array;
}

export async function readPixels(data: unknown): Promise<ImagePixels> {
  if (typeof data === 'string') return decodePicture(await (await fetch(data)).blob());
  if (data instanceof Blob) return decodePicture(data);
  if (isItkStyle(data)) return fromItkStyle(data);
  if (isArrayLike(data)) return fromArray(data);
  throw new SamError(
    'invalid_argument',
    'An image is a URL, a File, an ndarray or {imageType, size, data}; got none of these.',
  );
}

async function decodePicture(blob: Blob): Promise<ImagePixels> {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = contextOf(canvas);
  context.drawImage(bitmap, 0, 0);
  const { width, height } = bitmap;
  bitmap.close();
  return {
    width,
    height,
    components: 4,
    values: context.getImageData(0, 0, width, height).data,
    finished: true,
  };
}

function fromArray(array: object): ImagePixels {
  const { data, shape } = viewRpcArray(array);
  const [height, width, components = 1] = shape;
  if (height === undefined || width === undefined || shape.length > 3 || ![1, 3, 4].includes(components))
    throw new SamError('invalid_image', `An image has the shape [H, W], [H, W, 3] or [H, W, 4]; got [${shape}].`);
  const finished = components > 1 && data instanceof Uint8Array && !isBoolean(array);
  return { width, height, components, values: data, finished };
}

function fromItkStyle({ imageType, size, data }: ItkStyleImage): ImagePixels {
  const { components, componentType, dimension } = imageType;
  if (dimension !== 2 || componentType !== 'uint8_t' || ![1, 3, 4].includes(components))
    throw new SamError(
      'invalid_image',
      'An itk-style image has dimension 2, component type uint8_t and 1, 3 or 4 components.',
    );
  const [width, height] = size;
  if (width === undefined || height === undefined || width * height * components > data.length)
    throw new SamError('invalid_image', `An itk-style image of [${size}] pixels has ${data.length} bytes.`);
  return { width, height, components, values: data, finished: components > 1 };
}

function isItkStyle(data: unknown): data is ItkStyleImage {
  return typeof data === 'object' && data !== null && 'imageType' in data && 'size' in data && 'data' in data;
}

/** The 1st and 99th percentile of the colour values, from at most 100,000 of them; widened if they are equal. */
export function percentileLimits(pixels: ImagePixels): [number, number] {
  const { values, components } = pixels;
  const step = components * Math.max(1, Math.floor(values.length / components / 100_000));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += step)
    for (let c = 0; c < Math.min(3, components); c++) {
      const value = values[i + c];
      if (value !== undefined && Number.isFinite(value)) sample.push(value);
    }
  if (sample.length === 0) return [0, 1];
  sample.sort((a, b) => a - b);
  const low = itemAt(sample, Math.floor(0.01 * (sample.length - 1)));
  const high = itemAt(sample, Math.ceil(0.99 * (sample.length - 1)));
  return low < high ? [low, high] : [low, low + 1];
}

export function valueRange(pixels: ImagePixels): [number, number] {
  if (pixels.values instanceof Uint8Array || pixels.values instanceof Uint8ClampedArray) return [0, 255];
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < pixels.values.length; i++) {
    const value = pixels.values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low < high ? [low, high] : [Number.isFinite(low) ? low : 0, (Number.isFinite(low) ? low : 0) + 1];
}

/** Paints the pixels on the canvas, which takes their size. Alpha is kept as it is. */
export function paintPixels(
  pixels: ImagePixels,
  [low, high]: readonly [number, number],
  canvas: HTMLCanvasElement,
): void {
  const { width, height, components, values } = pixels;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = contextOf(canvas);
  // A strip at a time: a picture as large as the image, for each slice that is scrolled over, costs more to clear away.
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const strip = new ImageData(width, rows);
  const asStored = low === 0 && high === 255 && components === 3;
  for (let top = 0; top < height; top += rows) {
    const used = Math.min(rows, height - top);
    const from = top * width * components;
    if (asStored) opaque(values, from, width * used, strip.data);
    else paintStrip(pixels, [low, high], from, width * used, strip.data);
    context.putImageData(strip, 0, top, 0, 0, width, used);
  }
}

const STRIP_PIXELS = 1 << 16;

/** `count` pixels of RGB, from a place in `rgb`, to RGBA. */
export function opaque(rgb: ArrayLike<number>, from: number, count: number, out: Uint8ClampedArray): void {
  const words = new Uint32Array(out.buffer, out.byteOffset, count);
  for (let i = from, j = 0; j < count; i += 3, j++)
    words[j] = rgb[i]! | (rgb[i + 1]! << 8) | (rgb[i + 2]! << 16) | 0xff000000; // little-endian, as colorize() has it
}

function paintStrip(
  { components, values }: ImagePixels,
  [low, high]: readonly [number, number],
  from: number,
  count: number,
  out: Uint8ClampedArray,
): void {
  const factor = 255 / (high - low);
  const second = components > 1 ? 1 : 0;
  const third = components > 1 ? 2 : 0;
  for (let i = from, j = 0; j < 4 * count; i += components, j += 4) {
    out[j] = (values[i]! - low) * factor;
    out[j + 1] = (values[i + second]! - low) * factor;
    out[j + 2] = (values[i + third]! - low) * factor;
    out[j + 3] = components === 4 ? values[i + 3]! : 255;
  }
}
