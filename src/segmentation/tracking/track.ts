import { entryOf } from '../../items.js';
import type { Size } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { clipMask, intersectionArea, maskIou } from '../../ndimage/mask-sets.js';
import { translateMask } from '../../ndimage/rle.js';
import type { TaskOptions } from '../../task.js';
import { ALWAYS_THERE, largestOf, presenceTest } from '../volume/presence.js';
import { projectionOf, type ResolvedProjection, type SliceSegmenter } from '../volume/projection.js';
import { MotionModel } from './motion.js';
import { TRACK_OPTIONS, type TrackOptions } from './options.js';

/**
 * One object through time. From the first annotated frame forwards, as micro-sam does it, and backwards as well: the
 * mask of one frame, moved by a linear motion model, prompts the next; annotated frames are taken as they are; the
 * track ends where the object is lost, divides, or the series ends. It is lost, too, where the model
 * believes much less in the mask than in the first annotated one (projections with masks only), and where the mask comes
 * to lie on the object of another track. Source: `track_across_frames` of micro-sam 1.8.
 */
export interface AnnotatedFrames {
  /** Frame → mask, at least one that is not empty. An empty mask says that the object is not in that frame. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** Frames marked as divisions: the track ends before the first of them, which belongs to the daughters. */
  readonly divisions: ReadonlySet<number>;
  /** The track does not go beyond its first (last) annotated frame. */
  readonly stopLower: boolean;
  readonly stopUpper: boolean;
  /** Frame → mask of each other track: where one of them is, this object is not. */
  readonly others?: readonly ReadonlyMap<number, Mask>[];
}

export interface Track {
  readonly masks: ReadonlyMap<number, Mask>;
  /** First and last frame, inclusive. */
  readonly range: readonly [number, number];
  /** Why it ends: the frame where the object divides or was lost, or the end of what was asked for. */
  readonly end: { readonly reason: 'division' | 'lost' | 'end'; readonly frame: number };
}

export interface TrackTask extends TaskOptions {
  readonly onFrame?: (frame: number, mask: Mask) => void;
}

/**
 * @param frames length of the series
 * @param size [H, W] of a frame
 */
export async function trackAcrossFrames(
  annotated: AnnotatedFrames,
  frames: number,
  size: Size,
  segment: SliceSegmenter,
  options: TrackOptions = TRACK_OPTIONS,
  task: TrackTask = {},
): Promise<Track> {
  const projection: ResolvedProjection = { ...projectionOf(options.projection), boxExtension: options.boxExtension };
  const planes = [...annotated.masks.keys()].sort((a, b) => a - b);
  const marked = planes.filter((plane) => entryOf(annotated.masks, plane).area > 0);
  const [first, last] = [marked[0], marked[marked.length - 1]];
  const run = { annotated, frames, size, segment, projection, options, task };
  const masks = new Map<number, Mask>();
  let end: Track['end'] = { reason: 'end', frame: last };
  if (options.direction === 'backward') {
    for (const plane of marked) masks.set(plane, entryOf(annotated.masks, plane));
  } else {
    const bound = planes.find((plane) => plane > last) ?? last;
    end = await follow(run, first, last, 1, annotated.stopUpper ? bound : undefined, masks);
  }
  if (options.direction !== 'forward') {
    const bound = planes.findLast((plane) => plane < first) ?? first;
    if (!annotated.stopLower || bound < first)
      await follow(run, first, first, -1, annotated.stopLower ? bound : undefined, masks);
  }
  const found = [...masks].sort(([a], [b]) => a - b);
  return { masks: new Map(found), range: [found[0][0], found[found.length - 1][0]], end };
}

interface Run {
  readonly annotated: AnnotatedFrames;
  readonly frames: number;
  readonly size: Size;
  readonly segment: SliceSegmenter;
  readonly projection: ResolvedProjection;
  readonly options: TrackOptions;
  readonly task: TrackTask;
}

/**
 * Walks from an annotated frame; `sure` is the last frame up to which the object is known to exist, `stop` the frame
 * where it ends at the latest: the last marked one, or one that is marked as without it.
 */
async function follow(
  run: Run,
  start: number,
  sure: number,
  direction: 1 | -1,
  stop: number | undefined,
  masks: Map<number, Mask>,
): Promise<Track['end']> {
  const { annotated, frames, size, options, task } = run;
  const motion = new MotionModel(options.motionSmoothing);
  let previous = entryOf(annotated.masks, start);
  const presenceOf = run.projection.useMask
    ? await presenceTest(run.segment, ...largestOf(annotated.masks), run.projection, task, options.scoreDrop)
    : ALWAYS_THERE;
  // A track that holds what was marked is another version of this one.
  const others = (annotated.others ?? []).filter((other) => !isIn(previous, other.get(start)));
  masks.set(start, previous);
  motion.observe(previous);
  for (let frame = start + direction; frame >= 0 && frame < frames; frame += direction) {
    task.signal?.throwIfAborted();
    if (direction === 1 && annotated.divisions.has(frame)) return { reason: 'division', frame };
    const given = annotated.masks.get(frame);
    let mask = given;
    if (!mask) {
      const expected = clipMask(translateMask(previous, ...motion.shift), size);
      const from = expected.area > 0 ? expected : previous;
      const found = await run.segment(frame, from, run.projection, task);
      mask = found.mask;
      const beyond = direction === 1 ? frame > sure : frame < sure;
      const gone = mask.area === 0 || maskIou(from, mask) < options.iouThreshold || presenceOf(found) === 'gone';
      const taken = () => others.some((other) => isIn(found.mask, other.get(frame)));
      if (beyond && (gone || taken())) return { reason: 'lost', frame };
    }
    if (mask.area > 0) {
      masks.set(frame, mask);
      motion.observe(mask);
      previous = mask;
      task.onFrame?.(frame, mask);
    }
    task.onProgress?.({ done: masks.size, total: frames, message: `Tracked frame ${frame + 1} of ${frames}` });
    if (frame === stop) return { reason: 'end', frame };
  }
  return { reason: 'end', frame: direction === 1 ? frames - 1 : 0 };
}

/** Whether most of a mask belongs to another object. */
function isIn(mask: Mask, other: Mask | undefined): boolean {
  return other !== undefined && intersectionArea(mask, other) > mask.area / 2;
}
