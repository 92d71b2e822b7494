import { type ImageSource, planeAt, readPlane } from '../../io/image.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskSpans } from '../../ndimage/rle.js';
import type { ObjectLayer, ObjectRecord } from '../../session/state.js';

/**
 * Mean intensities of objects, measured in the background plane by plane and kept per mask: an object that changes is
 * measured anew, all others are not. Of the first channel, in the unit of the file.
 */
export class MeasuredIntensity {
  private readonly sums = new WeakMap<Mask, number>();
  private running = false;
  private wanted?: ObjectLayer;
  private closed = false;

  /** Called when more means are known. */
  onMeasured: () => void = () => undefined;

  constructor(private readonly source: ImageSource) {}

  /** Undefined while a plane of it is not measured. */
  mean({ masks }: ObjectRecord): number | undefined {
    let sum = 0;
    let pixels = 0;
    for (const mask of masks.values()) {
      const known = this.sums.get(mask);
      if (known === undefined) return undefined;
      sum += known;
      pixels += mask.area;
    }
    const { slope, intercept } = this.source.valueScale ?? { slope: 1, intercept: 0 };
    return (sum / pixels) * slope + intercept;
  }

  /** Measures what is not measured of the layer; a later call replaces what is still to come. */
  measure(layer: ObjectLayer): void {
    this.wanted = layer;
    if (!this.running) void this.run();
  }

  close(): void {
    this.closed = true;
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (this.wanted && !this.closed) {
        const layer = this.wanted;
        const missing = new Map<number, Mask[]>();
        for (const { masks } of layer.objects.values())
          for (const [plane, mask] of masks)
            if (!this.sums.has(mask)) missing.set(plane, [...(missing.get(plane) ?? []), mask]);
        if (missing.size === 0) {
          if (this.wanted === layer) this.wanted = undefined;
          continue;
        }
        for (const [plane, masks] of missing) {
          await this.measurePlane(plane, masks);
          if (this.closed) return;
          this.onMeasured();
          if (this.wanted !== layer) break;
        }
      }
    } catch {
      this.wanted = undefined; // a table without intensities; what cannot be read is told where it is looked at
    } finally {
      this.running = false;
    }
  }

  /** Few objects are read by themselves, many with the whole plane. */
  private async measurePlane(plane: number, masks: readonly Mask[]): Promise<void> {
    const { y, x } = this.source.sizes;
    const boxes = masks.reduce((sum, { box: [y0, x0, y1, x1] }) => sum + (y1 - y0) * (x1 - x0), 0);
    if (boxes < (y * x) / 4 || y * x > LARGE_PLANE) {
      for (const mask of masks) {
        const [top, left, , right] = mask.box;
        const { data } = await this.source.readRegion({
          ...planeAt(this.source, plane),
          channels: [0],
          level: 0,
          box: mask.box,
        });
        this.sums.set(mask, sumUnder(mask, data, right - left, top, left));
        if (this.closed) return;
      }
      return;
    }
    const { data } = await readPlane(this.source, plane, { channels: [0] });
    for (const mask of masks) this.sums.set(mask, sumUnder(mask, data, x, 0, 0));
  }
}

/** Pixels; a larger plane is not read whole. */
const LARGE_PLANE = 4096 * 4096;

function sumUnder(mask: Mask, data: ArrayLike<number | bigint>, width: number, top: number, left: number): number {
  const spans = maskSpans(mask);
  let sum = 0;
  for (let i = 0; i < spans.length; i += 3) {
    const row = (spans[i]! - top) * width - left;
    for (let p = row + spans[i + 1]!; p < row + spans[i + 2]!; p++) sum += Number(data[p]);
  }
  return sum;
}
