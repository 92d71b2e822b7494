import type { ErrorCode } from '../errors.js';
import type { RecordingView } from '../io/recording.js';
import type { Size, YX, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { AutomaticMode, AutomaticThresholds } from '../segmentation/automatic-settings.js';
import type { PresetName } from '../segmentation/presets.js';
import type { Prompt } from '../segmentation/prompts.js';
import type { ScoredMask } from '../segmentation/scored-mask.js';
import type { ProjectionName } from '../segmentation/volume/projection.js';
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
  /** Families of the committed tracks. */
  readonly lineages: readonly Lineage[];
  /** Families of the tracks that are being annotated (layer current_object). */
  readonly currentLineages: readonly Lineage[];
  /** The track that prompts and "Track object" work on; an id of current_object. Not part of undo. */
  readonly currentTrack: number;
  /**
   * Results of running work as far as they are; the view shows each in place of its layer (`shownLayer`). Not part of
   * undo and not saved: the layer itself changes when the work is done, and cancelling leaves it as it was.
   */
  readonly arriving?: Readonly<Partial<Record<ObjectLayerName, ObjectLayer>>>;
  /** Ids of automatic objects that were accepted, rejected or taken for editing (dismissed.ts). */
  readonly dismissed?: readonly number[];
  /** An automatic segmentation that would take long, until somebody says whether it is wanted. Not part of undo. */
  readonly proposal?: AutomaticProposal;
  /** The automatic object that was clicked, to be accepted, rejected or edited. Not part of undo. */
  readonly chosenAutomatic?: number;
  readonly settings: SessionSettings;
  /**
   * The committed object that was picked for correction. A copy of it is the current object; the original stays
   * committed, untouched, until the copy is committed under the same id.
   */
  readonly editing?: number;
  /** The masks the model offered for the current object, to choose from. */
  readonly candidates?: CandidateChoice;
  /** Objects that commands work on together (selection.ts); some may be gone. Not part of undo. */
  readonly selected?: { readonly layer: ObjectLayerName; readonly ids: readonly number[] };
  /** The first of two places between which an object is to be split: pixel (y, x) of a plane. Not part of undo. */
  readonly splitSeed?: { readonly plane: number; readonly at: YX };
  /** Titles of the steps that undo and redo would take; absent when there is none. */
  readonly history: { readonly undo?: string; readonly redo?: string };
  /** The prompts and the object that could not be committed (closing.ts). Not part of undo. */
  readonly refused?: { readonly prompts: readonly Prompt[]; readonly layer: ObjectLayer };
  /** Objects that were committed by hand and whose masks are still to come, in the state as the hand expects it. */
  readonly closing?: readonly ClosingObject[];
  /** Number of commands that wait for their turn; absent if none does. */
  readonly waiting?: number;
  /** Running work, the oldest first; not part of undo. */
  readonly tasks: readonly RunningTask[];
  /** What the user should know now; not part of undo. */
  readonly message?: Message;
  /** Whether the embedding of the visible plane is at hand; absent while nobody has asked for it. */
  readonly embedding?: 'computing' | 'ready' | 'failed';
  /** Whether the work is on disk; `aside`: it is, but not where it belongs. Absent without a store. */
  readonly autosave?: 'saved' | 'pending' | 'aside' | 'failed';
  /** Why it is not, or where it is instead, in words for the user. */
  readonly autosaveProblem?: string;
  /** Why nothing can be changed, in words for the user: another window has this image. */
  readonly readOnly?: string;
}

/** Places for work: of each there is at most one task at a time, and a newer one supersedes it. */
export const TASK_SLOTS = ['open', 'prepare', 'precompute', 'import', 'model', 'segment', 'automatic', 'read'] as const;
export type TaskSlot = (typeof TASK_SLOTS)[number];

export interface RunningTask {
  /** By which it can be cancelled; no other task of the session has it. */
  readonly id: number;
  readonly slot: TaskSlot;
  readonly name: string;
  readonly progress: Progress;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

export interface ClosingObject {
  readonly prompts: readonly Prompt[];
}

export interface Message {
  readonly level: 'info' | 'warning' | 'error';
  /** Plain words: what happened and what to do next. */
  readonly text: string;
  readonly code?: ErrorCode;
  /** A command that may be what to do next. */
  readonly offer?: 'separate_objects' | 'undo';
}

export interface CandidateChoice {
  /** Of the current object. */
  readonly objectId: number;
  readonly plane: number;
  /** By ascending area. */
  readonly masks: readonly ScoredMask[];
  /** Index of the mask in use. */
  readonly chosen: number;
}

export type ObjectLayerName = 'current_object' | 'auto_segmentation' | 'committed_objects';

export interface ImageInfo {
  readonly name: string;
  readonly axes: 'yx' | 'zyx' | 'tyx' | 'tzyx';
  readonly size: Size;
  readonly planes: number;
  /** Planes that its file announces and does not hold; they are black. */
  readonly absentPlanes?: readonly number[];
  /** Of a recording with both time and depth: its extent, and which part of it this is. */
  readonly recording?: { readonly times: number; readonly slices: number; readonly view: RecordingView };
  /** Hash of the pixels that autosave and embeddings are keyed to. */
  readonly signature: string;
}

export interface ObjectLayer {
  /** By ascending id, which is the painting order: later objects lie on top where masks overlap. */
  readonly objects: ReadonlyMap<number, ObjectRecord>;
}

/** What a person says about an object; it is saved and exported with it. */
export interface ObjectFacts {
  readonly name?: string;
  /** 1 to 9; what it is called is in the settings. */
  readonly objectClass?: number;
  readonly comment?: string;
  /** To be looked at again. */
  readonly flagged?: boolean;
}

export interface ObjectRecord extends ObjectFacts {
  readonly id: number;
  /** Plane → mask. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** The prompts it was made from; empty for painted, loaded and automatic objects. */
  readonly prompts: readonly Prompt[];
  readonly origin: 'interactive' | 'automatic' | 'painted' | 'loaded';
  readonly predictedIou?: number;
  readonly stability?: number;
  /** Planes whose mask was projected from other planes: recomputed by the next projection. All others are annotated. */
  readonly projected?: ReadonlySet<number>;
  /**
   * Plane → what prompts in that plane correct: the mask that was there before the first of them (propagated, painted,
   * loaded). It comes back when they are removed. Absent where the mask was made from prompts alone.
   */
  readonly corrected?: ReadonlyMap<number, CorrectedFrom>;
  /** How a followed track ended; absent if nobody followed it. */
  readonly trackEnd?: TrackEnd;
}

export interface CorrectedFrom {
  readonly mask: Mask;
  readonly projected: boolean;
}

/** `frame` is the first one that does not belong to the track any more, or the last of the series (`end`). */
export interface TrackEnd {
  readonly reason: 'division' | 'lost' | 'end';
  readonly frame: number;
}

export type AnnotatorKind = '2d' | '3d' | 'tracking';

/** Parent track id → daughter ids (empty or two), as in micro-sam. */
export type Lineage = Readonly<Record<number, readonly number[]>>;

/** What the pointer does in the viewer. */
export const TOOLS = [
  'point',
  'box',
  'polygon',
  'corners',
  'ellipse',
  'scribble',
  'brush',
  'eraser',
  'fill',
  'split',
  'pan',
] as const;
export type Tool = (typeof TOOLS)[number];

export interface SessionSettings {
  readonly positive: boolean;
  readonly tool: Tool;
  /** Radius of brush and eraser, in pixels. */
  readonly brushSize: number;
  readonly batched: boolean;
  /** A positive prompt outside of the current object commits it and begins the next one (edits/auto-commit.ts). */
  readonly autoCommit: boolean;
  readonly preserveMode: 'objects' | 'pixels' | 'none';
  /** Fraction of a committed object that a new one may hide before it is dropped (`_commit_impl` of micro-sam 1.8). */
  readonly preservationThreshold: number;
  /** Names of the classes 1, 2, …; an empty one is not named. */
  readonly classNames: readonly string[];
  readonly hoverPreview: boolean;
  /** Segment as soon as a prompt is given, without waiting for S. */
  readonly autoSegment: boolean;
  /** How the image is annotated; 'auto' goes by its axes (`annotatorKind`). */
  readonly annotator: 'auto' | AnnotatorKind;
  /** How the mask of one plane becomes the prompt of the next; 'auto' goes by the kind of annotator. */
  readonly projection: ProjectionName | 'auto';
  /** 0..1; smaller overlap of neighbouring masks ends an object or a track. */
  readonly iouThreshold: number;
  /** Growth of the projected box: a fraction of its sides, or pixels if >= 1. */
  readonly boxExtension: number;
  /** 0..1; weight of the past in the motion of a track. */
  readonly motionSmoothing: number;
  readonly trackDirection: 'forward' | 'backward' | 'both';
  /** State of the next prompts. */
  readonly trackState: 'track' | 'division';
  /** Automatic segmentation of all planes instead of the visible one. */
  readonly applyToVolume: boolean;
  readonly automatic: AutomaticSettings;
  /** Automatic, over planes: gaps of up to this many slices are closed; objects over fewer slices are removed. */
  readonly gapClosing: number;
  readonly minExtent: number;
  /** 0..1; fraction of an object that must be covered in the next slice for both to be one. */
  readonly minOverlap: number;
}

export interface AutomaticSettings {
  /** Absent: the best that the model has. */
  readonly mode?: AutomaticMode;
  /** The model is asked at a grid of this many points along each side of the image or tile; absent: as suits it. */
  readonly pointsPerSide?: number;
  /** The kind of image; what is set besides comes first. */
  readonly preset?: PresetName;
  /** ais, apg: maps are averaged with those of the mirror image. */
  readonly mirror?: boolean;
  /** apg: masks are asked for once more by their boxes. */
  readonly refine?: boolean;
  /** What the user has set; for all others the model's recommendation holds. */
  readonly thresholds: AutomaticThresholds;
}

/** Which of the objects that were found count. */
export type { AutomaticThresholds };

export interface AutomaticProposal {
  /** The visible plane when it was asked for. */
  readonly plane: number;
  readonly run: ProposedRun;
  /** Less work, the longest first. */
  readonly smaller: readonly ProposedRun[];
}

export interface ProposedRun {
  /** e.g. "Only what is on screen". */
  readonly title: string;
  readonly seconds: number;
  readonly allPlanes: boolean;
  /** Only inside this box; [y0, x0, y1, x1] in pixels. */
  readonly region?: YXYX;
  readonly deeper?: boolean;
  /** Set before it runs. */
  readonly mode?: AutomaticMode;
  readonly pointsPerSide?: number;
}
