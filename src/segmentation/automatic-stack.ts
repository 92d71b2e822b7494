import type { LabelImage } from '../ndimage/array.js';
import { maxLabel } from '../ndimage/label.js';
import type { TaskOptions } from '../task.js';
import {
  type AutomaticThresholds,
  type AutomaticVolumeOptions,
  automaticSegmentation,
  automaticVolume,
  chooseMode,
  recommendedThresholds,
} from './automatic.js';

/** Everything in all planes of an image: objects that go through the planes of a volume, or those of each plane by itself. */
export interface AutomaticStackOptions extends AutomaticVolumeOptions {
  /** Objects of neighbouring planes that overlap are one. */
  readonly through: boolean;
  /** The model's own thresholds; what is stated in `thresholds` comes first. */
  readonly recommended?: AutomaticThresholds;
}

/** @returns [planes, H, W], or [H, W] of a single plane; no two objects have the same id */
export async function automaticStack(
  context: Parameters<typeof automaticVolume>[0],
  planes: number,
  { through, recommended, ...given }: AutomaticStackOptions & TaskOptions,
): Promise<LabelImage> {
  const mode = chooseMode(context.embeddings, given.mode);
  const options = { ...given, thresholds: { ...recommendedThresholds(mode, recommended), ...given.thresholds } };
  if (through && planes > 1) return (await automaticVolume(context, planes, options)).labels;
  const { kept, absent, onProgress, ...rest } = options;
  const [height, width] = context.embeddings.size;
  const stack = new Uint32Array(planes * height * width);
  let count = 0;
  for (let plane = 0; plane < planes; plane++) {
    options.signal?.throwIfAborted();
    if (absent?.includes(plane)) continue;
    const known = await kept?.get(plane);
    const labels =
      known ??
      (
        await automaticSegmentation(
          { ...context, plane },
          {
            ...rest,
            onProgress: ({ done, total, message }) =>
              onProgress?.({ done: plane + (total > 0 ? done / total : 0), total: planes, message }),
          },
        )
      ).labels;
    if (!known) await kept?.set(plane, labels);
    for (let p = 0; p < labels.data.length; p++)
      if (labels.data[p] !== 0) stack[plane * height * width + p] = labels.data[p] + count;
    count += maxLabel(labels);
  }
  return { data: stack, shape: planes === 1 ? [height, width] : [planes, height, width] };
}
