import { SamError } from '../errors.js';
import { allocate, type Tensor } from '../ndimage/array.js';
import { threeAxes } from '../ndimage/label.js';
import type { ImageSource, RegionRequest } from './image.js';

/**
 * A recording with both time and depth, taken one way: as the volume of one time point, or as a time series of one slice or
 * of the projection along depth. Time and depth never become one axis.
 */
export type RecordingView =
  /** The volume at time point `t`, from 0. */
  | { readonly as: 'volume'; readonly t: number }
  /** The time series of slice `z`, from 0. */
  | { readonly as: 'slice'; readonly z: number }
  /** The time series of the largest value over all slices. */
  | { readonly as: 'projection' };

/** Where a part of a recording lies in it. */
export interface RecordingPosition {
  readonly t?: number;
  readonly z?: number;
}

export function isRecording({ sizes }: Pick<ImageSource, 'sizes'>): boolean {
  return sizes.t > 1 && sizes.z > 1;
}

/** A stack [planes, H, W] of a recording as [T, Z, H, W]: one of them is 1 long, or there are so many `times`. */
export function fourAxes(shape: readonly number[], stack: 'z' | 't', times?: number): number[] {
  const [planes, height, width] = threeAxes(shape);
  if (times !== undefined) return [times, planes / times, height, width];
  return stack === 't' ? [planes, 1, height, width] : [1, planes, height, width];
}

/** What it is opened as: its first time point. */
export const FIRST_VIEW: RecordingView = { as: 'volume', t: 0 };

export function positionOf(view: RecordingView): RecordingPosition {
  return view.as === 'volume' ? { t: view.t } : view.as === 'slice' ? { z: view.z } : {};
}

/** What tells the files and the saved work of this view from those of others: 't0012', 'z003', 'max'. */
export function nameOfView(view: RecordingView): string {
  if (view.as === 'volume') return `t${String(view.t).padStart(4, '0')}`;
  return view.as === 'slice' ? `z${String(view.z).padStart(4, '0')}` : 'max';
}

/**
 * The view as an image of its own, read from the recording when it is asked for.
 *
 * @throws SamError invalid_argument for a time point or slice that is not there
 */
export function viewOfRecording(recording: ImageSource, view: RecordingView): ImageSource {
  const { sizes } = recording;
  if (view.as === 'volume') check('time point', view.t, sizes.t);
  if (view.as === 'slice') check('slice', view.z, sizes.z);
  const volume = view.as === 'volume';
  const { absentPlanes: _, images: __, ...rest } = recording;
  const absentPlanes = absentOf(recording, view);
  const read = (request: RegionRequest, options?: Parameters<ImageSource['readRegion']>[1]) => {
    if (view.as === 'volume') return recording.readRegion({ ...request, t: view.t }, options);
    if (view.as === 'slice') return recording.readRegion({ ...request, z: view.z }, options);
    return projected(recording, request, options);
  };
  return {
    ...rest,
    axes: volume ? 'zyx' : 'tyx',
    sizes: volume ? { ...sizes, t: 1 } : { ...sizes, z: 1 },
    ...(absentPlanes.length > 0 && { absentPlanes }),
    readRegion: read,
  };
}

function check(what: string, index: number, count: number): void {
  if (Number.isInteger(index) && index >= 0 && index < count) return;
  throw new SamError('invalid_argument', `There is no ${what} ${index}: the recording has 0 to ${count - 1}.`);
}

function absentOf({ absentPlanes = [], sizes: { t, z } }: ImageSource, view: RecordingView): number[] {
  const absent = new Set(absentPlanes);
  if (view.as === 'volume') return absentPlanes.flatMap((plane) => (Math.floor(plane / z) === view.t ? plane % z : []));
  const times = Array.from({ length: t }, (_, time) => time);
  if (view.as === 'slice') return times.filter((time) => absent.has(time * z + view.z));
  return times.filter((time) => Array.from({ length: z }, (_, k) => time * z + k).every((plane) => absent.has(plane)));
}

/** NaN counts for nothing. */
async function projected(
  recording: ImageSource,
  request: RegionRequest,
  options?: Parameters<ImageSource['readRegion']>[1],
): Promise<Tensor> {
  const first = await recording.readRegion({ ...request, z: 0 }, options);
  const most = allocate(recording.dtype, first.data.length);
  most.set(first.data as never);
  for (let z = 1; z < recording.sizes.z; z++) {
    const { data } = await recording.readRegion({ ...request, z }, options);
    for (let i = 0; i < data.length; i++) if (data[i]! > most[i]! || Number.isNaN(most[i]!)) most[i] = data[i]!;
  }
  return { data: most, shape: first.shape };
}
