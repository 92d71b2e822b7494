import { type ImageSource, planeAt } from '../../io/image.js';
import { allocate, sizeOf, type Tensor, type YXYX } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';

/**
 * A small copy of a large plane that has no resolution levels, made in the background: every n-th pixel of every n-th
 * row, read in bands. Bands come in an order that spreads over the plane, and what is not read yet is filled from the
 * nearest band above, so the whole is soon to be seen and becomes finer. Memory is that of the copy and one band.
 */
export class Overview {
  /** [h, w, channels] */
  readonly pixels: Tensor;
  /** Image pixels per pixel of the copy. */
  readonly factor: number;
  private readonly controller = new AbortController();

  constructor(
    private readonly source: ImageSource,
    readonly plane: number,
    /** Which channels, in this order. */
    readonly channels: readonly number[],
    private readonly onProgress: () => void,
  ) {
    const { y, x } = source.sizes;
    this.factor = Math.ceil(Math.max(y, x) / SIDE);
    const shape = [Math.ceil(y / this.factor), Math.ceil(x / this.factor), channels.length];
    this.pixels = { data: allocate(source.dtype, sizeOf(shape)), shape };
    // A band that cannot be read stays as it is; looking closer tells why.
    this.run().catch(() => undefined);
  }

  close(): void {
    this.controller.abort();
  }

  private async run(): Promise<void> {
    const { source, factor, channels } = this;
    const { signal } = this.controller;
    const { y: height, x: width } = source.sizes;
    const rowBytes = width * channels.length * this.pixels.data.BYTES_PER_ELEMENT;
    const rows = Math.max(1, Math.floor(Math.min(256, BAND_BYTES / rowBytes) / factor)) * factor;
    const bands = Math.ceil(height / rows);
    const most = Math.max(16, Math.floor(MOST_BYTES / (rowBytes * rows)));
    const read = new Uint8Array(bands);
    let told = performance.now();
    for (const band of spreadOrder(bands).slice(0, most)) {
      const box: YXYX = [band * rows, 0, Math.min(height, (band + 1) * rows), width];
      this.keep(box, (await source.readRegion({ ...planeAt(source, this.plane), channels, box }, { signal })).data);
      read[band] = 1;
      this.fillBelow(band, rows / factor, read);
      if (performance.now() - told < TELL_MS) continue;
      this.onProgress();
      told = performance.now();
    }
    this.onProgress();
  }

  private keep([y0, , y1, x1]: YXYX, data: Tensor['data']): void {
    const { factor, pixels } = this;
    const [, width, count] = threeAxes(pixels.shape);
    for (let y = y0; y < y1; y += factor)
      for (let x = 0, to = (y / factor) * width * count; x < x1; x += factor)
        for (let c = 0, from = ((y - y0) * x1 + x) * count; c < count; c++) pixels.data[to++] = data[from++]!;
  }

  /** The last row of a band stands for the bands below that are still to come. */
  private fillBelow(band: number, rows: number, read: Uint8Array): void {
    const { data, shape } = this.pixels;
    const [height, width, count] = threeAxes(shape);
    const next = read.indexOf(1, band + 1);
    const [start, end] = [(band + 1) * rows, next < 0 ? height : next * rows];
    const from = (start - 1) * width * count;
    for (let row = start; row < Math.min(end, height); row++)
      data.copyWithin(row * width * count, from, from + width * count);
  }
}

const SIDE = 4096;
const BAND_BYTES = 2 ** 26;
/** Of a plane that is larger, only so much is read; the rest is filled. */
const MOST_BYTES = 2 ** 31;
const TELL_MS = 400;

/** 0..count-1 with halved distances from pass to pass: 0, 8, 4, 12, 2, 6, … */
function spreadOrder(count: number): number[] {
  const order = [0];
  for (let step = 2 ** Math.ceil(Math.log2(count)) / 2; step >= 1; step /= 2)
    for (let i = step; i < count; i += 2 * step) order.push(i);
  return order;
}
