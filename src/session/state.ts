import type { ErrorCode } from '../errors.js';
import type { Size } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { Prompt } from '../segmentation/prompts.js';
import type { Progress } from '../task.js';

/**
 * The annotator's whole state: immutable records. Only `AnnotationSession.apply` makes a new one. Label arrays are never
 * kept: layers hold cropped masks per object and plane and are painted on demand (layers.ts).
 */
export interface SessionState {
  readonly image?: ImageInfo;
  /** Visible plane. */
  readonly plane: number;
  readonly prompts: readonly Prompt[];
  readonly layers: Readonly<Record<ObjectLayerName, ObjectLayer>>;
  readonly lineages: readonly Lineage[];
  readonly settings: SessionSettings;
  /**
   * The committed object that was picked for correction. A copy of it is the current object; the original stays
   * committed, untouched, until the copy is committed under the same id.
   */
  readonly editing?: number;
  /** The masks the model offered for the current object, to choose from. */
  readonly candidates?: Candidates;
  /** Titles of the steps that undo and redo would take; absent when there is none. */
  readonly history: { readonly undo?: string; readonly redo?: string };
  /** Running work, for the panel; not part of undo. */
  readonly task?: RunningTask;
  /** What the user should know now; not part of undo. */
  readonly message?: Message;
  /** Whether the embedding of the visible plane is at hand; absent while nobody has asked for it. */
  readonly embedding?: 'computing' | 'ready' | 'failed';
  /** Whether the work is on disk; absent without a store. */
  readonly autosave?: 'saved' | 'pending' | 'failed';
}

export interface RunningTask {
  readonly name: string;
  readonly progress: Progress;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

export interface Message {
  readonly level: 'info' | 'warning' | 'error';
  /** Plain words: what happened and what to do next. */
  readonly text: string;
  readonly code?: ErrorCode;
}

export interface Candidates {
  /** Of the current object. */
  readonly objectId: number;
  readonly plane: number;
  /** By ascending area. */
  readonly masks: readonly CandidateMask[];
  /** Index of the mask in use. */
  readonly chosen: number;
}

export interface CandidateMask {
  readonly mask: Mask;
  readonly predictedIou: number;
  readonly stability?: number;
}

export type ObjectLayerName = 'current_object' | 'auto_segmentation' | 'committed_objects';

export interface ImageInfo {
  readonly name: string;
  readonly axes: 'yx' | 'zyx' | 'tyx' | 'tzyx';
  readonly size: Size;
  readonly planes: number;
  /** Hash of the pixels that autosave and embeddings are keyed to. */
  readonly signature: string;
}

export interface ObjectLayer {
  /** By ascending id, which is the painting order: later objects lie on top where masks overlap. */
  readonly objects: ReadonlyMap<number, ObjectRecord>;
}

export interface ObjectRecord {
  readonly id: number;
  /** Plane → mask. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** The prompts it was made from; empty for painted, loaded and automatic objects. */
  readonly prompts: readonly Prompt[];
  readonly origin: 'interactive' | 'automatic' | 'painted' | 'loaded';
  readonly predictedIou?: number;
  readonly stability?: number;
}

/** Parent track id → daughter ids (empty or two), as in micro-sam. */
export type Lineage = Readonly<Record<number, readonly number[]>>;

export interface SessionSettings {
  readonly positive: boolean;
  readonly tool: 'point' | 'box' | 'polygon' | 'brush' | 'eraser' | 'fill' | 'pan';
  /** Radius of brush and eraser, in pixels. */
  readonly brushSize: number;
  readonly batched: boolean;
  readonly preserveMode: 'objects' | 'pixels' | 'none';
  /** Fraction of a committed object that a new one may hide before it is dropped (micro-sam spec 9.5). */
  readonly preservationThreshold: number;
  readonly hoverPreview: boolean;
  /** Segment as soon as a prompt is given, without waiting for S. */
  readonly autoSegment: boolean;
}
