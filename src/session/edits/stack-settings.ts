import { SamError } from '../../errors.js';
import { projectionOf } from '../../segmentation/volume/projection.js';
import type { SessionSettings } from '../state.js';

/** What the settings of volumes and time series may be. */
export function checkStackSettings(settings: Partial<SessionSettings>): void {
  for (const name of ['iouThreshold', 'motionSmoothing', 'minOverlap'] as const) {
    const value = settings[name] ?? 0;
    if (!(value >= 0 && value <= 1)) throw invalid(`${name} is ${value}; it must be between 0 and 1.`);
  }
  for (const name of ['gapClosing', 'minExtent'] as const) {
    const value = settings[name] ?? 0;
    if (!(Number.isInteger(value) && value >= 0 && value <= 1000))
      throw invalid(`${name} is ${value}; it must be a whole number of slices, 0 or more.`);
  }
  const { boxExtension = 0, projection } = settings;
  if (!(boxExtension >= 0 && boxExtension <= 10_000))
    throw invalid(`boxExtension is ${boxExtension}; it must be 0 or more: a fraction below 1, else pixels.`);
  if (projection !== undefined && projection !== 'auto') projectionOf(projection);
}

function invalid(message: string): SamError {
  return new SamError('invalid_argument', message);
}
