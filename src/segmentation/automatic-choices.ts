import type { EmbeddingSource } from '../embeddings/embedding-source.js';
import { SamError } from '../errors.js';
import { defined } from '../items.js';
import { AMG_THRESHOLDS } from './amg/state.js';
import {
  APG_THRESHOLDS,
  AUTOMATIC_MODES,
  type AutomaticMode,
  type AutomaticThresholds,
  type ThresholdName,
} from './automatic-settings.js';
import { smoothingFor, speckSize } from './instances/post-process.js';
import { FIRST_SMOOTHING, INSTANCE_SETTINGS } from './instances/state.js';

/** Which modes a model has, and what holds in each: known before anything is segmented. */

/** What the model can do, best first. */
export function automaticModes({ instanceMaps }: Pick<EmbeddingSource, 'instanceMaps'>): readonly AutomaticMode[] {
  return instanceMaps ? AUTOMATIC_MODES : ['amg'];
}

/** @throws SamError `unsupported` if the model lacks what the mode needs */
export function chooseMode(
  embeddings: Pick<EmbeddingSource, 'instanceMaps'>,
  wanted: AutomaticMode | 'auto' = 'auto',
): AutomaticMode {
  const modes = automaticModes(embeddings);
  if (wanted === 'auto') return modes[0];
  if (modes.includes(wanted)) return wanted;
  throw new SamError(
    'unsupported',
    `The mode ${wanted} needs an instance decoder, which this model does not have: use amg or auto, or add an instance decoder to the model.`,
    { details: { got: wanted, expected: modes } },
  );
}

export type ThresholdsInForce = Required<Pick<AutomaticThresholds, ThresholdName>> & Pick<AutomaticThresholds, 'rule'>;

/**
 * What holds in a mode where nothing else is said.
 *
 * @param recommended by the model; sizes and scores are meant for amg
 * @param diameter median of the objects in pixels, as far as it is known
 */
export function thresholdsInForce(
  mode: AutomaticMode,
  given: AutomaticThresholds,
  recommended: AutomaticThresholds = {},
  diameter?: number,
): ThresholdsInForce {
  const { centre, boundary, foreground, maxObjectSize } = INSTANCE_SETTINGS;
  const { predIouThresh, stabilityScoreThresh, boxNmsThresh, minObjectSize, minVisibleShare } = AMG_THRESHOLDS;
  const smoothing = diameter === undefined ? FIRST_SMOOTHING : smoothingFor(diameter);
  const distance = given.distanceSmoothing ?? smoothing.distance;
  return {
    centerDistanceThreshold: centre,
    boundaryDistanceThreshold: boundary,
    foregroundThreshold: foreground,
    distanceSmoothing: distance,
    foregroundSmoothing: Math.min(1, distance),
    predIouThresh: mode === 'apg' ? APG_THRESHOLDS.predIouThresh : predIouThresh,
    stabilityScoreThresh,
    boxNmsThresh,
    maxOverlap: APG_THRESHOLDS.maxOverlap,
    minObjectSize: mode === 'amg' ? minObjectSize : speckSize(diameter ?? 0),
    maxObjectSize,
    minVisibleShare,
    ...recommendedThresholds(mode, recommended),
    ...given,
  };
}

/** Of what a model recommends, what concerns a mode: its scores and sizes are meant for amg. */
export function recommendedThresholds(mode: AutomaticMode, recommended: AutomaticThresholds = {}): AutomaticThresholds {
  if (mode === 'amg') return recommended;
  const { centerDistanceThreshold, boundaryDistanceThreshold, foregroundThreshold } = recommended;
  return defined({ centerDistanceThreshold, boundaryDistanceThreshold, foregroundThreshold });
}
