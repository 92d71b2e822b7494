import type { AutomaticStatus } from '../../session/annotator.js';
import { annotatorKind } from '../../session/annotator.js';
import { COMMANDS, type CommandId } from '../../session/commands/commands.js';
import { planCommit } from '../../session/edits/commit.js';
import { areaOf } from '../../session/layers.js';
import type { CandidateMask, Message, RunningTask, SessionSettings, SessionState } from '../../session/state.js';
import { automaticHint, type PanelAutomatic, panelAutomatic } from './panel-automatic.js';
import { commandButton, type PanelSection, type PanelToggle } from './panel-controls.js';
import { annotatorChoice, extentText, planeName, stackHint, throughSection } from './panel-stack.js';
import { type PanelTracks, panelTracks } from './panel-tracks.js';

/**
 * What the plugin's own window shows, as plain data computed from the state: the window only draws it, and sends back
 * command ids and settings. Nothing here knows of a page.
 */
export interface PanelModel {
  /** Name of the image; empty without one. */
  readonly title: string;
  /** Short facts, e.g. "512 x 512 pixels", "12 committed objects", "MobileSAM, wasm (2 threads)". */
  readonly facts: readonly string[];
  /** What to do now, for who does not know yet; absent once work is under way. */
  readonly hint?: string;
  readonly message?: Message;
  /** Of each running task, the oldest first. */
  readonly progress: readonly PanelProgress[];
  readonly sections: readonly PanelSection[];
  readonly candidates?: PanelCandidates;
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

export interface PanelCandidates {
  readonly chosen: number;
  readonly masks: readonly { readonly title: string; readonly score: string; readonly area: number }[];
}

export interface PanelObject {
  readonly title: string;
  /** In pixels, of all planes. */
  readonly area: number;
  /** Over planes, e.g. "slices 4 to 19"; absent for a single plane. */
  readonly extent?: string;
  /** e.g. "predicted IoU 0.91 · stability 0.97"; empty for painted objects. */
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
    progress: tasks.map((task) => progressOf(task, context.now)),
    sections: sectionsOf(state, context.sections === true),
    ...optional('candidates', candidates && { chosen: candidates.chosen, masks: candidates.masks.map(candidateOf) }),
    ...optional('object', objectOf(state)),
    ...optional('conflict', conflictOf(state)),
    ...optional('saved', savedText(state)),
    ...optional('tracks', panelTracks(state)),
    ...optional('automatic', panelAutomatic(state, context.automatic)),
  };
}

const SAVED = {
  saved: 'All work is saved on this device.',
  pending: 'Saving …',
  failed: 'Save your objects to a file (Ctrl+S). It is tried again by itself.',
};

function savedText({ autosave, autosaveProblem }: SessionState): string | undefined {
  if (autosave === 'aside') return autosaveProblem;
  if (autosave !== 'failed') return autosave && SAVED[autosave];
  return ['Autosave does not work.', autosaveProblem, SAVED.failed].filter(Boolean).join(' ');
}

function factsOf(state: SessionState): string[] {
  if (!state.image) return [];
  const [height, width] = state.image.size;
  const count = state.layers.committed_objects.objects.size;
  const facts = [`${width} x ${height} pixels`, `${count} committed ${count === 1 ? 'object' : 'objects'}`];
  if (state.image.planes > 1) facts.splice(1, 0, `${planeName(state)} ${state.plane + 1} of ${state.image.planes}`);
  return facts;
}

function hintOf(state: SessionState): string | undefined {
  if (!state.image) return 'Open an image: drop a file on the viewer, or press Ctrl+O.';
  const { current_object, committed_objects } = state.layers;
  const afterAutomatic = automaticHint(state);
  if (afterAutomatic) return afterAutomatic;
  const inStack = stackHint(state);
  if (inStack) return inStack;
  if (current_object.objects.size > 0)
    return committed_objects.objects.size > 0
      ? undefined
      : 'Add points to correct the mask (T: positive or negative). Press C to commit it.';
  if (state.prompts.length > 0) return state.settings.autoSegment ? undefined : 'Press S to segment.';
  const { tool } = state.settings;
  if (tool === 'point') return committed_objects.objects.size > 0 ? undefined : 'Click a cell.';
  return TOOL_HINTS[tool];
}

/** Tools that want more than a click say so for as long as they are in hand and nothing is begun. */
const TOOL_HINTS: Readonly<Record<Exclude<SessionSettings['tool'], 'point'>, string>> = {
  box: 'Drag a box around a cell.',
  polygon: 'Draw around a cell with the mouse held down.',
  ellipse: 'Drag an ellipse over a cell, from corner to corner.',
  brush: 'Paint a cell, then press C to commit it.',
  eraser: 'Wipe over what is too much of an object.',
  fill: 'Click a hole in an object to fill it.',
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

/** Rounded so that the number does not flicker: 5 s steps below a minute. */
export function timeLeft(seconds: number): string {
  if (seconds < 60) return `about ${Math.max(5, Math.ceil(seconds / 5) * 5)} s left`;
  if (seconds < 3600) return `about ${Math.ceil(seconds / 60)} min left`;
  const minutes = Math.ceil(seconds / 60);
  return `about ${Math.floor(minutes / 60)} h${minutes % 60 > 0 ? ` ${minutes % 60} min` : ''} left`;
}

const CANDIDATE_TITLES = ['Small', 'Medium', 'Large'];

function candidateOf({ mask, predictedIou }: CandidateMask, index: number) {
  return { title: CANDIDATE_TITLES[index] ?? `Mask ${index + 1}`, score: predictedIou.toFixed(2), area: mask.area };
}

function objectOf(state: SessionState): PanelObject | undefined {
  const records = [...state.layers.current_object.objects.values()];
  if (records.length === 0) return undefined;
  const area = records.reduce((sum, record) => sum + areaOf(record), 0);
  if (records.length > 1) return { title: `${records.length} objects`, area, score: '' };
  const [{ predictedIou, stability }] = records;
  const extent = extentText(records[0], state);
  const score = [
    predictedIou === undefined ? '' : `predicted IoU ${predictedIou.toFixed(2)}`,
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

function sectionsOf(state: SessionState, hasSections: boolean): PanelSection[] {
  const { settings, layers } = state;
  const primary = !state.image
    ? 'open_image'
    : layers.current_object.objects.size > 0
      ? 'commit'
      : state.prompts.length > 0
        ? 'segment_object'
        : undefined;
  const button = (command: CommandId) => commandButton(command, state, command === primary);
  const through = throughSection(state, button);
  const taken = annotatorChoice(state);
  return [
    {
      id: 'image',
      title: 'Image',
      controls: [button('open_image'), button('compute_embeddings'), ...(taken ? [taken] : [])],
    },
    {
      id: 'prompts',
      title: 'Prompts',
      controls: [
        toggle(
          'positive',
          settings.positive,
          'Positive points',
          'Points in the object (T); off: points outside of it.',
        ),
        {
          kind: 'choice',
          setting: 'tool',
          title: 'Tool',
          tooltip: 'What a click or a drag in the viewer does.',
          value: settings.tool,
          options: TOOLS,
        },
        {
          kind: 'range',
          setting: 'brushSize',
          title: 'Brush radius',
          tooltip: 'Radius of brush and eraser, in pixels.',
          value: settings.brushSize,
          min: 1,
          max: 100,
          step: 1,
        },
      ],
    },
    ...(annotatorKind(state) === 'tracking' ? [{ id: 'tracks', title: 'Tracks', controls: [] }] : []),
    {
      id: 'segment',
      title: 'Segment',
      controls: [
        { ...button('segment_object'), title: segmentTitle(state) },
        button('next_candidate'),
        button('refine_object'),
        toggle('batched', settings.batched, 'Batched', 'Every positive point and every box is an object of its own.'),
        toggle(
          'autoSegment',
          settings.autoSegment,
          'Segment at once',
          'Segment after each prompt, without pressing S.',
        ),
        toggle('hoverPreview', settings.hoverPreview, 'Preview', 'Show what a click would segment under the pointer.'),
      ],
    },
    ...(through ? [through] : []),
    {
      id: 'commit',
      title: 'Commit',
      controls: [
        button('commit'),
        {
          kind: 'choice',
          setting: 'preserveMode',
          title: 'Preserve',
          tooltip: 'What happens where the new object meets committed ones.',
          value: settings.preserveMode,
          options: PRESERVE_MODES,
        },
        {
          kind: 'range',
          setting: 'preservationThreshold',
          title: 'Preservation threshold',
          tooltip: 'A new object that hides more than this part of a committed one is left out.',
          value: settings.preservationThreshold,
          min: 0,
          max: 1,
          step: 0.05,
        },
        button('clear_annotations'),
        button('undo'),
        button('redo'),
        button('delete'),
      ],
    },
    {
      id: 'save',
      title: 'Save and view',
      controls: [
        button('export_labels'),
        button('load_objects'),
        button('toggle_objects'),
        button('shuffle_colors'),
        ...(hasSections && state.image?.axes.includes('z') ? [button('toggle_sections')] : []),
        button('help'),
      ],
    },
  ];
}

function segmentTitle(state: SessionState): string {
  const name = planeName(state);
  return name === 'plane' ? COMMANDS.segment_object.title : `Segment ${name}`;
}

const TOOLS = [
  { value: 'point', title: 'Point' },
  { value: 'box', title: 'Box' },
  { value: 'polygon', title: 'Outline' },
  { value: 'ellipse', title: 'Ellipse' },
  { value: 'brush', title: 'Brush' },
  { value: 'eraser', title: 'Eraser' },
  { value: 'fill', title: 'Fill hole' },
  { value: 'pan', title: 'Select' },
];

const PRESERVE_MODES = [
  { value: 'objects', title: 'objects: keep committed objects that would be hidden' },
  { value: 'pixels', title: 'pixels: never overwrite committed pixels' },
  { value: 'none', title: 'none: overwrite' },
];

function toggle(setting: keyof SessionSettings, value: boolean, title: string, tooltip: string): PanelToggle {
  return { kind: 'toggle', setting, value, title, tooltip };
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}
