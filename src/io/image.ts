import type { Dtype, Size, Tensor, YXYX } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';

/**
 * A lazily read image of any format: five logical axes (t, c, z, y, x), each at least 1 long, with optional
 * resolution levels. Nothing reads a whole file when a region is asked for. Opened by `openImage()` in open.ts.
 */
export interface ImageSource {
  readonly name: string;
  /** Axes that are longer than 1 or were declared by the file, in (t, z, y, x) order; channels are not an axis here. */
  readonly axes: 'yx' | 'zyx' | 'tyx' | 'tzyx';
  readonly sizes: {
    readonly t: number;
    readonly c: number;
    readonly z: number;
    readonly y: number;
    readonly x: number;
  };
  readonly dtype: Dtype;
  readonly channels: readonly ChannelInfo[];
  /** True if the channels are the samples of a colour picture (RGB), not separate recordings. */
  readonly rgb: boolean;
  /** Physical size of a pixel, where the file says it. */
  readonly pixelSize?: { readonly z?: number; readonly y: number; readonly x: number; readonly unit: string };
  /** What values mean: `value * slope + intercept` (NIfTI). They are given as stored; measurements are scaled. */
  readonly valueScale?: { readonly slope: number; readonly intercept: number };
  /** [height, width] per resolution level; level 0 is full resolution and always present. */
  readonly levels: readonly Size[];
  /** Names of all images that the file holds, where it can hold several; `openImage`'s option `series` chooses one. */
  readonly images?: readonly string[];
  /** Names of the files its pixels come from, where there are several (OME-TIFF). */
  readonly files?: readonly string[];
  /** What its user should know: planes that are missing, parts in other files, text that its pixels contradict. */
  readonly notices?: readonly string[];
  /** Planes (numbers as `planeCount` counts) that the file announces and does not hold; they read as zeros. */
  readonly absentPlanes?: readonly number[];
  /** Its compression changes values (JPEG): it is no place for the numbers of objects. */
  readonly lossy?: boolean;
  /** The palette indices of a picture that has a palette: the numbers of objects, if it is a label image. */
  readonly indices?: ImageSource;
  /**
   * Part of one plane: `[h, w]` if one channel was asked for, else `[h, w, c]`, in the file's dtype. `box` is in pixels
   * of `level` and must lie inside it.
   */
  readRegion(region: RegionRequest, options?: TaskOptions): Promise<Tensor>;
  close(): Promise<void>;
}

export interface ChannelInfo {
  readonly name: string;
  /** '#rrggbb' */
  readonly color?: string;
  /** Of its emission, in nm. */
  readonly wavelength?: number;
  /** Display range suggested by the file. */
  readonly limits?: readonly [low: number, high: number];
}

export interface PlaneIndex {
  readonly t?: number;
  readonly z?: number;
}

export interface RegionRequest extends PlaneIndex {
  /** Channels to read; all if absent. */
  readonly channels?: readonly number[];
  readonly level?: number;
  /** The whole level if absent. */
  readonly box?: YXYX;
}

/** The number of planes an annotator steps through: z of a volume, t of a time series (t·z of both, t outermost). */
export function planeCount(source: ImageSource): number {
  return source.sizes.t * source.sizes.z;
}

export function planeAt(source: ImageSource, plane: number): Required<PlaneIndex> {
  return { t: Math.floor(plane / source.sizes.z), z: plane % source.sizes.z };
}

/** A whole plane at full resolution, `[H, W]` or `[H, W, C]`. */
export function readPlane(
  source: ImageSource,
  plane: number,
  request: Pick<RegionRequest, 'channels'> = {},
  options: TaskOptions = {},
): Promise<Tensor> {
  return source.readRegion({ ...planeAt(source, plane), ...request }, options);
}
