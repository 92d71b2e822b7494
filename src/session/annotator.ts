import type { YX, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { RejectedPoint } from '../segmentation/apg.js';
import type { ThresholdsInForce } from '../segmentation/automatic-choices.js';
import type { AutomaticMode } from '../segmentation/automatic-settings.js';
import type { AutomaticWork } from '../segmentation/estimate.js';
import type { Prompt } from '../segmentation/prompts.js';
import type { ScoredMask } from '../segmentation/scored-mask.js';
import type { TaskOptions } from '../task.js';
import type { AnnotatorKind, CandidateChoice, Lineage, ObjectRecord, SessionState } from './state.js';

/**
 * The whole difference between annotating a plane, a volume and a time series. An annotator holds the image's
 * embeddings and the worker; it reads the session's state and never writes it: what it returns is landed by the session,
 * which makes it undoable and drops it if the image changed meanwhile.
 */
export interface Annotator {
  readonly kind: AnnotatorKind;
  /** Makes the embedding of the plane, so that later calls answer at once. */
  prepare(plane: number, task: TaskOptions): Promise<void>;
  /** Segments the visible plane from the prompts. */
  segment(state: SessionState, task: TaskOptions): Promise<LayerContent>;
  /** The mask that a click at `at` would give; the click itself then has its answer. */
  preview(at: YX, plane: number): Promise<Mask | undefined>;
  /**
   * For a mask that was offered to choose from but decoded roughly, how to have it as the model gives it; undefined for
   * every other mask.
   */
  exactCandidate?(mask: Mask): ((task: TaskOptions) => Promise<ScoredMask>) | undefined;
  /** Once more, from the same prompts and the mask in use. */
  refine?(state: SessionState, task: TaskOptions): Promise<LayerContent>;
  /** All slices, or the track through all frames. */
  segmentAll?(state: SessionState, task: AnnotatorTask): Promise<LayerContent>;
  /** Without prompts: the visible plane, or all planes (`settings.applyToVolume`), into auto_segmentation. */
  automatic?(state: SessionState, task: AnnotatorTask, options?: AutomaticOptions): Promise<LayerContent>;
  /** The automatic objects of the visible plane at other thresholds, without the model; undefined if it was not run. */
  automaticNow?(state: SessionState): LayerContent | undefined;
  automaticStatus?(state: SessionState): AutomaticStatus;
  /** What an automatic segmentation that was stopped has found; running it again goes on from there. */
  automaticSoFar?(state: SessionState): Promise<LayerContent | undefined>;
  /** How much work it would be, and how long it would take; undefined if nobody can tell. */
  automaticEstimate?(state: SessionState, options?: AutomaticOptions): Promise<AutomaticEstimate | undefined>;
  /** Encodes ahead what is likely to be looked at next; returns at once. */
  prefetch?(plane: number): void;
  close?(): Promise<void>;
}

export interface AnnotatorTask extends TaskOptions {
  /** The result as far as it is, for the view; the final one replaces it. */
  readonly onPartial?: (result: LayerContent) => void;
  /** What is on screen, in pixels, where the viewer tells: to be worked on first. */
  readonly view?: YXYX;
}

export interface AutomaticOptions {
  /** Only points inside this box, in pixels. */
  readonly region?: YXYX;
  /** Lower the floors of what was run before. */
  readonly deeper?: boolean;
}

export interface AutomaticEstimate extends AutomaticWork {
  readonly seconds: number;
}

export interface AutomaticStatus {
  /** What the model can do, best first, and which of it the next run does. */
  readonly modes: readonly AutomaticMode[];
  readonly mode: AutomaticMode;
  /** The thresholds in force. */
  readonly thresholds: ThresholdsInForce;
  /** Of apg: the points of the visible plane that gave no object at these thresholds. */
  readonly rejected?: readonly RejectedPoint[];
  /** Of stacks: whether the volume was run to its end, and with the settings there are now. */
  readonly volume?: 'none' | 'stale' | 'current';
  /** How the visible plane was run; absent if it was not. Thresholds cannot go below the floors without the model. */
  readonly ran?: {
    readonly mode: AutomaticMode;
    /** Of amg; 0 for the other modes. */
    readonly pointsPerSide: number;
    readonly iouFloor: number;
    readonly stabilityFloor: number;
    readonly region: YXYX | undefined;
  };
}

/** New content of a whole layer. */
export interface LayerContent {
  readonly layer: 'current_object' | 'auto_segmentation';
  readonly objects: readonly ObjectRecord[];
  readonly candidates?: CandidateChoice;
  /** New value of the state's `dismissed`. */
  readonly dismissed?: readonly number[];
  /** New families of the tracks in current_object, and the track to go on with. */
  readonly currentLineages?: readonly Lineage[];
  readonly currentTrack?: number;
  /** Said to the user once the result is shown. */
  readonly notice?: string;
}

/** What the image is annotated as: the setting, or by its axes. */
export function annotatorKind({ settings, image }: Pick<SessionState, 'settings' | 'image'>): AnnotatorKind {
  if (settings.annotator !== 'auto') return settings.annotator;
  if (!image || image.planes === 1) return '2d';
  return image.axes.startsWith('t') ? 'tracking' : '3d';
}

/** The track that a prompt speaks of; 1 where tracks mean nothing. */
export function trackOfPrompt({ track }: Prompt): number {
  return track?.id ?? 1;
}

/** The prompts that belong to the visible plane; when tracking, those of the current track. */
export function promptsOfPlane(state: SessionState): readonly Prompt[] {
  const here = state.prompts.filter((prompt) => prompt.plane === state.plane);
  if (annotatorKind(state) !== 'tracking') return here;
  return here.filter((prompt) => trackOfPrompt(prompt) === state.currentTrack);
}
