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
  /** Running work, for the panel; not part of undo. */
  readonly task?: { readonly name: string; readonly progress: Progress };
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
  /** In painting order: later objects lie on top where masks overlap. */
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
  readonly brushSize: number;
  readonly batched: boolean;
  readonly preserveMode: 'objects' | 'pixels' | 'none';
  /** Fraction of a committed object that a new one may hide before it is dropped (micro-sam spec 9.5). */
  readonly preservationThreshold: number;
  readonly hoverPreview: boolean;
}
