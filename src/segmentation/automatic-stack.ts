import type { LabelImage } from '../ndimage/array.js';
import { maxLabel } from '../ndimage/label.js';
import type { TaskOptions } from '../task.js';
import { type AutomaticVolumeOptions, automaticSegmentation, automaticVolume } from './automatic.js';
import { automaticModes, chooseMode, recommendedThresholds } from './automatic-choices.js';
import type { AutomaticThresholds } from './automatic-settings.js';
import { eachPlane, type PlaneTask } from './each-plane.js';
import { withPreset } from './presets.js';

/** Everything in all planes of an image: objects that go through the planes of a volume, or those of each plane by itself. */
export interface AutomaticStackOptions extends AutomaticVolumeOptions {
  /** Objects of neighbouring planes that overlap are one. */
  readonly through: boolean;
  /** The model's own thresholds; what is stated in `thresholds` comes first. */
  readonly recommended?: AutomaticThresholds;
  /** Objects of each plane by itself: called with the labels of one, [H, W] from 1, when it is done. */
  readonly onAlone?: (plane: number, labels: LabelImage) => void;
}

/** @returns [planes, H, W], or [H, W] of a single plane; no two objects have the same id */
export async function automaticStack(
  context: Parameters<typeof automaticVolume>[0],
  planes: number,
  { through, recommended, ...stated }: AutomaticStackOptions & TaskOptions,
): Promise<LabelImage> {
  const given = withPreset(stated, automaticModes(context.embeddings));
  const mode = chooseMode(context.embeddings, given.mode);
  const options = { ...given, thresholds: { ...recommendedThresholds(mode, recommended), ...given.thresholds } };
  if (through && planes > 1) return (await automaticVolume(context, planes, options)).labels;
  const { kept, absent, onAlone, onProgress, ...rest } = options;
  const [height, width] = context.embeddings.size;
  const stack = new Uint32Array(planes * height * width);
  const counts = new Uint32Array(planes);
  const segment = async ({ plane, ...task }: PlaneTask) => {
    const known = await kept?.get(plane);
    const found = known ?? (await automaticSegmentation({ ...context, plane }, { ...rest, ...task })).labels;
    if (!known) await kept?.set(plane, found);
    stack.set(found.data, plane * height * width);
    counts[plane] = maxLabel(found);
    onAlone?.(plane, found);
    task.onProgress({ done: 1, total: 1, message: `Segmented plane ${plane + 1} of ${planes}` });
  };
  await eachPlane(context, planes, segment, { absent, signal: options.signal, onProgress });
  let before = 0;
  for (let plane = 0; plane < planes; plane++) {
    const labels = stack.subarray(plane * height * width, (plane + 1) * height * width);
    if (before > 0) for (let p = 0; p < labels.length; p++) if (labels[p] !== 0) labels[p] += before;
    before += counts[plane];
  }
  return { data: stack, shape: planes === 1 ? [height, width] : [planes, height, width] };
}
