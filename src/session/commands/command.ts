import { SamError } from '../../errors.js';
import type { SessionActions } from '../actions.js';
import type { SessionState } from '../state.js';

/** The form of an entry of the command table (commands.ts), and the refusals that many entries share. */

export interface Command<Args = undefined> {
  readonly id: string;
  readonly title: string;
  readonly group: CommandGroup;
  readonly tooltip: string;
  /** e.g. ['Ctrl+Z']; the last part is a physical key: a letter, digit, `[`, `?`, 'Delete', 'Escape'. */
  readonly keys?: readonly string[];
  /** Cannot be run by a key or from a list: it is told what to do it with. */
  readonly needsArguments?: true;
  /** What the hand does, for the help overlay: 'Click'. */
  readonly gesture?: string;
  /** `session` commands change the data; `view` is the presenter's; `app` needs files, models, windows. */
  readonly scope: 'session' | 'view' | 'app';
  /** Also a button in the viewer itself. */
  readonly inViewer?: boolean;
  /** Why it cannot be done now, in words for the user; undefined if it can. */
  unavailable?(state: SessionState): string | undefined;
  run(session: SessionActions, args: Args): void | Promise<void>;
  /**
   * What it will make of the state, as far as that can be told without the model: shown while its turn has not come. May
   * throw; then nothing is shown.
   */
  predict?(state: SessionState, args: Args): SessionState;
  /** It makes a step of undo that `predict` shows nothing of. */
  readonly makesStep?: boolean;
  /** Undo while it is at work stops it, since what it makes would be taken back; redo begins it again. */
  readonly undoStops?: boolean;
  /** `run` says itself why it cannot be done, with an image open; `unavailable` is for buttons. */
  readonly refusesItself?: boolean;
  /** Does not wait for its turn. */
  readonly atOnce?: boolean;
  /** Lets the next command begin before it has ended. */
  readonly background?: boolean;
}

export type CommandGroup =
  | 'image'
  | 'tools'
  | 'prompts'
  | 'segment'
  | 'automatic'
  | 'objects'
  | 'tracks'
  | 'commit'
  | 'view'
  | 'help';

const NO_IMAGE = 'Open an image first.';
export const needsImage = (state: SessionState) => (state.image ? undefined : NO_IMAGE);
export const needsPrompts = (state: SessionState) =>
  needsImage(state) ?? (state.prompts.length > 0 ? undefined : 'Click an object in the image first.');
export const needsCurrent = (state: SessionState) =>
  needsImage(state) ??
  (state.layers.current_object.objects.size > 0 ? undefined : 'Segment an object first: click it in the image.');

/** Commands that others carry out; the session only knows that they exist. */
export function elsewhere(): never {
  throw new SamError('unsupported', 'This command needs a window; it cannot be run on a session alone.');
}

/** Keeps the argument type of an entry; one whose arguments cannot be left out must say so. */
export function command<Args = undefined>(entry: Command<Args> & Needing<Args>): Command<Args> {
  return entry;
}

type Needing<Args> = undefined extends Args ? { readonly needsArguments?: never } : { readonly needsArguments: true };
