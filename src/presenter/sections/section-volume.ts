import { SamError } from '../../errors.js';
import type { ImageSource } from '../../io/image.js';
import { itemAt } from '../../items.js';
import { allocate, type Tensor, type TypedArray } from '../../ndimage/array.js';

/**
 * A volume made small enough to be kept, so that it can be cut in any direction at once: all slices, of which rows and
 * columns are left out until they fit. Slices that are not read yet are 0.
 */
export class SectionVolume {
  /** Pixels of the image from one kept row or column to the next. */
  readonly step: number;
  /** Kept slices, rows, columns. */
  readonly shape: readonly [slices: number, rows: number, columns: number];
  private readonly data: TypedArray;
  private readonly level: number;

  /**
   * @param channels of the file
   * @param t the time point
   * @throws SamError unsupported where a slice is too large to be read whole
   */
  constructor(
    private readonly source: ImageSource,
    private readonly channels: readonly number[],
    private readonly t: number,
    mostBytes = MOST_BYTES,
  ) {
    const { z, y, x } = source.sizes;
    const bytes = z * channels.length * allocate(source.dtype, 0).BYTES_PER_ELEMENT;
    let step = 1;
    while (Math.ceil(y / step) * Math.ceil(x / step) * bytes > mostBytes) step++;
    this.step = step;
    this.shape = [z, Math.ceil(y / step), Math.ceil(x / step)];
    this.level = Math.max(
      0,
      source.levels.findLastIndex(([rows, columns]) => rows >= this.shape[1] && columns >= this.shape[2]),
    );
    const [rows, columns] = itemAt(source.levels, this.level);
    if (rows * columns > MOST_PIXELS)
      throw new SamError('unsupported', `Slices of ${y} x ${x} pixels are too large for sections.`);
    this.data = allocate(source.dtype, z * this.shape[1] * this.shape[2] * channels.length);
  }

  /** Reads all slices, outward from the one given. */
  async load(from: number, { signal, onSlice }: { signal: AbortSignal; onSlice: () => void }): Promise<void> {
    const { source, channels, t, level } = this;
    const [slices, rows, columns] = this.shape;
    const order = [...Array(slices).keys()].sort((a, b) => Math.abs(a - from) - Math.abs(b - from));
    const [height, width] = itemAt(source.levels, level);
    const ys = this.places(rows, source.sizes.y).map((y) => Math.floor((y * height) / source.sizes.y));
    const xs = this.places(columns, source.sizes.x).map((x) => Math.floor((x * width) / source.sizes.x));
    const count = channels.length;
    for (const z of order) {
      const { data } = await source.readRegion({ t, z, channels, level }, { signal });
      signal.throwIfAborted();
      let to = z * rows * columns * count;
      if (rows === height && columns === width) this.data.set(data, to);
      else
        for (const y of ys)
          for (const x of xs) for (let c = 0; c < count; c++) this.data[to++] = data[(y * width + x) * count + c]!;
      onSlice();
      await new Promise((resolve) => setTimeout(resolve, 0)); // clicks and slice changes go first
    }
  }

  /** Through a row of the image: [slices, columns, channels]. */
  row(y: number): Tensor {
    const [slices, rows, columns] = this.shape;
    const count = this.channels.length;
    const length = columns * count;
    const out = allocate(this.source.dtype, slices * length);
    const row = this.keptAt(y, rows);
    for (let z = 0; z < slices; z++) {
      const from = (z * rows + row) * length;
      out.set(this.data.subarray(from, from + length), z * length);
    }
    return { data: out, shape: [slices, columns, count] };
  }

  /** Through a column of the image: [rows, slices, channels]. */
  column(x: number): Tensor {
    const [slices, rows, columns] = this.shape;
    const count = this.channels.length;
    const out = allocate(this.source.dtype, rows * slices * count);
    const column = this.keptAt(x, columns);
    for (let y = 0, to = 0; y < rows; y++)
      for (let z = 0; z < slices; z++) {
        const from = ((z * rows + y) * columns + column) * count;
        for (let c = 0; c < count; c++) out[to++] = this.data[from + c]!;
      }
    return { data: out, shape: [rows, slices, count] };
  }

  /** The kept rows or columns as pixels of the image. */
  places(kept: number, length: number): number[] {
    return Array.from({ length: kept }, (_, i) => Math.min(length - 1, i * this.step + Math.floor(this.step / 2)));
  }

  private keptAt(pixel: number, kept: number): number {
    return Math.min(kept - 1, Math.max(0, Math.floor(pixel / this.step)));
  }
}

const MOST_BYTES = 2 ** 26;
/** The most that is read of the file at once. */
const MOST_PIXELS = 2 ** 24;
