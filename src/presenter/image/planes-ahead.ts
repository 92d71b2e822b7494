import { type ImageSource, readPlane } from '../../io/image.js';
import { allocate, type Tensor } from '../../ndimage/array.js';

/**
 * Planes of a stack for the eye: those seen last are kept, and once one was read its neighbours are, first those in the
 * direction somebody scrolls. Reading ahead stops as soon as another plane is asked for.
 */
export class PlanesAhead {
  private readonly kept = new Map<string, Promise<Tensor>>();
  private last = 0;
  private turn = 0;

  constructor(private readonly source: ImageSource) {}

  /** [H, W, channels asked for], in the file's dtype. Not to be written to. */
  read(plane: number, channels: readonly number[]): Promise<Tensor> {
    const direction = plane < this.last ? -1 : 1;
    if (plane !== this.last) this.turn++;
    this.last = plane;
    const pixels = this.obtain(plane, channels);
    void this.ahead(plane, direction, channels, pixels);
    return pixels;
  }

  close(): void {
    this.turn = Number.NaN;
    this.kept.clear();
  }

  private async ahead(plane: number, direction: number, channels: readonly number[], first: Promise<Tensor>) {
    const { turn } = this;
    const { t, z } = this.source.sizes;
    const room = this.room(channels) - 1;
    const wanted = [1, 2, -1, 3, 4].slice(0, Math.max(0, room)).map((step) => plane + step * direction);
    try {
      await first;
      for (const next of wanted) {
        if (turn !== this.turn) return;
        if (next >= 0 && next < t * z) await this.obtain(next, channels);
      }
    } catch {
      // Told to whoever asks for that plane.
    }
  }

  private obtain(plane: number, channels: readonly number[]): Promise<Tensor> {
    const key = `${plane}/${channels}`;
    const known = this.kept.get(key);
    this.kept.delete(key);
    const pixels = known ?? readPlane(this.source, plane, { channels });
    const room = this.room(channels);
    if (room === 0) return pixels;
    this.kept.set(key, pixels); // the last entry is the youngest
    if (!known)
      pixels.catch(() => {
        if (this.kept.get(key) === pixels) this.kept.delete(key);
      });
    for (const old of this.kept.keys()) {
      if (this.kept.size <= room) break;
      this.kept.delete(old);
    }
    return pixels;
  }

  /** How many planes may be kept. */
  private room(channels: readonly number[]): number {
    const { y, x } = this.source.sizes;
    const bytes = y * x * channels.length * allocate(this.source.dtype, 0).BYTES_PER_ELEMENT;
    return Math.min(MOST_PLANES, Math.floor(KEPT_BYTES / Math.max(1, bytes)));
  }
}

const KEPT_BYTES = 2 ** 27;
const MOST_PLANES = 24;
