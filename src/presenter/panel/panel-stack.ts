import { PROJECTION_NAMES, type ProjectionName } from '../../segmentation/volume/projection.js';
import { annotatorKind } from '../../session/annotator.js';
import type { CommandId } from '../../session/commands/commands.js';
import { segmentAllTitle } from '../../session/commands/volume-commands.js';
import { trackIds } from '../../session/edits/tracking.js';
import type { ObjectRecord, SessionState } from '../../session/state.js';
import type { PanelButton, PanelChoice, PanelControl, PanelRange, PanelSection } from './panel-controls.js';

/** What the panel says and offers for an image of several planes: volumes and time series. */

/** How the stack is taken; absent for a single plane. */
export function annotatorChoice({ image, settings }: SessionState): PanelChoice | undefined {
  if (!image || image.planes === 1) return undefined;
  const byAxes = image.axes.startsWith('t') ? 'time series' : 'volume';
  return {
    kind: 'choice',
    setting: 'annotator',
    title: 'Annotate as',
    tooltip: 'What the planes of this image are: slices of one volume, frames of one series, or separate pictures.',
    value: settings.annotator,
    options: [
      { value: 'auto', title: `by its axes: ${byAxes}` },
      { value: '3d', title: 'volume' },
      { value: 'tracking', title: 'time series' },
      { value: '2d', title: 'separate planes' },
    ],
  };
}

/** From one plane to all: the button and how it goes about it. */
export function throughSection(
  state: SessionState,
  button: (command: CommandId) => PanelButton,
): PanelSection | undefined {
  const kind = annotatorKind(state);
  if (kind === '2d' || !state.image || state.image.planes === 1) return undefined;
  const { settings } = state;
  const all = { ...button('segment_all'), title: segmentAllTitle(state) };
  const controls: PanelControl[] = [
    all,
    {
      kind: 'choice',
      setting: 'projection',
      title: 'Projection',
      tooltip: 'How the mask of one plane becomes the prompt of the next.',
      value: settings.projection,
      options: [
        { value: 'auto', title: 'auto: as suits the model' },
        ...PROJECTION_NAMES.map((value) => ({ value, title: PROJECTION_TITLES[value] })),
      ],
    },
    range('iouThreshold', settings.iouThreshold, 'IoU threshold', IOU_TIP, [0, 1, 0.05]),
    range('boxExtension', settings.boxExtension, 'Box extension', BOX_TIP, [0, 0.5, 0.025]),
  ];
  if (kind === '3d') return { id: 'through', title: 'All slices', controls };
  controls.push(
    {
      kind: 'choice',
      setting: 'trackDirection',
      title: 'Direction',
      tooltip: 'Where to follow the object from the frames it is marked in.',
      value: settings.trackDirection,
      options: [
        { value: 'forward', title: 'forward' },
        { value: 'backward', title: 'backward' },
        { value: 'both', title: 'forward and backward' },
      ],
    },
    range('motionSmoothing', settings.motionSmoothing, 'Motion smoothing', MOTION_TIP, [0, 1, 0.05]),
  );
  return { id: 'through', title: 'All frames', controls };
}

const PROJECTION_TITLES: Readonly<Record<ProjectionName, string>> = {
  single_point: 'single_point: the middle of the mask',
  box: 'box: the box around the mask',
  mask: 'mask: the mask and its box',
  points: 'points: several points of the mask',
  points_and_mask: 'points_and_mask: points and the mask',
  soft_mask: 'soft_mask: the mask, free to change at its edge',
};

const IOU_TIP = 'The object ends where masks of neighbouring planes overlap less than this.';
const BOX_TIP = 'How much the box grows from plane to plane, as a part of its sides.';
const MOTION_TIP = 'Weight of earlier frames when the motion of the object is estimated.';

function range(
  setting: PanelRange['setting'],
  value: number,
  title: string,
  tooltip: string,
  [min, max, step]: readonly [number, number, number],
): PanelRange {
  return { kind: 'range', setting, value, title, tooltip, min, max, step };
}

/** e.g. "slices 4 to 19, marked in 5 and 12"; undefined for a single plane. */
export function extentText(record: ObjectRecord, state: SessionState): string | undefined {
  const kind = annotatorKind(state);
  if (kind === '2d' || !state.image || state.image.planes === 1) return undefined;
  const planes = [...record.masks.keys()].sort((a, b) => a - b);
  const [lowest, highest] = [planes.at(0), planes.at(-1)];
  if (lowest === undefined || highest === undefined) return undefined;
  const [first, last] = [lowest + 1, highest + 1];
  const name = planeName(state);
  if (first === last) return `${name} ${first} only`;
  const missing = last - first + 1 - planes.length;
  const gap = missing > 0 ? `, missing in ${missing} of them` : '';
  const end = record.trackEnd;
  const how =
    end?.reason === 'lost'
      ? `, lost in frame ${end.frame + 1}`
      : end?.reason === 'division'
        ? `, divides in frame ${end.frame + 1}`
        : '';
  return `${name}s ${first} to ${last}${gap}${how}`;
}

/** What a plane is called: people count slices and frames from 1. */
export function planeName(state: SessionState): 'slice' | 'frame' | 'plane' {
  const kind = annotatorKind(state);
  return kind === '3d' ? 'slice' : kind === 'tracking' ? 'frame' : 'plane';
}

/** What to do next in a stack; undefined where the hint for single planes is right. */
export function stackHint(state: SessionState): string | undefined {
  const kind = annotatorKind(state);
  if (kind === '2d' || !state.image || state.image.planes === 1) return undefined;
  const { current_object, committed_objects } = state.layers;
  const record = current_object.objects.get(kind === 'tracking' ? state.currentTrack : 1);
  const divided = [...current_object.objects.values()].find(({ trackEnd }) => trackEnd?.reason === 'division');
  if (kind === 'tracking' && divided && (!record || record === divided) && !allMarked(state))
    return `Track ${divided.id} divides: choose a daughter as current track, set the state back to Track (D), click the daughter and press Shift+S.`;
  if (!record)
    return committed_objects.objects.size > 0 ? undefined : 'Click a cell in the plane where it is seen best.';
  if (record.masks.size === 1)
    return kind === '3d'
      ? 'Press Shift+S to follow the object through all slices. A single negative point in a slice says: it ends here.'
      : 'Press Shift+S to follow the cell through time. Where it divides, press D and click it: then mark the daughters.';
  return kind === '3d'
    ? 'Go through the slices ([ and ]). Where the mask is wrong, add points and press Shift+S again. C commits.'
    : 'Go through the frames ([ and ]). Where the mask is wrong, add points and press Shift+S again. C commits all tracks.';
}

/** Whether every track that is known has an object somewhere. */
function allMarked(state: SessionState): boolean {
  return trackIds(state).every((id) => state.layers.current_object.objects.has(id));
}
