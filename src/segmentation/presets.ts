import type { AutomaticMode, AutomaticThresholds } from './automatic-settings.js';

/**
 * Settings of automatic segmentation by the kind of image, found with the built-in model on images that it was not trained on
 * (docs/automatic-segmentation.md has the figures). What is stated besides comes first; what a preset does not say is as the
 * model recommends.
 */
export interface AutomaticPreset {
  readonly title: string;
  readonly mode?: AutomaticMode;
  readonly mirror?: boolean;
  readonly refine?: boolean;
  readonly thresholds?: AutomaticThresholds;
}

export const PRESET_NAMES = ['nuclei', 'phase_contrast', 'axons', 'membranes'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

export const AUTOMATIC_PRESETS: Readonly<Record<PresetName, AutomaticPreset>> = {
  nuclei: { title: 'fluorescent nuclei', mode: 'apg' },
  phase_contrast: {
    title: 'cells without stain',
    mode: 'ais',
    mirror: true,
    thresholds: { centerDistanceThreshold: 0.3 },
  },
  axons: { title: 'axons, electron microscopy', mode: 'ais', thresholds: { foregroundThreshold: 0.7 } },
  membranes: { title: 'cells by their membranes', mode: 'apg', refine: true },
};

/** What may be said by a preset, and otherwise. */
export interface PresetSettings {
  readonly preset?: PresetName;
  readonly mode?: AutomaticMode | 'auto';
  readonly mirror?: boolean;
  readonly refine?: boolean;
  readonly thresholds?: AutomaticThresholds;
}

/**
 * The settings with those of their preset beneath.
 *
 * @param modes what the model can; a preset's mode that is not among them is left out
 */
export function withPreset<S extends PresetSettings>(settings: S, modes: readonly AutomaticMode[]): S {
  if (settings.preset === undefined) return settings;
  const { mode, mirror, refine, thresholds } = AUTOMATIC_PRESETS[settings.preset];
  const possible = mode && modes.includes(mode) ? mode : undefined;
  return {
    ...settings,
    mode: settings.mode ?? possible,
    mirror: settings.mirror ?? mirror,
    refine: settings.refine ?? refine,
    thresholds: { ...thresholds, ...settings.thresholds },
  };
}
