import * as v from 'valibot';
import { SamError } from '../errors.js';
import { toRpcArray } from '../io/rpc-array.js';
import { tensor } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import { masksEqual, maskToBitmap } from '../ndimage/rle.js';
import { PROJECTION_NAMES } from '../segmentation/volume/projection.js';
import type { Edit } from '../session/actions.js';
import { trackOfPrompt } from '../session/annotator.js';
import { refusal } from '../session/commands/commands.js';
import { describeTracks, loadTracks, setCurrentTrack } from '../session/edits/tracking.js';
import { needImage, recordsFromLabels } from '../session/layers.js';
import type { AnnotationSession } from '../session/session.js';
import type { Lineage, ObjectLayer, SessionSettings } from '../session/state.js';
import { method } from './call.js';
import { tensorSchema } from './image.js';
import { checkLabels } from './labels.js';
import { resultStream, streamable } from './result-stream.js';
import { type RunningCalls, STREAM_ARGUMENTS, type TaskArguments } from './running-calls.js';
import { withSettings } from './with-settings.js';

/**
 * Volumes and time series over RPC: follow an object through all slices or frames, edit tracks and lineages. Frames are
 * plane numbers from 0; lineages are micro-sam's: one record per family, track → daughters.
 */
const natural = v.pipe(v.number(), v.integer(), v.minValue(0));
const id = v.pipe(natural, v.minValue(1));
const fraction = v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)));
const layer = v.optional(v.picklist(['current_object', 'committed_objects']));
const ids = v.tuple([id, id], 'expected the ids of two tracks');

/** The part of `set_settings` that is for stacks; the ranges are the session's to check. */
export const stackSettingsSchema = {
  annotator: v.optional(v.picklist(['auto', '2d', '3d', 'tracking'])),
  projection: v.optional(v.picklist(['auto', ...PROJECTION_NAMES])),
  iou_threshold: fraction,
  box_extension: v.optional(v.pipe(v.number(), v.minValue(0))),
  motion_smoothing: fraction,
  track_direction: v.optional(v.picklist(['forward', 'backward', 'both'])),
  track_state: v.optional(v.picklist(['track', 'division'])),
  apply_to_volume: v.optional(v.boolean()),
  gap_closing: v.optional(natural),
  min_extent: v.optional(natural),
  min_overlap: fraction,
};

const projecting = {
  projection: stackSettingsSchema.projection,
  iou_threshold: stackSettingsSchema.iou_threshold,
  box_extension: stackSettingsSchema.box_extension,
};

const schemas = {
  none: v.strictObject({}),
  segment_all: v.strictObject({ ...projecting, ...STREAM_ARGUMENTS }),
  track: v.strictObject({
    ...projecting,
    motion_smoothing: stackSettingsSchema.motion_smoothing,
    direction: stackSettingsSchema.track_direction,
    id: v.optional(id),
    ...STREAM_ARGUMENTS,
  }),
  layer: v.strictObject({ layer }),
  set_track: v.strictObject({ id }),
  divide: v.strictObject({ id: v.optional(id), frame: v.optional(natural) }),
  link: v.strictObject({ mother: id, daughter: id, layer }),
  unlink: v.strictObject({ daughter: id, layer }),
  split: v.strictObject({ id, frame: v.optional(natural), layer }),
  merge: v.strictObject({ ids, layer }),
  swap: v.strictObject({ ids, frame: v.optional(natural), layer }),
  remove: v.strictObject({ id, layer }),
  set_committed_tracks: v.strictObject({
    labels: tensorSchema,
    lineages: v.optional(v.array(v.record(v.pipe(v.string(), v.regex(/^\d+$/)), v.array(id)))),
  }),
};

type StackSettings = v.InferOutput<ReturnType<typeof v.strictObject<typeof stackSettingsSchema, undefined>>>;

/** Only what is given. */
export function stackSettingsOf(given: StackSettings): Partial<SessionSettings> {
  const all: Partial<SessionSettings> = {
    annotator: given.annotator,
    projection: given.projection,
    iouThreshold: given.iou_threshold,
    boxExtension: given.box_extension,
    motionSmoothing: given.motion_smoothing,
    trackDirection: given.track_direction,
    trackState: given.track_state,
    applyToVolume: given.apply_to_volume,
    gapClosing: given.gap_closing,
    minExtent: given.min_extent,
    minOverlap: given.min_overlap,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

export function stackSettingsJson(settings: SessionSettings) {
  return {
    annotator: settings.annotator,
    projection: settings.projection,
    iou_threshold: settings.iouThreshold,
    box_extension: settings.boxExtension,
    motion_smoothing: settings.motionSmoothing,
    track_direction: settings.trackDirection,
    track_state: settings.trackState,
    apply_to_volume: settings.applyToVolume,
    gap_closing: settings.gapClosing,
    min_extent: settings.minExtent,
    min_overlap: settings.minOverlap,
  };
}

export function stackFunctions(session: AnnotationSession, calls: RunningCalls) {
  const edit = (name: string, run: () => Promise<void>) => method(name, [], schemas.none, run);

  const follow = (settings: StackSettings, first?: Edit) =>
    withSettings(session, stackSettingsOf(settings), () => session.run('segment_all'), first);

  /** Its result, or with `stream` the object plane by plane: `{ id, plane, mask }`, the mask as uint8 [H, W]. */
  async function run<T>({ stream = false, ...given }: TaskArguments & { stream?: boolean }, job: () => Promise<T>) {
    if (!stream) return await calls.runIn(session, given, job);
    const { size } = needImage(session.state);
    return resultStream<FoundMask, object>(
      (emit, stopped) => calls.runIn(session, given, () => tellingMasks(session, emit, job), stopped),
      ({ id, plane, mask }) => ({ id, plane, mask: toRpcArray(tensor(maskToBitmap(mask, size), [...size])) }),
    );
  }

  return {
    /** Returns the planes the object is in. */
    segment_all_slices: streamable(
      method('segment_all_slices', [], schemas.segment_all, ({ task, progress, stream, ...settings }) =>
        run({ task, progress, stream }, async () => {
          await follow(settings);
          const [id] = session.state.layers.current_object.objects.keys();
          return id === undefined ? [] : planesOf(session, id);
        }),
      ),
    ),
    /** Follows the current track, or the one of this id. Returns what `get_tracks` says of it. */
    track_object: streamable(
      method('track_object', [], schemas.track, ({ task, progress, stream, id: track, direction, ...settings }) =>
        run({ task, progress, stream }, async () => {
          let followed = track;
          const choose: Edit = {
            title: 'Choose track',
            change(state) {
              followed = track ?? state.currentTrack;
              if (track === undefined) return state;
              const reason = refusal('set_track', state);
              if (reason) throw new SamError('invalid_argument', reason);
              return setCurrentTrack(track).change(state);
            },
          };
          await follow({ ...settings, track_direction: direction }, choose);
          return tracksJson(session).find((one) => one.id === followed) ?? null;
        }),
      ),
    ),
    /** By id: first and last frame, frames without a mask, mother, daughters, and how it ended. */
    get_tracks: method('get_tracks', ['layer'], schemas.layer, (options) => tracksJson(session, options.layer)),
    get_lineages: method('get_lineages', ['layer'], schemas.layer, ({ layer: name = 'committed_objects' }) => {
      const { lineages, currentLineages } = session.state;
      return (name === 'committed_objects' ? lineages : currentLineages).map(lineageJson);
    }),
    set_track: method('set_track', ['id'], schemas.set_track, (options) => session.run('set_track', options)),
    /** Returns its id. */
    new_track: method('new_track', [], schemas.none, async () => {
      await session.run('new_track');
      return session.state.currentTrack;
    }),
    divide_track: method('divide_track', ['id'], schemas.divide, (options) => session.run('divide_track', options)),
    link_tracks: method('link_tracks', ['mother', 'daughter'], schemas.link, (options) =>
      session.run('link_tracks', options),
    ),
    unlink_track: method('unlink_track', ['daughter'], schemas.unlink, (options) =>
      session.run('unlink_track', options),
    ),
    split_track: method('split_track', ['id', 'frame'], schemas.split, (options) =>
      session.run('split_track', options),
    ),
    merge_tracks: method('merge_tracks', ['ids'], schemas.merge, (options) => session.run('merge_tracks', options)),
    swap_tracks: method('swap_tracks', ['ids', 'frame'], schemas.swap, (options) =>
      session.run('swap_tracks', options),
    ),
    delete_track: method('delete_track', ['id'], schemas.remove, (options) => session.run('delete_track', options)),
    /** Loads a tracking result: the label of a track in all its frames, and who descends from whom. */
    set_committed_tracks: method(
      'set_committed_tracks',
      ['labels', 'lineages'],
      schemas.set_committed_tracks,
      ({ labels, lineages = [] }) => {
        const records = recordsFromLabels(checkLabels(labels, needImage(session.state)));
        return session.applyInTurn(loadTracks(records, lineages as readonly Lineage[]));
      },
    ),
    next_plane: edit('next_plane', () => session.run('next_plane')),
    previous_plane: edit('previous_plane', () => session.run('previous_plane')),
  };
}

interface FoundMask {
  readonly id: number;
  readonly plane: number;
  readonly mask: Mask;
}

/** Does the job and tells of the masks of the current object as they are found, and again where they become others. */
async function tellingMasks(session: AnnotationSession, emit: (found: FoundMask) => void, job: () => Promise<unknown>) {
  const told = new Map<string, Mask>();
  const tell = (layer: ObjectLayer | undefined) => {
    for (const { id, masks } of layer?.objects.values() ?? [])
      for (const [plane, mask] of masks) {
        const key = `${id}/${plane}`;
        const before = told.get(key);
        if (mask.area === 0 || (before && masksEqual(before, mask))) continue;
        told.set(key, mask);
        emit({ id, plane, mask });
      }
  };
  const stop = session.subscribe(({ arriving }) => tell(arriving?.current_object));
  try {
    await job();
    tell(session.state.layers.current_object);
  } finally {
    stop();
  }
}

function planesOf({ state }: AnnotationSession, object: number): number[] {
  return [...(state.layers.current_object.objects.get(object)?.masks.keys() ?? [])].sort((a, b) => a - b);
}

export function tracksJson(
  { state }: AnnotationSession,
  name: 'current_object' | 'committed_objects' = 'current_object',
) {
  return describeTracks(state, name).map(({ id: track, range, gaps, mother, daughters, end }) => ({
    id: track,
    first: range ? range[0] : null,
    last: range ? range[1] : null,
    gaps: [...gaps],
    mother: mother ?? null,
    daughters: [...daughters],
    end: end ? { ...end } : null,
    prompts: name === 'current_object' ? state.prompts.filter((prompt) => trackOfPrompt(prompt) === track).length : 0,
  }));
}

function lineageJson(family: Lineage): Record<string, number[]> {
  return Object.fromEntries(Object.entries(family).map(([mother, daughters]) => [mother, [...daughters]]));
}
