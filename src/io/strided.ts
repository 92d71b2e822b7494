import type { TypedArray } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import type { ByteSource } from './bytes.js';
import { bytesPerElement, decodeElements, type FileDtype, memoryDtype } from './elements.js';
import type { ImageSource } from './image.js';
import type { Layout } from './ndarray.js';
import {
  allocateRegion,
  checkPlausible,
  forEachConcurrently,
  type ImageDescription,
  imageSource,
  type Region,
} from './region.js';

/**
 * An uncompressed array inside a file (NumPy, NIfTI): a region reads only the rows it touches, or one span over them
 * where that is not much more.
 */
export interface StridedArray {
  readonly source: ByteSource;
  /** Where the first element is. */
  readonly offset: number;
  readonly dtype: FileDtype;
  readonly littleEndian: boolean;
  readonly layout: Layout;
}

type Description = Pick<
  ImageDescription,
  'name' | 'axes' | 'channels' | 'rgb' | 'pixelSize' | 'notices' | 'valueScale'
>;

export function openStrided(array: StridedArray, description: Description): ImageSource {
  const { source, offset, layout } = array;
  const { sizes } = layout;
  const bytes = sizes.t * sizes.c * sizes.z * sizes.y * sizes.x * bytesPerElement(array.dtype);
  checkPlausible(source.name, offset + bytes, source.size, source.size);
  const dtype = memoryDtype(array.dtype);
  return imageSource({ ...description, sizes, dtype, levels: [[sizes.y, sizes.x]] }, (region, options) =>
    readRegion(array, region, allocateRegion(dtype, region), options),
  );
}

/** One axis of a region: how many steps of how many elements, in the array and in the result. */
interface Axis {
  readonly length: number;
  readonly stride: number;
  readonly step: number;
}

/** A read may bring in this many times what is needed, or this many bytes, to save reads. */
const WASTE = 3;
const CHEAP_BYTES = 65_536;
const ROWS_AT_ONCE = 6;

async function readRegion(
  array: StridedArray,
  region: Region,
  out: TypedArray,
  options: TaskOptions,
): Promise<TypedArray> {
  const { strides } = array.layout;
  const count = region.channels.length;
  const [y0, x0] = region.box;
  for (const [position, channel] of region.channels.entries()) {
    const consecutive = region.channels.every((other, i) => other === (region.channels[0] ?? 0) + i);
    if (consecutive && position > 0) break;
    const start = region.t * strides.t + region.z * strides.z + channel * strides.c + y0 * strides.y + x0 * strides.x;
    const axes: Axis[] = [
      { length: consecutive ? count : 1, stride: strides.c, step: 1 },
      { length: region.height, stride: strides.y, step: region.width * count },
      { length: region.width, stride: strides.x, step: count },
    ];
    axes.sort((a, b) => b.stride - a.stride);
    await readAxes(array, axes, start, position, out, options);
  }
  return out;
}

async function readAxes(
  array: StridedArray,
  axes: readonly Axis[],
  start: number,
  target: number,
  out: TypedArray,
  options: TaskOptions,
): Promise<void> {
  const size = bytesPerElement(array.dtype);
  const span = axes.reduce((sum, { length, stride }) => sum + (length - 1) * stride, 1) * size;
  const needed = axes.reduce((product, { length }) => product * length, 1) * size;
  if (axes.length === 1 || span <= Math.max(needed * WASTE, CHEAP_BYTES)) {
    const bytes = await array.source.read(array.offset + start * size, span, options);
    scatter(decodeElements(bytes, array.dtype, array.littleEndian), axes, 0, target, out);
    return;
  }
  const [outer, ...inner] = axes;
  if (outer === undefined) return;
  // Rows side by side: over HTTP each is a request that waits for its answer.
  const steps = Array.from({ length: outer.length }, (_, i) => i);
  await forEachConcurrently(
    steps,
    (i) => readAxes(array, inner, start + i * outer.stride, target + i * outer.step, out, options),
    options.signal,
    inner.length === 1 ? ROWS_AT_ONCE : 1,
  );
}

function scatter(data: TypedArray, axes: readonly Axis[], from: number, to: number, out: TypedArray): void {
  const [axis, ...inner] = axes;
  if (axis === undefined) return;
  const { length, stride, step } = axis;
  for (let i = 0; i < length; i++) {
    if (inner.length === 0) out[to + i * step] = data[from + i * stride]!;
    else scatter(data, inner, from + i * stride, to + i * step, out);
  }
}
