import { positionOf } from '../io/recording.js';
import type { Prompt } from '../segmentation/prompts.js';
import { chosenAutomatic } from '../session/commands/automatic-commands.js';
import { areaOf } from '../session/layers.js';
import type { ObjectLayer, SessionSettings, SessionState } from '../session/state.js';
import { stackSettingsJson } from './stack.js';

/** The session's state as plain data with snake_case names, small enough to be sent at every change. */
export function describeState(state: SessionState) {
  const { image, tasks, message, candidates, editing } = state;
  const running = tasks.map(({ id, slot, name, progress }) => ({ id, slot, name, ...progress }));
  return {
    image: image
      ? {
          name: image.name,
          axes: image.axes,
          shape: [...image.size],
          planes: image.planes,
          ...(image.recording && { recording: recordingJson(image.recording) }),
          ...(image.absentPlanes && { absent_planes: [...image.absentPlanes] }),
          signature: image.signature,
        }
      : null,
    plane: state.plane,
    prompts: state.prompts.map(promptJson),
    layers: {
      current_object: describeLayer(state.layers.current_object),
      auto_segmentation: describeLayer(state.layers.auto_segmentation),
      committed_objects: describeLayer(state.layers.committed_objects),
    },
    editing: editing ?? null,
    current_track: state.currentTrack,
    automatic: { chosen: chosenAutomatic(state) ?? null, dismissed: [...(state.dismissed ?? [])] },
    candidates: candidates
      ? {
          chosen: candidates.chosen,
          masks: candidates.masks.map(({ mask, predictedIou, stability }) => ({
            area: mask.area,
            predicted_iou: predictedIou,
            stability: stability ?? null,
          })),
        }
      : null,
    settings: settingsJson(state.settings),
    undo: state.history.undo ?? null,
    redo: state.history.redo ?? null,
    embedding: state.embedding ?? null,
    autosave: state.autosave ?? null,
    read_only: state.readOnly ?? null,
    /** The one that began last, of all in `tasks`. */
    task: running.at(-1) ?? null,
    tasks: running,
    /** Commands that have not had their turn. */
    waiting: state.waiting ?? 0,
    message: message ? { ...message } : null,
  };
}

function recordingJson({ times, slices, view }: NonNullable<NonNullable<SessionState['image']>['recording']>) {
  const { t = null, z = null } = { ...positionOf(view) };
  return { times, slices, as: view.as, t, z };
}

export function describeLayer({ objects }: ObjectLayer) {
  return {
    count: objects.size,
    objects: [...objects.values()].map((record) => ({
      id: record.id,
      area: areaOf(record),
      origin: record.origin,
      predicted_iou: record.predictedIou ?? null,
      stability: record.stability ?? null,
      name: record.name ?? null,
      object_class: record.objectClass ?? null,
      comment: record.comment ?? null,
      flagged: record.flagged ?? false,
    })),
  };
}

/** Mutable copies: what is sent is the receiver's. */
export function promptJson(prompt: Prompt): ReturnType<typeof plainPrompt> & { track?: { id: number; state: string } } {
  const plain = plainPrompt(prompt);
  return prompt.track ? { ...plain, track: { ...prompt.track } } : plain;
}

function plainPrompt(prompt: Prompt) {
  const { id, kind, plane } = prompt;
  switch (prompt.kind) {
    case 'point':
      return { id, kind, plane, at: [...prompt.at], label: prompt.positive ? 1 : 0 };
    case 'box':
      return { id, kind, plane, box: [...prompt.box] };
    case 'mask':
      return { id, kind, plane, box: [...prompt.mask.box], area: prompt.mask.area };
    default:
      return { id, kind, plane, ring: prompt.ring.map((at) => [...at]) };
  }
}

export function settingsJson(settings: SessionSettings) {
  return {
    positive: settings.positive,
    tool: settings.tool,
    brush_size: settings.brushSize,
    batched: settings.batched,
    auto_commit: settings.autoCommit,
    preserve_mode: settings.preserveMode,
    preservation_threshold: settings.preservationThreshold,
    class_names: [...settings.classNames],
    hover_preview: settings.hoverPreview,
    auto_segment: settings.autoSegment,
    ...stackSettingsJson(settings),
  };
}
