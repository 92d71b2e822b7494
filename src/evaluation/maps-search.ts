import type { LabelImage } from '../ndimage/array.js';
import { generateInstances, labelsOf } from '../segmentation/instances/generate.js';
import type { InstanceRule, InstanceState } from '../segmentation/instances/state.js';
import type { TaskOptions } from '../task.js';
import { scoreSegmentation } from './segmentation-accuracy.js';

/**
 * The rule and the thresholds by which the maps of an instance decoder become objects, as they suit a set of labelled images
 * best: the watershed with micro-sam's three thresholds, and the flow, which goes by the foreground alone. The network runs
 * once per image.
 */
export interface LabelledMaps {
  readonly state: InstanceState;
  readonly reference: LabelImage;
}

export interface MapsSetting {
  readonly rule: InstanceRule;
  readonly foreground: number;
  /** Of the watershed. */
  readonly centre?: number;
  readonly boundary?: number;
  /** Mean segmentation accuracy, mean over the images. */
  readonly msa: number;
}

export interface MapsSearch {
  readonly best: MapsSetting;
  /** All of them, in the order they were tried. */
  readonly settings: readonly MapsSetting[];
}

const FOREGROUND = [0.4, 0.5, 0.6, 0.7];
const CENTRE = [0.3, 0.5];
const BOUNDARY = [0.3, 0.4, 0.5];

export async function searchMaps(images: readonly LabelledMaps[], options: TaskOptions = {}): Promise<MapsSearch> {
  const watershed = FOREGROUND.flatMap((foreground) =>
    CENTRE.flatMap((centre) =>
      BOUNDARY.map((boundary) => ({ rule: 'watershed', foreground, centre, boundary }) as const),
    ),
  );
  const tried = [...watershed, ...FOREGROUND.map((foreground) => ({ rule: 'flow', foreground }) as const)];
  const settings: MapsSetting[] = [];
  for (const setting of tried) {
    options.signal?.throwIfAborted();
    const scores = images.map(
      ({ state, reference }) =>
        scoreSegmentation(reference, labelsOf(generateInstances(state, setting), state.size)).msa,
    );
    settings.push({ ...setting, msa: scores.reduce((sum, score) => sum + score, 0) / scores.length });
    options.onProgress?.({
      done: settings.length,
      total: tried.length,
      message: `Tried ${settings.length} of ${tried.length} settings`,
    });
    await new Promise((resolve) => setTimeout(resolve, 0)); // lets a cancel request in
  }
  return { best: settings.reduce((a, b) => (b.msa > a.msa ? b : a)), settings };
}

/** As flags of the command line. */
export function mapsFlags({ rule, foreground, centre, boundary }: MapsSetting): string {
  const watershed =
    centre === undefined ? '' : ` --center_distance_threshold ${centre} --boundary_distance_threshold ${boundary}`;
  return `--mode ais --rule ${rule} --foreground_threshold ${foreground}${watershed}`;
}
