import * as v from 'valibot';
import { SamError } from '../errors.js';
import type { ThresholdsInForce } from '../segmentation/automatic-choices.js';
import { AUTOMATIC_MODES } from '../segmentation/automatic-settings.js';
import { INSTANCE_RULES } from '../segmentation/instances/state.js';
import { PRESET_NAMES } from '../segmentation/presets.js';
import { changedSettings, planAccept } from '../session/edits/automatic-edits.js';
import { needImage } from '../session/layers.js';
import type { AnnotationSession } from '../session/session.js';
import type { AutomaticThresholds } from '../session/state.js';
import { method } from './call.js';
import { type RunningCalls, TASK_ARGUMENTS } from './running-calls.js';
import { describeLayer } from './state-json.js';
import { withSettings } from './with-settings.js';

/** Automatic segmentation over RPC: run it, tune it, and commit or remove what it found. Boxes are (y, x), in pixels. */
const number = v.pipe(v.number(), v.finite());
const score = v.optional(v.pipe(number, v.minValue(0), v.maxValue(1)));
const size = v.optional(v.pipe(number, v.minValue(0)));
export const THRESHOLD_ARGUMENTS = {
  rule: v.optional(v.picklist(INSTANCE_RULES)),
  center_distance_threshold: score,
  boundary_distance_threshold: score,
  foreground_threshold: score,
  distance_smoothing: size,
  foreground_smoothing: size,
  max_overlap: score,
  pred_iou_thresh: score,
  stability_score_thresh: score,
  box_nms_thresh: score,
  min_object_size: size,
  max_object_size: size,
  min_visible_share: score,
};
/** How to search, beside the mode. */
export const SEARCH_ARGUMENTS = {
  preset: v.optional(v.picklist(PRESET_NAMES)),
  mirror: v.optional(v.boolean()),
  refine: v.optional(v.boolean()),
};
const ids = v.optional(v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(1))), v.minLength(1)));

const schemas = {
  run: v.strictObject({
    ...THRESHOLD_ARGUMENTS,
    ...SEARCH_ARGUMENTS,
    mode: v.optional(v.picklist(['auto', ...AUTOMATIC_MODES])),
    points_per_side: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(128))),
    region: v.optional(v.tuple([number, number, number, number], 'expected [y0, x0, y1, x1]')),
    all_planes: v.optional(v.boolean()),
    deeper: v.optional(v.boolean()),
    ...TASK_ARGUMENTS,
  }),
  estimate: v.strictObject({
    region: v.optional(v.tuple([number, number, number, number], 'expected [y0, x0, y1, x1]')),
    all_planes: v.optional(v.boolean()),
  }),
  thresholds: v.strictObject(THRESHOLD_ARGUMENTS),
  accept: v.strictObject({
    ids,
    preserve_mode: v.optional(v.picklist(['objects', 'pixels', 'none'])),
    preservation_threshold: score,
  }),
  reject: v.strictObject({ ids: v.unwrap(ids) }),
};

export function automaticFunctions(session: AnnotationSession, calls: RunningCalls) {
  /** What there is now, and the thresholds and floors that hold. */
  function result() {
    const { state, annotator } = session;
    const status = annotator?.automaticStatus?.(state);
    return {
      ...describeLayer(state.layers.auto_segmentation),
      mode: status ? (status.ran?.mode ?? status.mode) : null,
      modes: status ? [...status.modes] : [],
      thresholds: status ? thresholdsJson(status.thresholds) : null,
      floors:
        status?.ran?.mode === 'amg'
          ? { pred_iou_thresh: status.ran.iouFloor, stability_score_thresh: status.ran.stabilityFloor }
          : null,
      rejected: (status?.rejected ?? []).map(({ point, reason }) => ({ point: [...point], reason })),
    };
  }

  async function run({
    mode,
    points_per_side: pointsPerSide,
    preset,
    mirror,
    refine,
    region,
    all_planes: allPlanes,
    deeper,
    ...given
  }: v.InferOutput<typeof schemas.run>) {
    needImage(session.state);
    const changed = thresholdsOf(given);
    const modes = session.annotator?.automaticStatus?.(session.state).modes ?? [];
    if (mode !== undefined && mode !== 'auto' && modes.length > 0 && !modes.includes(mode))
      throw new SamError('unsupported', `The model cannot do ${mode}, only ${modes.join(', ')}.`);
    const said = [mode, pointsPerSide, preset, mirror, refine];
    const isSaid = said.some((value) => value !== undefined) || Object.keys(changed).length > 0;
    const automatic = changedSettings(session.state.settings.automatic, {
      mode: mode === 'auto' ? null : mode,
      pointsPerSide,
      preset,
      mirror,
      refine,
      thresholds: changed,
    });
    await withSettings(session, isSaid && modes.length > 0 ? { automatic } : {}, () =>
      session.run('automatic_segmentation', { region, allPlanes, deeper, confirmed: true }),
    );
    return result();
  }

  return {
    /**
     * Fills auto_segmentation with all objects of the visible plane, or of all planes: with the model's instance decoder
     * ('ais'), with prompts from it ('apg'), or with a grid of prompts ('amg'); 'auto' is the first the model can. What the model answered is kept:
     * a second call with other thresholds does not ask it again, unless they lie below the floors of the first. `preset`
     * names the kind of image. `rejected` are the points of 'apg' that gave no object, and why.
     */
    automatic_segmentation: method('automatic_segmentation', [], schemas.run, ({ task, progress, ...given }) =>
      calls.runIn(session, { task, progress }, () => run(given)),
    ),
    /**
     * How much work `automatic_segmentation` would be: planes, tiles, of these to encode, point prompts, and about how many
     * seconds. Null where the speed of the worker is not known.
     */
    estimate_automatic: method(
      'estimate_automatic',
      [],
      schemas.estimate,
      async ({ region, all_planes: allPlanes }) => {
        needImage(session.state);
        const { state, annotator } = session;
        const applyToVolume = allPlanes ?? state.settings.applyToVolume;
        const wanted = { ...state, settings: { ...state.settings, applyToVolume } };
        return (await annotator?.automaticEstimate?.(wanted, { region })) ?? null;
      },
    ),
    /** Without the model; thresholds below the floors are refused. */
    set_automatic_thresholds: method('set_automatic_thresholds', [], schemas.thresholds, async (given) => {
      await session.run('change_automatic', { thresholds: thresholdsOf(given) });
      return result();
    }),
    /** Commits automatic objects, all of them without `ids`. Returns the ids they have among the committed objects. */
    accept_automatic: method(
      'accept_automatic',
      ['ids'],
      schemas.accept,
      async ({ ids, preserve_mode: preserveMode, preservation_threshold: preservationThreshold }) => {
        needImage(session.state);
        const options = { preserveMode, preservationThreshold };
        const { added } = planAccept(session.state, ids, options);
        if (ids) await session.run('accept_automatic', { ids, ...options });
        else await session.run('accept_all_automatic', options);
        return [...added];
      },
    ),
    reject_automatic: method('reject_automatic', ['ids'], schemas.reject, ({ ids }) =>
      session.run('reject_automatic', { ids }),
    ),
  };
}

type Given = v.InferOutput<typeof schemas.thresholds>;

export function thresholdsOf(given: Given): AutomaticThresholds {
  const all: AutomaticThresholds = {
    rule: given.rule,
    centerDistanceThreshold: given.center_distance_threshold,
    boundaryDistanceThreshold: given.boundary_distance_threshold,
    foregroundThreshold: given.foreground_threshold,
    distanceSmoothing: given.distance_smoothing,
    foregroundSmoothing: given.foreground_smoothing,
    maxOverlap: given.max_overlap,
    predIouThresh: given.pred_iou_thresh,
    stabilityScoreThresh: given.stability_score_thresh,
    boxNmsThresh: given.box_nms_thresh,
    minObjectSize: given.min_object_size,
    maxObjectSize: given.max_object_size,
    minVisibleShare: given.min_visible_share,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** No largest size is null: Infinity does not survive JSON. */
function thresholdsJson(given: ThresholdsInForce) {
  return {
    center_distance_threshold: given.centerDistanceThreshold,
    boundary_distance_threshold: given.boundaryDistanceThreshold,
    foreground_threshold: given.foregroundThreshold,
    distance_smoothing: given.distanceSmoothing,
    foreground_smoothing: given.foregroundSmoothing,
    max_overlap: given.maxOverlap,
    pred_iou_thresh: given.predIouThresh,
    stability_score_thresh: given.stabilityScoreThresh,
    box_nms_thresh: given.boxNmsThresh,
    min_object_size: given.minObjectSize,
    max_object_size: Number.isFinite(given.maxObjectSize) ? given.maxObjectSize : null,
    min_visible_share: given.minVisibleShare,
    ...(given.rule && { rule: given.rule }),
  };
}
