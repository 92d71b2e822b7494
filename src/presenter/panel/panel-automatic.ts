import { counted, itemAt, present } from '../../items.js';
import type { YX } from '../../ndimage/array.js';
import type { RejectedPoint } from '../../segmentation/apg.js';
import type { AutomaticMode, ThresholdName } from '../../segmentation/automatic-settings.js';
import { AUTOMATIC_PRESETS, PRESET_NAMES, withPreset } from '../../segmentation/presets.js';
import { type AutomaticStatus, annotatorKind } from '../../session/annotator.js';
import { chosenAutomatic, drawnBox } from '../../session/commands/automatic-commands.js';
import { planAccept } from '../../session/edits/automatic-edits.js';
import { areaOf } from '../../session/layers.js';
import type { SessionState } from '../../session/state.js';
import { durationText } from './duration-text.js';
import { commandButton, confidenceText, type PanelButton, type PanelRange } from './panel-controls.js';
import { planeName } from './panel-stack.js';

/** What the panel says and offers about automatic segmentation: one button at first, the rest once there are results. */
export interface PanelAutomatic {
  readonly run: PanelButton;
  /** Only where a box was drawn. */
  readonly inBox?: PanelButton;
  /** The visible plane or all; absent for a single plane. */
  readonly where?: PanelAutomaticChoice;
  /** How what is found in the slices becomes objects of the volume. */
  readonly merging?: readonly PanelRange[];
  /** It would take long: whether it is wanted. `smaller` go by their place in the list. */
  readonly proposal?: {
    readonly text: string;
    readonly start: PanelButton;
    readonly smaller: readonly { readonly title: string; readonly text: string }[];
    readonly dismiss: PanelButton;
  };
  /** e.g. "41 objects left · 3 accepted or rejected". */
  readonly text?: string;
  /** The object that was clicked. */
  readonly chosen?: { readonly title: string; readonly facts: string; readonly buttons: readonly PanelButton[] };
  readonly acceptAll?: PanelButton;
  /** What accepting all would overwrite or leave out. */
  readonly conflict?: string;
  /** Absent where nothing was run: there is nothing to move yet. */
  readonly sliders?: readonly AutomaticSlider[];
  readonly deeper?: PanelButton;
  /** What kind of image it is; absent where the model has no instance decoder. */
  readonly kinds?: PanelAutomaticChoice;
  /** Whether to look twice, for the next run; absent where there are no maps to be better. */
  readonly thorough?: readonly PanelThorough[];
  /** What was not found worth an object, and why; absent where nothing was left out. */
  readonly leftOut?: PanelLeftOut;
  /** How to search, for the next run; absent where the model knows one way only. */
  readonly modes?: PanelAutomaticChoice;
  /** Points along each side, for the next run; 0: as suits the image. Absent where no grid is asked. */
  readonly points?: { readonly value: number; readonly options: readonly { value: number; title: string }[] };
}

export interface PanelThorough {
  readonly setting: 'mirror' | 'refine';
  readonly title: string;
  readonly tooltip: string;
  readonly value: boolean;
}

export interface PanelLeftOut {
  /** e.g. "3 places without an object". */
  readonly title: string;
  readonly places: readonly { readonly at: YX; readonly text: string }[];
  /** e.g. "and 40 more"; where there are too many for a list. */
  readonly more?: string;
}

export interface PanelAutomaticChoice {
  readonly value: string;
  readonly options: readonly { readonly value: string; readonly title: string }[];
}

export interface AutomaticSlider {
  readonly threshold: ThresholdName;
  readonly title: string;
  readonly tooltip: string;
  /** Position; a size in pixels is its square, so that small sizes have room. */
  readonly value: number;
  readonly square: boolean;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** The threshold itself, in pixels where it is a size; absent where anything counts. */
  readonly number?: number;
  /** e.g. 'px'; empty for a fraction. */
  readonly unit: string;
}

export function panelAutomatic(state: SessionState, status: AutomaticStatus | undefined): PanelAutomatic | undefined {
  if (!state.image) return undefined;
  const found = state.layers.auto_segmentation.objects.size;
  const idle = state.layers.current_object.objects.size === 0 && state.tasks.length === 0;
  const arriving = state.arriving?.auto_segmentation !== undefined;
  const chosen = arriving ? undefined : chosenOf(state);
  const conflict = found > 0 && idle ? conflictOf(state) : undefined;
  const text = textOf(state, status);
  const { ran } = status ?? {};
  const where = whereOf(state);
  const merging = mergingOf(state);
  const proposal = proposalOf(state);
  return {
    run: { ...commandButton('automatic_segmentation', state), ...(where && { title: runTitle(state, status) }) },
    ...(where && { where }),
    ...(merging && { merging }),
    ...(proposal && { proposal }),
    ...(drawnBox(state) && { inBox: commandButton('automatic_in_box', state) }),
    ...(text && { text }),
    ...(chosen && { chosen }),
    ...(found > 0 &&
      !arriving && {
        acceptAll: { ...commandButton('accept_all_automatic', state, idle), title: `Accept all ${found}` },
      }),
    ...(conflict && { conflict }),
    ...(status && ran && !arriving && { sliders: sliders(state, status, ran) }),
    ...(ran?.mode === 'amg' && ran.iouFloor > 0 && { deeper: commandButton('search_deeper', state) }),
    ...(status && status.modes.length > 1 && { modes: modesOf(state, status), kinds: kindsOf(state) }),
    ...(status && status.mode !== 'amg' && { thorough: thoroughOf(state, status) }),
    ...(status?.rejected && status.rejected.length > 0 && !arriving && { leftOut: leftOutOf(status.rejected) }),
    ...(status?.mode !== 'ais' &&
      status?.mode !== 'apg' && {
        points: { value: state.settings.automatic.pointsPerSide ?? 0, options: pointOptions(state) },
      }),
  };
}

function whereOf(state: SessionState): PanelAutomaticChoice | undefined {
  const { planes = 1 } = state.image ?? {};
  if (planes === 1) return undefined;
  const kind = annotatorKind(state);
  const all = kind === '3d' ? 'the whole volume' : kind === 'tracking' ? 'all frames' : 'all planes, each by itself';
  return {
    value: state.settings.applyToVolume ? 'all' : 'plane',
    options: [
      { value: 'plane', title: `the visible ${planeName(state)}` },
      { value: 'all', title: `${all} (${planes})` },
    ],
  };
}

function runTitle(state: SessionState, status: AutomaticStatus | undefined): string {
  if (!state.settings.applyToVolume) return `Segment ${planeName(state)} automatically`;
  if (status?.volume === 'stale') return 'Apply to all again';
  const kind = annotatorKind(state);
  return `Segment ${kind === '3d' ? 'volume' : kind === 'tracking' ? 'all frames' : 'all planes'} automatically`;
}

function mergingOf(state: SessionState): readonly PanelRange[] | undefined {
  const { settings, image } = state;
  if (!image || image.planes === 1 || !settings.applyToVolume || annotatorKind(state) === '2d') return undefined;
  const slices = Math.min(20, image.planes);
  const range = (
    setting: 'gapClosing' | 'minExtent' | 'minOverlap',
    title: string,
    tooltip: string,
    max: number,
    step: number,
  ): PanelRange => ({ kind: 'range', setting, value: settings[setting], title, tooltip, min: 0, max, step });
  return [
    range(
      'gapClosing',
      'Gap closing',
      'Gaps of up to this many slices inside an object are closed.',
      Math.min(10, slices),
      1,
    ),
    range('minExtent', 'Minimum extent', 'Objects over fewer slices are left out.', slices, 1),
    range(
      'minOverlap',
      'Minimum overlap',
      'How much of an object the one in the next slice must cover for both to be one.',
      1,
      0.01,
    ),
  ];
}

function proposalOf(state: SessionState): PanelAutomatic['proposal'] {
  const { proposal } = state;
  if (!proposal || (proposal.plane !== state.plane && !proposal.run.allPlanes)) return undefined;
  const { run, smaller } = proposal;
  const hours = run.seconds >= 3600 && smaller.length > 0 ? ' Begin with less:' : '';
  return {
    text: `${run.title}: ${durationText(run.seconds)}.${hours}`,
    start: commandButton('run_proposed', state, run.seconds < 3600),
    smaller: smaller.map(({ title, seconds }) => ({ title, text: durationText(seconds) })),
    dismiss: commandButton('dismiss_proposal', state),
  };
}

/** What to do once there are automatic objects, for newcomers. */
export function automaticHint(state: SessionState): string | undefined {
  if (state.arriving?.auto_segmentation) return 'Objects appear as they are found. Escape stops the search.';
  const { auto_segmentation, current_object } = state.layers;
  if (auto_segmentation.objects.size === 0 || current_object.objects.size > 0 || state.tasks.length > 0)
    return undefined;
  if (chosenAutomatic(state) !== undefined)
    return 'Accept it (Y), reject it (Shift+Y) or edit it. Shift+A accepts all.';
  const hand = state.settings.tool === 'pan' ? 'Click' : 'Alt+click';
  return `${hand} an object to accept (Y), reject (Shift+Y) or edit it. Then accept all others (Shift+A).`;
}

function textOf(state: SessionState, status: AutomaticStatus | undefined): string | undefined {
  const arriving = state.arriving?.auto_segmentation;
  if (arriving) return `${count(arriving.objects.size)} so far`;
  const found = state.layers.auto_segmentation.objects.size;
  const dismissed = state.dismissed?.length ?? 0;
  if (found === 0 && dismissed === 0 && !status?.ran) return undefined;
  const done = dismissed > 0 ? ` left · ${dismissed} gone through` : '';
  return `${count(found)}${done}${status?.ran?.region ? ' · inside the box' : ''}`;
}

function count(objects: number): string {
  return counted(objects, 'automatic object');
}

function chosenOf(state: SessionState): PanelAutomatic['chosen'] {
  const id = chosenAutomatic(state);
  const record = id === undefined ? undefined : state.layers.auto_segmentation.objects.get(id);
  if (!record) return undefined;
  const facts = [
    `${areaOf(record).toLocaleString('en')} px`,
    record.predictedIou === undefined ? '' : `model's confidence ${confidenceText(record.predictedIou)}`,
    record.stability === undefined ? '' : `stability ${record.stability.toFixed(2)}`,
  ];
  return {
    title: `Automatic object ${id}`,
    facts: facts.filter(Boolean).join(' · '),
    buttons: [
      commandButton('accept_automatic', state),
      commandButton('reject_automatic', state),
      commandButton('edit_automatic', state),
    ],
  };
}

function conflictOf(state: SessionState): string | undefined {
  if (state.layers.committed_objects.objects.size === 0) return undefined;
  const { dropped, overwritten } = planAccept(state);
  const parts: string[] = [];
  const place = dropped.length === 1 ? 'it lies on a committed object' : 'they lie on committed objects';
  if (dropped.length > 0) parts.push(`${dropped.length} would be left out: ${place}`);
  const removed = overwritten.filter((object) => object.removed).length;
  const cut = overwritten.length - removed;
  if (removed > 0) parts.push(`${removed} committed would be replaced`);
  if (cut > 0) parts.push(`${cut} committed would lose pixels`);
  return parts.length > 0 ? `On accept all: ${parts.join('; ')}.` : undefined;
}

function sliders(
  state: SessionState,
  { thresholds }: AutomaticStatus,
  ran: NonNullable<AutomaticStatus['ran']>,
): AutomaticSlider[] {
  const [height, width] = present(state.image, 'an open image').size;
  const side = Math.ceil(Math.sqrt(height * width));
  const score = (threshold: ThresholdName, title: string, tooltip: string, floor: number) => ({
    threshold,
    title,
    tooltip,
    value: Math.max(thresholds[threshold], floor),
    square: false,
    min: Math.ceil(floor * 100) / 100,
    max: 1,
    step: 0.01,
    number: Number(thresholds[threshold].toFixed(3)),
    unit: '',
  });
  const size = (threshold: 'minObjectSize' | 'maxObjectSize', title: string, tooltip: string, max: number) => ({
    threshold,
    title,
    tooltip,
    value: Math.min(Math.round(Math.sqrt(thresholds[threshold])), max),
    square: true,
    min: 0,
    max,
    step: 1,
    ...(thresholds[threshold] < side * side && { number: Math.round(thresholds[threshold]) }),
    unit: 'px',
  });
  const sizes = [
    size('minObjectSize', 'Smallest', 'Objects with fewer pixels are left out.', Math.min(200, side)),
    size('maxObjectSize', 'Largest', 'Objects with more pixels are left out.', side),
  ];
  const sure = score('predIouThresh', 'Predicted IoU', 'How sure the model must be of an object.', ran.iouFloor);
  if (ran.mode === 'apg')
    return [
      sure,
      score('maxOverlap', 'Overlap', 'An object is left out if surer ones cover more than this part of it.', 0),
      ...sizes,
    ];
  if (ran.mode === 'ais')
    return [
      score('foregroundThreshold', 'Foreground', 'How sure the model must be that a pixel is part of an object.', 0),
      score(
        'centerDistanceThreshold',
        'Centres',
        'How far the core of an object may reach from its centre. Lower it where neighbours are joined, raise it where objects are missed.',
        0,
      ),
      score(
        'boundaryDistanceThreshold',
        'Boundaries',
        'How near to its boundary the core of an object may reach. Lower it where neighbours are joined, raise it where objects are missed.',
        0,
      ),
      {
        threshold: 'distanceSmoothing',
        title: 'Smoothing',
        tooltip: 'Raise it where objects fall into pieces, lower it where small ones are joined.',
        value: thresholds.distanceSmoothing,
        square: false,
        min: 0,
        max: 8,
        step: 0.1,
        number: Number(thresholds.distanceSmoothing.toFixed(2)),
        unit: 'px',
      },
      ...sizes,
    ];
  return [
    sure,
    score(
      'stabilityScoreThresh',
      'Stability',
      'How little an outline may depend on where exactly the model draws the line.',
      ran.stabilityFloor,
    ),
    score('boxNmsThresh', 'Overlap', 'Of two objects whose boxes overlap more than this, the surer one stays.', 0),
    ...sizes,
  ];
}

const MODE_TITLES: Readonly<Record<AutomaticMode, string>> = {
  ais: 'all objects at once',
  apg: 'a point for each object',
  amg: 'a grid of points, slow',
};

function modesOf({ settings }: SessionState, { modes }: AutomaticStatus): PanelAutomatic['modes'] {
  const best = { value: '', title: `automatic: ${MODE_TITLES[itemAt(modes, 0)]}` };
  const options = [best, ...modes.map((mode) => ({ value: mode, title: MODE_TITLES[mode] }))];
  const { mode } = settings.automatic;
  return { value: mode && modes.includes(mode) ? mode : '', options };
}

function kindsOf({ settings }: SessionState): PanelAutomaticChoice {
  const presets = PRESET_NAMES.map((value) => ({ value, title: AUTOMATIC_PRESETS[value].title }));
  return { value: settings.automatic.preset ?? '', options: [{ value: '', title: 'not said' }, ...presets] };
}

function thoroughOf({ settings: { automatic } }: SessionState, { mode, modes }: AutomaticStatus): PanelThorough[] {
  const { mirror = false, refine = false } = withPreset(automatic, modes);
  const twice: PanelThorough = {
    setting: 'mirror',
    title: 'Look at the mirror image, too',
    tooltip: 'What the model sees in both is averaged: a little better, for twice the time.',
    value: mirror,
  };
  if (mode !== 'apg') return [twice];
  const boxes: PanelThorough = {
    setting: 'refine',
    title: 'Outline twice',
    tooltip: 'Each object is outlined once more from the box around it.',
    value: refine,
  };
  return [twice, boxes];
}

/** More places are no list to go through. */
const MOST_PLACES = 50;

const REASONS: Readonly<Record<RejectedPoint['reason'], string>> = {
  'low score': 'score too low',
  'disagrees with the maps': 'does not match the maps',
  size: 'too small or large',
  duplicate: 'covered by surer ones',
  truncated: 'too little is left of it',
};

function leftOutOf(rejected: readonly RejectedPoint[]): PanelLeftOut {
  const { length } = rejected;
  const places = rejected.slice(0, MOST_PLACES).map(({ point, reason }) => ({
    at: point,
    text: `y ${Math.round(point[0])}, x ${Math.round(point[1])}: ${REASONS[reason]}`,
  }));
  return {
    title: `${counted(length, 'place')} without an object`,
    places,
    ...(length > MOST_PLACES && { more: `and ${length - MOST_PLACES} more` }),
  };
}

function pointOptions({ settings }: SessionState): NonNullable<PanelAutomatic['points']>['options'] {
  const values = new Set([0, 16, 32, 48, 64, settings.automatic.pointsPerSide ?? 0]);
  const speeds: Readonly<Record<number, string>> = { 16: ', quick', 32: '', 48: ', small objects', 64: ', slow' };
  return [...values]
    .sort((a, b) => a - b)
    .map((value) => ({ value, title: value === 0 ? 'automatic' : `${value} x ${value}${speeds[value] ?? ''}` }));
}
