import type { TaskOptions } from '../task.js';
import type { ByteSource } from './bytes.js';
import type { PixelSize } from './pixel-size.js';

/** What openImage is told besides the input, and hands on to the reader of its format. */
export interface OpenOptions extends TaskOptions {
  readonly name?: string;
  /** The dataset inside an HDF5 file, the array or group inside a zarr, or the array inside an .npz. */
  readonly key?: string;
  /**
   * Which image of a file that holds several (`ImageSource.images`), counted from 0. Bio-Formats calls them series, and so do
   * this option and `--series`; everywhere else a series is several images that are worked through one after the other.
   */
  readonly series?: number;
  /** What the user says a pixel measures, whatever the file says. */
  readonly pixelSize?: PixelSize;
  /** Finds a file beside the one that is opened, where a format is spread over several (companion.ome). */
  readonly beside?: (name: string) => Promise<ByteSource | undefined>;
}
