import { type ImageSource, planeAt } from '../../io/image.js';
import { itemAt } from '../../items.js';
import type { Tensor, YX } from '../../ndimage/array.js';
import type { ChannelValue } from '../readout.js';

/** Pixels as the file has them, read in small blocks around where somebody points. */
export class PixelValues {
  private readonly blocks = new Map<string, Promise<Tensor>>();
  private readonly channels: readonly number[];

  constructor(private readonly source: ImageSource) {
    this.channels = source.channels.flatMap(({ name }, index) => (name === 'Alpha' ? [] : [index]));
  }

  /** All channels but transparency, scaled as the file says. @param at [y, x], integers inside the image */
  async at(plane: number, [y, x]: YX): Promise<ChannelValue[]> {
    const { channels, slope = 1, intercept = 0 } = { channels: this.channels, ...this.source.valueScale };
    const [top, left] = [y - (y % BLOCK), x - (x % BLOCK)];
    const { data, shape } = await this.block(plane, [top, left]);
    const first = ((y - top) * itemAt(shape, 1) + (x - left)) * channels.length;
    return channels.map((channel, k) => ({
      name: this.source.channels[channel]?.name || `channel ${channel + 1}`,
      value: Number(data[first + k]) * slope + intercept,
    }));
  }

  /** [h, w, C] of the block whose first pixel is (top, left). */
  private block(plane: number, [top, left]: YX): Promise<Tensor> {
    const key = `${plane}:${top}:${left}`;
    const known = this.blocks.get(key);
    if (known) return known;
    const { y, x } = this.source.sizes;
    const box = [top, left, Math.min(top + BLOCK, y), Math.min(left + BLOCK, x)] as const;
    const reading = this.source.readRegion({ ...planeAt(this.source, plane), channels: this.channels, level: 0, box });
    this.blocks.set(key, reading);
    reading.catch(() => this.blocks.delete(key));
    const [oldest] = this.blocks.keys();
    if (oldest !== undefined && this.blocks.size > MOST_BLOCKS) this.blocks.delete(oldest);
    return reading;
  }
}

/** Side, in pixels. */
const BLOCK = 128;
const MOST_BLOCKS = 24;
