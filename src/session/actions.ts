import type { YXYX } from '../ndimage/array.js';
import type { Annotator, AnnotatorTask, LayerContent } from './annotator.js';
import type { Memo } from './history.js';
import type { Message, SessionState, TaskSlot } from './state.js';

/** What a command may do to a session. */
export interface SessionActions {
  readonly state: SessionState;
  readonly annotator: Annotator | undefined;
  /** The part of the plane on screen, where the viewer tells. */
  readonly view: YXYX | undefined;
  apply(edit: Edit, amend?: Memo): Memo | undefined;
  undo(): boolean;
  redo(): boolean | Promise<void>;
  notify(message: Message | undefined): void;
  prepare(): Promise<void>;
  segment(name: string, work: SegmentWork, options?: SegmentOptions): Promise<void>;
  cancel(which?: number | TaskSlot): void;
}

/** What the annotator is to do with the state there is when it begins. */
export type SegmentWork = (annotator: Annotator, state: SessionState, task: AnnotatorTask) => Promise<LayerContent>;

export interface SegmentOptions {
  readonly slot?: TaskSlot;
  /** The step that caused the work: the result becomes part of it. */
  readonly amend?: Memo;
  /** The state in which it was asked for, if that is not the present one: what the hand did since then stays. */
  readonly since?: SessionState;
  /** What the work has found when it is stopped or fails: it lands, as the result would have. */
  readonly soFar?: (annotator: Annotator, state: SessionState) => Promise<LayerContent | undefined>;
}

/** One way to change the state, as a value. `change` is pure; it may throw a SamError and then nothing happens. */
export interface Edit {
  /** What undo calls it, e.g. "Commit". */
  readonly title: string;
  change(state: SessionState): SessionState;
  /** Said to the user once it is done. */
  readonly notice?: Message;
}
