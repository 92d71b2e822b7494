import { defined } from '../items.js';
import type { LabelImage, YX, YXYX } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import { generateLabels } from './amg/generate.js';
import { type AmgOptions, initializeAmg } from './amg/initialize.js';
import type { AmgState, AmgThresholds } from './amg/state.js';
import { type ApgOptions, type ApgState, generateApg, initializeApg, type RejectedPoint } from './apg.js';
import { automaticModes, chooseMode, thresholdsInForce } from './automatic-choices.js';
import type { AutomaticMode, AutomaticThresholds } from './automatic-settings.js';
import type { ImageContext, SegmentContext } from './context.js';
import { eachPlane, type PlaneTask } from './each-plane.js';
import { generateInstances, labelsOf } from './instances/generate.js';
import { type InstanceOptions, initializeInstances } from './instances/initialize.js';
import type { InstanceSettings, InstanceState } from './instances/state.js';
import { type PresetName, withPreset } from './presets.js';
import type { AutomaticObject } from './scored-mask.js';
import { mergeSlices } from './volume/merge.js';
import type { MergeOptions } from './volume/options.js';
import type { SliceSegmenter } from './volume/projection.js';
import { propagateObjects } from './volume/propagate-objects.js';

/**
 * Everything in an image segmented without prompts, in one of micro-sam's three ways:
 *
 * - `ais`: an instance decoder gives maps of all objects in one run (instances/);
 * - `apg`: its maps give one point for each object, and the mask decoder an outline for each point (apg.ts);
 * - `amg`: the mask decoder is asked at a grid of points (amg/), which every model can.
 *
 * What the network answers is kept (`AutomaticState`), so that other thresholds cost no further run.
 */
export type AutomaticState =
  | { readonly mode: 'ais'; readonly instances: InstanceState }
  | { readonly mode: 'apg'; readonly apg: ApgState }
  | { readonly mode: 'amg'; readonly amg: AmgState };

export interface AutomaticOptions
  extends Omit<AmgOptions, 'onPartial' | 'points' | 'resume'>,
    Pick<InstanceOptions, 'mirror' | 'keepMaps'>,
    Pick<ApgOptions, 'refine'> {
  /** By the kind of image; what is stated besides comes first. */
  readonly preset?: PresetName;
  /** Default 'auto': the best that the model has. */
  readonly mode?: AutomaticMode | 'auto';
  readonly thresholds?: AutomaticThresholds & Partial<AmgThresholds>;
  /** Called with what is there so far. */
  readonly onPartial?: (state: AutomaticState) => void;
  /** What an interrupted run with the same options gave to `onPartial` last: it goes on from there. */
  readonly resume?: AutomaticState;
}

export interface AutomaticResult {
  /** [H, W], ids 1..n without gaps. */
  readonly labels: LabelImage;
  readonly objects: readonly AutomaticObject[];
}

export interface AutomaticPlane extends AutomaticResult {
  readonly state: AutomaticState;
}

/** The expensive half: asks the network. */
export async function initializeAutomatic(
  context: SegmentContext,
  given: AutomaticOptions & TaskOptions = {},
): Promise<AutomaticState> {
  const { mode, onPartial, resume, ...options } = withPreset(given, automaticModes(context.embeddings));
  const chosen = chooseMode(context.embeddings, mode);
  if (chosen === 'amg') {
    const amg = await initializeAmg(context, {
      ...options,
      ...(resume?.mode === 'amg' && { resume: resume.amg }),
      ...(onPartial && { onPartial: (amg: AmgState) => onPartial({ mode: 'amg', amg }) }),
    });
    return { mode: 'amg', amg };
  }
  if (chosen === 'apg') {
    const seeds = seedThresholds(options.thresholds);
    const apg = await initializeApg(context, {
      ...options,
      thresholds: apgThresholds(options.thresholds ?? {}),
      seeds,
      ...(resume?.mode === 'apg' && { resume: resume.apg }),
      ...(onPartial && { onPartial: (apg: ApgState) => onPartial({ mode: 'apg', apg }) }),
    });
    return { mode: 'apg', apg };
  }
  const instances = await initializeInstances(context, {
    region: options.region,
    first: options.first,
    mirror: options.mirror,
    keepMaps: options.keepMaps,
    ...(resume?.mode === 'ais' && { resume: resume.instances }),
    requests: options.requests === undefined ? undefined : Math.ceil(options.requests / 2),
    signal: options.signal,
    onProgress: options.onProgress,
    ...(onPartial && { onPartial: (instances: InstanceState) => onPartial({ mode: 'ais', instances }) }),
  });
  return { mode: 'ais', instances };
}

/** The cheap half: the objects that pass. */
export function generateAutomatic(
  state: AutomaticState,
  thresholds: AutomaticThresholds & Partial<AmgThresholds> = {},
  region?: YXYX,
): readonly AutomaticObject[] {
  if (state.mode === 'amg') return generateLabels(state.amg, amgThresholds(thresholds)).objects;
  const found =
    state.mode === 'apg'
      ? generateApg(state.apg, apgThresholds(thresholds)).objects
      : generateInstances(state.instances, instanceSettings(thresholds));
  return region ? found.filter(({ point }) => inside(point, region)) : found;
}

/** The points of apg that gave no object, and why. */
export function rejectedPoints(
  { apg }: Extract<AutomaticState, { mode: 'apg' }>,
  thresholds: AutomaticThresholds = {},
): readonly RejectedPoint[] {
  return generateApg(apg, apgThresholds(thresholds)).rejected;
}

export async function automaticSegmentation(
  context: SegmentContext,
  given: AutomaticOptions & TaskOptions = {},
): Promise<AutomaticPlane> {
  const options = withPreset(given, automaticModes(context.embeddings));
  const state = await initializeAutomatic(context, options);
  const objects = generateAutomatic(state, options.thresholds, options.region);
  return { state, objects, labels: labelsOf(objects, context.embeddings.size) };
}

export interface AutomaticVolumeOptions extends Omit<AutomaticOptions, 'onPartial' | 'resume'> {
  readonly merge?: MergeOptions;
  /** Planes that were segmented before, with the same options: they are not run again. */
  readonly states?: ReadonlyMap<number, AutomaticState>;
  /** Planes that hold no picture (`ImageSource.absentPlanes`): nothing is looked for in them. */
  readonly absent?: readonly number[];
  /** Keeps the labels of single planes over runs with the same options: what it has is not segmented again. */
  readonly kept?: PlaneLabels;
  /** apg: follows objects from plane to plane; default: the model of the context. */
  readonly segment?: SliceSegmenter;
  /** Called after each plane. */
  readonly onPlane?: (plane: number, result: AutomaticPlane) => void;
  /** apg: called after each object that was followed, with [Z, H, W] labels as far as they are. */
  readonly onFollowed?: (labels: LabelImage) => void;
}

/** [H, W] labels by plane. */
export interface PlaneLabels {
  get(plane: number): Promise<LabelImage | undefined>;
  set(plane: number, labels: LabelImage): Promise<void>;
}

export interface AutomaticVolume {
  /** [Z, H, W], one id per object over all planes. */
  readonly labels: LabelImage;
}

/**
 * All planes, and the pieces merged over z where they overlap. With `apg` each of the merged objects then is one point, in
 * the slice where it is largest, outlined there and followed through the volume (volume/propagate-objects.ts).
 *
 * @param context its `plane` is not used: planes 0 … planes - 1 are segmented
 */
export async function automaticVolume(
  context: ImageContext,
  planes: number,
  given: AutomaticVolumeOptions & TaskOptions = {},
): Promise<AutomaticVolume> {
  const options = withPreset(given, automaticModes(context.embeddings));
  const mode = chooseMode(context.embeddings, options.mode);
  const [height, width] = context.embeddings.size;
  const share = mode === 'apg' ? 0.5 : 1;
  const onProgress: TaskOptions['onProgress'] = ({ done, total, message }) =>
    options.onProgress?.({ done: done * share, total, message });
  const slices = new Uint32Array(planes * height * width);
  const segment = async ({ plane, signal, onProgress }: PlaneTask) => {
    const known = await options.kept?.get(plane);
    if (known) {
      slices.set(known.data, plane * height * width);
      onProgress({ done: 1, total: 1, message: `Plane ${plane + 1} of ${planes}: known from before` });
      return;
    }
    const state =
      options.states?.get(plane) ??
      (await initializeAutomatic(
        { ...context, plane },
        {
          ...options,
          mode: mode === 'apg' ? 'ais' : mode,
          signal,
          onProgress: (step) => onProgress({ ...step, message: `Plane ${plane + 1} of ${planes}: ${step.message}` }),
        },
      ));
    const objects = generateAutomatic(state, options.thresholds, options.region);
    const labels = labelsOf(objects, [height, width]);
    slices.set(labels.data, plane * height * width);
    await options.kept?.set(plane, labels);
    options.onPlane?.(plane, { state, objects, labels });
    onProgress({ done: 1, total: 1, message: `Segmented plane ${plane + 1} of ${planes}` });
  };
  await eachPlane(context, planes, segment, { absent: options.absent, signal: options.signal, onProgress });
  const linked = mergeSlices({ data: slices, shape: [planes, height, width] }, options.merge);
  if (mode !== 'apg') return { labels: linked };
  const { predIouThresh, maxOverlap, minObjectSize } = thresholdsInForce('apg', options.thresholds ?? {});
  const labels = await propagateObjects(context, linked, {
    predIouThresh,
    maxOverlap,
    minObjectSize,
    minExtent: options.merge?.minExtent,
    signal: options.signal,
    segment: options.segment,
    onPartial: options.onFollowed,
    onProgress: ({ done, total, message }) =>
      options.onProgress?.({ done: planes * (0.5 + (0.5 * done) / Math.max(1, total)), total: planes, message }),
  });
  return { labels };
}

const inside = ([y, x]: YX, box: YXYX) => y >= box[0] && y < box[2] && x >= box[1] && x < box[3];

function seedThresholds(given: AutomaticThresholds = {}) {
  return defined({
    centre: given.centerDistanceThreshold,
    boundary: given.boundaryDistanceThreshold,
    foreground: given.foregroundThreshold,
  });
}

function instanceSettings(given: AutomaticThresholds): Partial<InstanceSettings> {
  const { distanceSmoothing: distance, foregroundSmoothing: foreground } = given;
  const smoothing = distance === undefined ? undefined : { distance, foreground: foreground ?? Math.min(1, distance) };
  const { rule, minObjectSize, maxObjectSize } = given;
  return { ...seedThresholds(given), ...defined({ rule, smoothing, minObjectSize, maxObjectSize }) };
}

function apgThresholds({ predIouThresh, maxOverlap, minObjectSize, maxObjectSize }: AutomaticThresholds) {
  return defined({ predIouThresh, maxOverlap, minObjectSize, maxObjectSize });
}

function amgThresholds(given: AutomaticThresholds & Partial<AmgThresholds>): Partial<AmgThresholds> {
  const { predIouThresh, stabilityScoreThresh, boxNmsThresh, minObjectSize, maxObjectSize } = given;
  const { minVisibleShare, withBackground } = given;
  return defined({
    predIouThresh,
    stabilityScoreThresh,
    boxNmsThresh,
    minObjectSize,
    maxObjectSize,
    minVisibleShare,
    withBackground,
  });
}

/** Median diameter of the objects in pixels, where a mode measures it. */
export function diameterOf(state: AutomaticState): number | undefined {
  if (state.mode === 'amg') return undefined;
  return (state.mode === 'ais' ? state.instances : state.apg.instances).diameter;
}
