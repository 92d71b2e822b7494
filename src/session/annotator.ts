import type { YX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { Prompt } from '../segmentation/prompts.js';
import type { TaskOptions } from '../task.js';
import type { CommitOptions, CommitPlan } from './commit.js';
import type { Candidates, Lineage, ObjectRecord, SessionState } from './state.js';

/**
 * The whole difference between annotating a plane, a volume and a time series. An annotator holds the image's
 * embeddings and the worker; it reads the session's state and never writes it: what it returns is landed by the session,
 * which makes it undoable and drops it if the image changed meanwhile.
 */
export interface Annotator {
  readonly kind: '2d' | '3d' | 'tracking';
  /** Makes the embedding of the plane, so that later calls answer at once. */
  prepare(plane: number, task: TaskOptions): Promise<void>;
  /** Segments the visible plane from the prompts. */
  segment(state: SessionState, task: TaskOptions): Promise<Segmentation>;
  /** The mask that a click at `at` would give, for the hover preview. */
  preview(at: YX, plane: number, task: TaskOptions): Promise<Mask | undefined>;
  /** Once more, from the same prompts and the mask in use. */
  refine?(state: SessionState, task: TaskOptions): Promise<Segmentation>;
  /** All slices, or the track through all frames. */
  segmentAll?(state: SessionState, task: TaskOptions): Promise<Segmentation>;
  automatic?(state: SessionState, task: TaskOptions): Promise<Segmentation>;
  /** Replaces the common commit rules, e.g. to carry lineages along. */
  planCommit?(state: SessionState, options: CommitOptions): CommitPlan;
  close?(): Promise<void>;
}

/** New content of a whole layer. */
export interface Segmentation {
  readonly layer: 'current_object' | 'auto_segmentation';
  readonly objects: readonly ObjectRecord[];
  readonly candidates?: Candidates;
  readonly lineages?: readonly Lineage[];
  /** Said to the user once the result is shown. */
  readonly notice?: string;
}

/** The prompts that belong to the visible plane. */
export function promptsOfPlane(state: SessionState): readonly Prompt[] {
  return state.prompts.filter((prompt) => prompt.plane === state.plane);
}
