import { TRACK_OPTIONS } from '../segmentation/tracking/options.js';
import { MERGE_OPTIONS, PROJECT_OPTIONS } from '../segmentation/volume/options.js';
import { NO_OBJECTS } from './layers.js';
import type { SessionSettings, SessionState } from './state.js';

export const DEFAULT_SETTINGS: SessionSettings = {
  positive: true,
  tool: 'point',
  brushSize: 10,
  batched: false,
  autoCommit: false,
  preserveMode: 'objects',
  preservationThreshold: 0.75,
  classNames: [],
  hoverPreview: true,
  autoSegment: true,
  annotator: 'auto',
  projection: 'auto',
  iouThreshold: PROJECT_OPTIONS.iouThreshold,
  boxExtension: PROJECT_OPTIONS.boxExtension,
  motionSmoothing: TRACK_OPTIONS.motionSmoothing,
  trackDirection: 'forward',
  trackState: 'track',
  applyToVolume: false,
  automatic: { thresholds: {} },
  gapClosing: 2,
  minExtent: 2,
  minOverlap: MERGE_OPTIONS.minOverlap,
};

/** No image, nothing done. */
export function emptyState(settings: SessionSettings): SessionState {
  return {
    plane: 0,
    prompts: [],
    layers: NO_OBJECTS,
    lineages: [],
    currentLineages: [],
    currentTrack: 1,
    settings,
    history: {},
    tasks: [],
  };
}
