import type { ScoredMask } from '../../segmentation/scored-mask.js';
import type { AutomaticStatus } from '../../session/annotator.js';
import { planCommit } from '../../session/edits/commit.js';
import { areaOf } from '../../session/layers.js';
import type { Message, RunningTask, SessionSettings, SessionState } from '../../session/state.js';
import { durationText } from './duration-text.js';
import { automaticHint, type PanelAutomatic, panelAutomatic } from './panel-automatic.js';
import {
  commandButton,
  confidenceText,
  type PanelButton,
  type PanelControl,
  type PanelSection,
} from './panel-controls.js';
import { sectionsOf, stepsOf, toolsOf } from './panel-sections.js';
import { extentText, planeName, stackHint } from './panel-stack.js';
import { type PanelTracks, panelTracks } from './panel-tracks.js';

/**
 * What the plugin's own window shows, as plain data computed from the state: the window only draws it, and sends back
 * command ids and settings. Nothing here knows of a page.
 */
export interface PanelModel {
  /** Name of the image; empty without one. */
  readonly title: string;
  /** Short facts, e.g. "512 x 512 pixels", "12 objects", "MobileSAM, wasm (2 threads)". */
  readonly facts: readonly string[];
  /** What to do now, for newcomers; absent once work is under way. */
  readonly hint?: string;
  readonly message?: Message;
  /** What the message offers to do. */
  readonly offer?: PanelButton;
  /** Of each running task, the oldest first. */
  readonly progress: readonly PanelProgress[];
  /** What is in hand, and the steps of every object: always in view, at fixed places. */
  readonly tools: readonly PanelControl[];
  readonly steps: readonly PanelButton[];
  readonly sections: readonly PanelSection[];
  readonly candidates?: {
    readonly chosen: number;
    readonly masks: readonly { readonly title: string; readonly score: string; readonly area: number }[];
  };
  /** Of the current object. */
  readonly object?: PanelObject;
  /** What a commit would overwrite or leave out; absent if it harms nothing. */
  readonly conflict?: string;
  readonly saved?: string;
  /** When tracking. */
  readonly tracks?: PanelTracks;
  readonly automatic?: PanelAutomatic;
}

export interface PanelProgress {
  readonly title: string;
  /** 0..1; absent while the amount of work is unknown. */
  readonly fraction?: number;
  /** e.g. "Encoding tile 3 of 12 · about 20 s left". */
  readonly text: string;
  /** Its id, by which the command `cancel` stops it. */
  readonly task: number;
}

export interface PanelObject {
  readonly title: string;
  /** In pixels, of all planes. */
  readonly area: number;
  /** Over planes, e.g. "slices 4 to 19"; absent for a single plane. */
  readonly extent?: string;
  /** e.g. "model's confidence 0.91 · stability 0.97"; empty for painted objects. */
  readonly score: string;
}

/** Facts that the session does not know. */
export interface PanelContext {
  readonly facts?: readonly string[];
  /** Of the visible plane, from the annotator. */
  readonly automatic?: AutomaticStatus;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Whether the viewer shows sections. */
  readonly sections?: boolean;
}

export function panelModel(state: SessionState, context: PanelContext): PanelModel {
  const { image, message, tasks, candidates } = state;
  return {
    title: image?.name ?? '',
    facts: [...factsOf(state), ...(context.facts ?? [])],
    ...optional('hint', hintOf(state)),
    ...optional('message', message),
    ...optional('offer', message?.offer && commandButton(message.offer, state, true)),
    progress: tasks.map((task) => progressOf(task, context.now)),
    tools: toolsOf(state),
    steps: stepsOf(state),
    sections: sectionsOf(state, context.sections === true),
    ...optional('candidates', candidates && { chosen: candidates.chosen, masks: candidates.masks.map(candidateOf) }),
    ...optional('object', objectOf(state)),
    ...optional('conflict', conflictOf(state)),
    ...optional('saved', savedText(state)),
    ...optional('tracks', panelTracks(state)),
    ...optional('automatic', panelAutomatic(state, context.automatic)),
  };
}

/** Whoever shows it may add where. */
export const ALL_SAVED = 'All work is saved.';

const SAVED = {
  saved: ALL_SAVED,
  pending: 'Saving …',
  failed: 'Save your objects to a file (Ctrl+S). Autosave keeps trying.',
};

function savedText({ autosave, autosaveProblem, readOnly }: SessionState): string | undefined {
  if (readOnly !== undefined) return 'View only: another window has this image.';
  if (autosave === 'aside') return autosaveProblem;
  if (autosave !== 'failed') return autosave && SAVED[autosave];
  return ['Autosave does not work.', autosaveProblem, SAVED.failed].filter(Boolean).join(' ');
}

function factsOf(state: SessionState): string[] {
  if (!state.image) return [];
  const [height, width] = state.image.size;
  const count = state.layers.committed_objects.objects.size;
  const facts = [`${width} x ${height} pixels`, `${count} ${count === 1 ? 'object' : 'objects'}`];
  const coming = state.closing?.length ?? 0;
  if (coming > 0) facts.push(`${coming} more when ${coming === 1 ? 'its mask comes' : 'their masks come'}`);
  const absent = state.image.absentPlanes?.includes(state.plane) ? ' (not in the file)' : '';
  const { recording } = state.image;
  if (recording?.view.as === 'volume') facts.splice(1, 0, `time point ${recording.view.t + 1} of ${recording.times}`);
  if (recording?.view.as === 'slice') facts.splice(1, 0, `slice ${recording.view.z + 1} of ${recording.slices}`);
  if (recording?.view.as === 'projection') facts.splice(1, 0, 'brightest over depth');
  if (state.image.planes > 1)
    facts.splice(1, 0, `${planeName(state)} ${state.plane + 1} of ${state.image.planes}${absent}`);
  return facts;
}

function hintOf(state: SessionState): string | undefined {
  if (!state.image) return 'Open an image: drop a file on the viewer, or press Ctrl+O.';
  const { current_object, committed_objects } = state.layers;
  const afterAutomatic = automaticHint(state);
  if (afterAutomatic) return afterAutomatic;
  const inStack = stackHint(state);
  if (inStack) return inStack;
  if (current_object.objects.size > 0 && state.settings.autoCommit)
    return 'Click the next cell: that commits this one. Clicks on this one, and negative points (T), correct it.';
  if (current_object.objects.size > 0)
    return committed_objects.objects.size > 0
      ? 'C commits it; more points correct it (T: positive or negative).'
      : 'Add points to correct the mask (T: positive or negative). Press C to commit it.';
  if (state.prompts.length > 0) return state.settings.autoSegment ? undefined : 'Press S to segment.';
  const { tool } = state.settings;
  if (tool === 'point') return committed_objects.objects.size > 0 ? 'Click the next cell.' : 'Click a cell.';
  return TOOL_HINTS[tool];
}

/** Tools that want more than a click say so for as long as they are in hand and nothing is begun. */
const TOOL_HINTS: Readonly<Record<Exclude<SessionSettings['tool'], 'point'>, string>> = {
  box: 'Drag a box around a cell.',
  polygon: 'Draw around a cell with the mouse held down.',
  corners: 'Click the corners of an outline; a double click closes it.',
  scribble: 'Draw a stroke over a cell.',
  ellipse: 'Drag an ellipse over a cell, from corner to corner.',
  brush: 'Paint a cell, then press C to commit it.',
  eraser: 'Wipe over what is too much of an object.',
  fill: 'Click a hole in an object to fill it.',
  split: 'Drag a line across an object, or click its two parts.',
  pan: 'Click an object or a prompt to edit it; drag to move the image.',
};

function progressOf(task: RunningTask, now: number): PanelProgress {
  const { done, total, message } = task.progress;
  const seconds = (now - task.startedAt) / 1000;
  const left = done > 0 && done < total && seconds > 1 ? timeLeft((seconds / done) * (total - done)) : undefined;
  return {
    title: task.name,
    ...(total > 0 && { fraction: Math.min(done / total, 1) }),
    text: left ? `${message} · ${left}` : message,
    task: task.id,
  };
}

export function timeLeft(seconds: number): string {
  return `${durationText(seconds)} left`;
}

/** By how many there are to choose from. */
const CANDIDATE_TITLES: readonly (readonly string[])[] = [
  [],
  [],
  ['Small', 'Large'],
  ['Small', 'Medium', 'Large'],
  ['Tiny', 'Small', 'Medium', 'Large'],
];

function candidateOf({ mask, predictedIou }: ScoredMask, index: number, { length }: readonly ScoredMask[]) {
  return {
    title: CANDIDATE_TITLES[length]?.[index] ?? `Mask ${index + 1}`,
    score: confidenceText(predictedIou),
    area: mask.area,
  };
}

function objectOf(state: SessionState): PanelObject | undefined {
  const records = [...state.layers.current_object.objects.values()];
  const [record] = records;
  if (record === undefined) return undefined;
  const area = records.reduce((sum, record) => sum + areaOf(record), 0);
  if (records.length > 1) return { title: `${records.length} objects`, area, score: '' };
  const { predictedIou, stability } = record;
  const extent = extentText(record, state);
  const score = [
    predictedIou === undefined ? '' : `model's confidence ${confidenceText(predictedIou)}`,
    stability === undefined ? '' : `stability ${stability.toFixed(2)}`,
  ];
  const title = state.editing === undefined ? 'New object' : `Object ${state.editing}, being edited`;
  return { title, area, score: score.filter(Boolean).join(' · '), ...optional('extent', extent) };
}

function conflictOf(state: SessionState): string | undefined {
  if (state.layers.current_object.objects.size === 0) return undefined;
  const { dropped, overwritten } = planCommit(state);
  const parts: string[] = [];
  for (const { keeps, fraction = 0 } of dropped)
    parts.push(
      keeps === undefined
        ? 'nothing of it would be left beside the committed objects'
        : `it would not be committed: it hides ${percent(fraction)} of object ${keeps}`,
    );
  for (const { id, fraction, removed } of overwritten)
    parts.push(removed ? `object ${id} would be replaced` : `object ${id} would lose ${percent(fraction)}`);
  if (parts.length === 0) return undefined;
  const shown = parts.slice(0, 3).join('; ');
  return `On commit: ${shown}${parts.length > 3 ? `; and ${parts.length - 3} more` : ''}.`;
}

function percent(fraction: number): string {
  return fraction < 0.005 ? 'less than 1 %' : `${Math.round(fraction * 100)} %`;
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
