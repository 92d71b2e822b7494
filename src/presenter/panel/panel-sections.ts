import { annotatorKind } from '../../session/annotator.js';
import { COMMANDS, type CommandId } from '../../session/commands/commands.js';
import { type SessionSettings, type SessionState, TOOLS, type Tool } from '../../session/state.js';
import {
  commandButton,
  type PanelButton,
  type PanelControl,
  type PanelSection,
  type PanelToggle,
} from './panel-controls.js';
import { annotatorChoice, planeName, throughSection } from './panel-stack.js';

/** What the panel offers: tools and steps that every object needs, and sections for what is needed now and then. */

/** What a click or a drag does, and whether points add or take away. */
export function toolsOf(state: SessionState): PanelControl[] {
  const { settings } = state;
  const brush = settings.tool === 'brush' || settings.tool === 'eraser';
  return [
    toggle('positive', settings.positive, 'Positive points', 'Points in the object (T); off: points outside of it.'),
    ...(annotatorKind(state) === 'tracking'
      ? []
      : [toggle('autoCommit', settings.autoCommit, 'Auto-commit (K)', COMMANDS.toggle_auto_commit.tooltip)]),
    {
      kind: 'choice',
      setting: 'tool',
      title: 'Tool',
      tooltip: 'What a click or a drag in the viewer does.',
      value: settings.tool,
      options: TOOL_OPTIONS,
    },
    ...(brush
      ? [
          {
            kind: 'range',
            setting: 'brushSize',
            title: 'Brush radius',
            tooltip: 'Radius of brush and eraser, in pixels.',
            value: settings.brushSize,
            min: 1,
            max: 100,
            step: 1,
          } as const,
        ]
      : []),
  ];
}

/** From prompts to a committed object, and back. */
export function stepsOf(state: SessionState): PanelButton[] {
  const button = buttonsOf(state);
  return [
    { ...button('segment_object'), title: segmentTitle(state) },
    button('commit'),
    button('undo'),
    button('redo'),
    button('next_candidate'),
    button('refine_object'),
  ];
}

export function sectionsOf(state: SessionState, hasSections: boolean): PanelSection[] {
  const { settings } = state;
  const button = buttonsOf(state);
  const through = throughSection(state, button);
  const taken = annotatorChoice(state);
  return [
    ...(annotatorKind(state) === 'tracking' ? [{ id: 'tracks', title: 'Tracks', controls: [] }] : []),
    ...(through ? [through] : []),
    {
      id: 'commit',
      title: 'Objects',
      controls: [
        button('merge_objects'),
        button('delete'),
        button('fill_holes'),
        button('smooth_objects'),
        button('grow_objects'),
        button('shrink_objects'),
        button('clear_annotations'),
        {
          ...toggle(
            'batched',
            settings.batched,
            'Batched',
            'Every positive point and every box is an object of its own.',
          ),
          note: 'Each click and each box is an object of its own; negative points speak against all of them. C commits all.',
        },
        toggle(
          'autoSegment',
          settings.autoSegment,
          'Segment at once',
          'Segment after each prompt, without pressing S.',
        ),
        toggle('hoverPreview', settings.hoverPreview, 'Preview', 'Show what a click would segment under the pointer.'),
        {
          kind: 'choice',
          setting: 'preserveMode',
          title: 'Preserve',
          tooltip:
            'Where a new object meets committed ones. Objects: those that it would hide stay. Pixels: it takes none of theirs. None: it is written over them.',
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
      ],
    },
    {
      id: 'image',
      title: 'Image and model',
      // Needed once; what is done with it folds away.
      folded: state.image !== undefined,
      controls: [button('open_image'), button('compute_embeddings'), ...(taken ? [taken] : [])],
    },
    {
      id: 'save',
      title: 'Save and view',
      controls: [
        button('export_labels'),
        button('load_objects'),
        button('earlier_versions'),
        button('toggle_objects'),
        button('shuffle_colors'),
        ...(hasSections && state.image?.axes.includes('z') ? [button('toggle_sections')] : []),
        ...(state.image?.axes.includes('z') ? [button('show_in_3d')] : []),
        button('help'),
      ],
    },
  ];
}

/** Buttons of commands; the likely next step stands out. */
function buttonsOf(state: SessionState): (command: CommandId) => PanelButton {
  const { image, layers, prompts } = state;
  const next: CommandId | undefined = !image
    ? 'open_image'
    : layers.current_object.objects.size > 0
      ? 'commit'
      : prompts.length > 0
        ? 'segment_object'
        : undefined;
  return (command) => commandButton(command, state, command === next);
}

function segmentTitle(state: SessionState): string {
  const name = planeName(state);
  return name === 'plane' ? COMMANDS.segment_object.title : `Segment ${name}`;
}

const TOOL_TITLES: Readonly<Record<Tool, string>> = {
  point: 'Point',
  box: 'Box',
  polygon: 'Lasso',
  corners: 'Polygon',
  ellipse: 'Ellipse',
  scribble: 'Scribble',
  brush: 'Brush',
  eraser: 'Eraser',
  fill: 'Fill hole',
  split: 'Split',
  pan: 'Select',
};

const TOOL_OPTIONS = TOOLS.map((value) => {
  const keys = value === 'point' ? COMMANDS.toggle_tool.keys : COMMANDS[`use_${value}`].keys;
  return { value, title: TOOL_TITLES[value], ...(keys && { key: keys[0] }) };
});

const PRESERVE_MODES = [
  { value: 'objects', title: 'objects' },
  { value: 'pixels', title: 'pixels' },
  { value: 'none', title: 'none' },
];

function toggle(setting: keyof SessionSettings, value: boolean, title: string, tooltip: string): PanelToggle {
  return { kind: 'toggle', setting, value, title, tooltip };
}
