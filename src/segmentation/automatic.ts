import type { LabelImage } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import { type AmgResult, generateLabels } from './amg/generate.js';
import { type AmgOptions, initializeAmg } from './amg/initialize.js';
import type { AmgState, AmgThresholds } from './amg/state.js';
import type { SegmentContext } from './context.js';
import { type MergeOptions, mergeSlices } from './volume/merge.js';

/**
 * Everything in an image segmented without prompts: one plane, or a volume plane by plane with the pieces merged over
 * z. The network's answers are kept (`states`), so that other thresholds cost no further run. micro-sam spec 5 and 7.4.
 */
export interface AutomaticOptions extends AmgOptions {
  readonly thresholds?: Partial<AmgThresholds>;
}

export interface AutomaticPlane extends AmgResult {
  readonly state: AmgState;
}

export async function automaticSegmentation(
  context: SegmentContext,
  options: AutomaticOptions & TaskOptions = {},
): Promise<AutomaticPlane> {
  const state = await initializeAmg(context, options);
  return { state, ...generateLabels(state, options.thresholds) };
}

export interface AutomaticVolumeOptions extends AutomaticOptions {
  readonly merge?: MergeOptions;
  /** Planes that were segmented before, with the same options: they are not run again. */
  readonly states?: ReadonlyMap<number, AmgState>;
  /** Called after each plane. */
  readonly onPlane?: (plane: number, result: AutomaticPlane) => void;
}

export interface AutomaticVolume {
  /** [Z, H, W], one id per object over all planes. */
  readonly labels: LabelImage;
  readonly states: ReadonlyMap<number, AmgState>;
}

/** @param context its `plane` is not used: all planes 0 … planes - 1 are segmented */
export async function automaticVolume(
  context: Omit<SegmentContext, 'plane'>,
  planes: number,
  options: AutomaticVolumeOptions & TaskOptions = {},
): Promise<AutomaticVolume> {
  const states = new Map(options.states);
  const [height, width] = context.embeddings.size;
  const slices = new Uint32Array(planes * height * width);
  for (let plane = 0; plane < planes; plane++) {
    options.signal?.throwIfAborted();
    const state =
      states.get(plane) ??
      (await initializeAmg(
        { ...context, plane },
        {
          ...options,
          onPartial: undefined,
          onProgress: ({ done, total, message }) =>
            options.onProgress?.({
              done: plane + (total > 0 ? done / total : 0),
              total: planes,
              message: `Plane ${plane + 1} of ${planes}: ${message}`,
            }),
        },
      ));
    states.set(plane, state);
    const result = generateLabels(state, options.thresholds);
    slices.set(result.labels.data, plane * height * width);
    options.onPlane?.(plane, { state, ...result });
  }
  const labels = mergeSlices({ data: slices, shape: [planes, height, width] }, options.merge);
  return { labels, states };
}
