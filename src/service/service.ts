import { SamError } from '../errors.js';
import type { ImageSource } from '../io/image.js';
import { files } from '../io/parts.js';
import type { RecordingView } from '../io/recording.js';
import type { RecordingFormat } from '../io/results/export-formats.js';
import type { RecordingExport } from '../io/results/export-recording.js';
import { toRpcArray } from '../io/rpc-array.js';
import { isOneOf } from '../items.js';
import type { YX } from '../ndimage/array.js';
import { ellipseRing } from '../ndimage/ellipse.js';
import { pointsAlong, pointsInside } from '../segmentation/points-from-shape.js';
import type { Prompt } from '../segmentation/prompts.js';
import { type CommitPlan, planCommit } from '../session/edits/commit.js';
import { loadSession, setCommittedObjects } from '../session/edits/edits.js';
import { labelExport } from '../session/label-export.js';
import { needImage, objectsInPlane, paintLayer, paintPlane, recordsFromLabels } from '../session/layers.js';
import { exportSession, importSession } from '../session/saving/session-file.js';
import type { AnnotationSession } from '../session/session.js';
import { type ImageInfo, type ObjectLayer, type SessionSettings, TASK_SLOTS, type TaskSlot } from '../session/state.js';
import { annotatorFunctions, type OpenDeps } from './annotators.js';
import { automaticFunctions } from './automatic.js';
import { encodeError, method } from './call.js';
import { CallOrder } from './call-order.js';
import { editFunctions } from './edit-objects.js';
import { engineFunctions } from './engine.js';
import { Subscriptions } from './events.js';
import { type HeadlessDeps, headlessFunctions, promptPoints } from './headless.js';
import { checkLabels } from './labels.js';
import { loadFunctions } from './load.js';
import { type Place, type Shape, trackOf } from './prompt-place.js';
import { RunningCalls } from './running-calls.js';
import { schemas } from './schemas.js';
import { type SeriesDeps, seriesFunctions } from './series.js';
import { stackFunctions, stackSettingsOf } from './stack.js';
import { describeState, promptJson, settingsJson } from './state-json.js';
import { type TrainingDeps, trainingFunctions } from './training.js';
import { withSettings } from './with-settings.js';

/**
 * The RPC face: all that a person can do in the 2D annotator, for other ImJoy plugins and for scripts. Plain functions
 * with snake_case names and plain data in and out; arrays are ndarrays (ndarray.ts), errors say their code (call.ts),
 * coordinates are (y, x) in pixels. It knows no transport: the plugin exports the object, a Node script calls it.
 *
 * @example
 * await service.open_image(array, { name: 'cells' });
 * await service.add_point_prompts([[90, 120]]);
 * await service.commit();
 * const labels = await service.get_layer('committed_objects');
 */
export interface ServiceDeps extends SeriesDeps, OpenDeps {
  readonly session: AnnotationSession;
  /** The open image, for the pixel size in exports. */
  readonly imageSource?: () => ImageSource | undefined;
  /** All time points of a recording that is taken as volumes. */
  readonly wholeRecording?: () => Promise<RecordingExport | undefined>;
  /** Another part of a recording with time and depth. */
  readonly chooseView?: (view: RecordingView) => Promise<void>;
  /** Program, model and worker, as plain data. */
  readonly info?: () => Promise<Record<string, unknown>>;
  readonly screenshot?: () => Promise<Uint8Array>;
  /** What segments images that are not open. */
  readonly headless?: HeadlessDeps;
  /** What trains models. */
  readonly training?: TrainingDeps;
  /** Called by `close`. */
  readonly close?: () => Promise<void>;
}

export type MicroSamService = ReturnType<typeof createService>;

export function createService(deps: ServiceDeps) {
  const { session } = deps;
  const subscriptions = new Subscriptions(session);
  const calls = new RunningCalls();
  const order = new CallOrder();
  const training = trainingFunctions(deps.training, deps.headless?.openInput);
  const state = () => session.state;
  const noArguments = <R>(name: string, body: () => R | Promise<R>) => method(name, [], schemas.none, body);

  function addShapes(
    place: Place,
    kind: 'polygon' | 'ellipse',
    rings: readonly (readonly YX[])[],
    labels: readonly (number | boolean)[] | undefined,
  ): Promise<string[]> {
    if (labels && labels.length !== rings.length)
      throw new SamError('invalid_argument', `There are ${rings.length} ${kind}s but ${labels.length} labels.`);
    const { size } = needImage(state());
    return addPrompts(place, () =>
      rings.flatMap((ring, i): Shape[] => {
        if (labels === undefined || labels[i]) return [{ kind, ring }];
        return pointsInside(ring, size).map((at) => ({ kind: 'point', at, positive: false }));
      }),
    );
  }

  async function addPrompts(place: Place, make: () => readonly Shape[]): Promise<string[]> {
    const { plane = session.shown.plane } = place;
    const track = trackOf(place, state());
    const first = session.newPromptId();
    const prompts = make().map(
      (shape, i): Prompt => ({ ...shape, id: `${first}-${i}`, plane, ...(track && { track }) }),
    );
    await session.run('put_prompts', { prompts });
    return prompts.map((prompt) => prompt.id);
  }

  return order.of({
    /** ImJoy calls this first. */
    setup: noArguments('setup', () => {}),
    /** ImJoy's entry: `ctx.data.image` is opened if given. */
    async run(context?: { data?: { image?: unknown; name?: string } }): Promise<void> {
      const { image, name } = context?.data ?? {};
      if (image !== undefined && image !== null) await this.open_image(image, { name });
    },
    get_info: noArguments('get_info', async () => ({ name: 'micro-sam', ...(await deps.info?.()) })),

    ...annotatorFunctions(session, deps),
    compute_embeddings: method('compute_embeddings', [], schemas.long, (given) =>
      calls.runIn(session, given, () => session.run('compute_embeddings')),
    ),
    close: noArguments('close', async () => {
      subscriptions.close();
      order.drop();
      calls.cancelAll();
      training.dropAll();
      session.close();
      await deps.close?.();
    }),

    get_state: noArguments('get_state', () => {
      const described = describeState(state());
      return { ...described, waiting: described.waiting + order.count };
    }),
    get_settings: noArguments('get_settings', () => settingsJson(state().settings)),
    set_settings: method('set_settings', [], schemas.settings, async (settings) => {
      await session.run('set_settings', { ...settingsOf(settings), ...stackSettingsOf(settings) });
    }),
    /**
     * How a recording with both time and depth is taken: 'volume' of time point `at`, time series of 'slice' `at`, or of the
     * 'projection'. Each has its own prompts, objects and undo. Returns what `get_state` does.
     */
    set_recording_view: method(
      'set_recording_view',
      ['as', 'at'],
      schemas.set_recording_view,
      async ({ as, at = 0 }) => {
        if (!deps.chooseView) throw new SamError('unsupported', 'Recordings cannot be taken apart here.');
        await deps.chooseView(as === 'volume' ? { as, t: at } : as === 'slice' ? { as, z: at } : { as });
        return describeState(state());
      },
    ),
    set_plane: method('set_plane', ['plane'], schemas.set_plane, ({ plane }) => session.run('set_plane', { plane })),

    /**
     * Returns the ids of the new prompts. Segments at once unless `auto_segment` is off. In a time series they belong to the
     * current track, or to the one of `track_id`.
     */
    add_point_prompts: method(
      'add_point_prompts',
      ['points', 'labels'],
      schemas.add_point_prompts,
      ({ points, labels, ...place }) => {
        const given = promptPoints(points, labels);
        return addPrompts(place, () => given.map((point) => ({ kind: 'point', ...point })));
      },
    ),
    add_box_prompts: method('add_box_prompts', ['boxes'], schemas.add_box_prompts, ({ boxes, ...place }) =>
      addPrompts(place, () => boxes.map(([y0, x0, y1, x1]) => ({ kind: 'box', box: [y0, x0, y1, x1] }))),
    ),
    /** Each fills its box; a negative one (label 0) is negative points inside of it, as by hand. */
    add_ellipse_prompts: method(
      'add_ellipse_prompts',
      ['boxes', 'labels'],
      schemas.add_ellipse_prompts,
      ({ boxes, labels, ...place }) =>
        addShapes(
          place,
          'ellipse',
          boxes.map(([y0, x0, y1, x1]) => ellipseRing([y0, x0, y1, x1])),
          labels,
        ),
    ),
    /** Negative ones as with ellipses. */
    add_polygon_prompts: method(
      'add_polygon_prompts',
      ['polygons', 'labels'],
      schemas.add_polygon_prompts,
      ({ polygons, labels, ...place }) =>
        addShapes(
          place,
          'polygon',
          polygons.map((ring) => ring.map(([y, x]) => [y, x] as const)),
          labels,
        ),
    ),
    /** Points along each stroke, positive (1) or negative (0) as its label says. */
    add_scribble_prompts: method(
      'add_scribble_prompts',
      ['paths', 'labels'],
      schemas.add_scribble_prompts,
      ({ paths, labels, ...place }) => {
        if (labels && labels.length !== paths.length)
          throw new SamError('invalid_argument', `There are ${paths.length} strokes but ${labels.length} labels.`);
        const { size } = needImage(state());
        return addPrompts(place, () =>
          paths.flatMap((path, i) =>
            pointsAlong(
              path.map(([y, x]) => [y, x] as const),
              size,
            ).map((at) => ({ kind: 'point' as const, at, positive: labels === undefined || Boolean(labels[i]) })),
          ),
        );
      },
    ),
    get_prompts: noArguments('get_prompts', () => state().prompts.map(promptJson)),
    remove_prompts: method('remove_prompts', ['ids'], schemas.remove_prompts, ({ ids }) =>
      session.run('remove_prompts', { ids }),
    ),
    clear_prompts: noArguments('clear_prompts', async () => {
      const ids = state().prompts.map(({ id }) => id);
      if (ids.length > 0) await session.run('remove_prompts', { ids });
    }),

    segment_object: method('segment_object', [], schemas.segment_object, ({ batched, ...given }) =>
      calls.runIn(session, given, async () => {
        await withSettings(session, batched === undefined ? {} : { batched }, () => session.run('segment_object'));
        return describeState(state()).layers.current_object;
      }),
    ),
    ...automaticFunctions(session, calls),
    ...editFunctions(session),
    ...stackFunctions(session, calls),
    ...seriesFunctions({ ...deps, folder: deps.headless?.folder }, session, calls),
    ...loadFunctions(session),
    ...engineFunctions(deps.engine ?? {}, calls),
    ...headlessFunctions({ ...deps.headless, precompute: deps.engine?.precompute }, calls),
    ...training.functions,
    refine_object: noArguments('refine_object', () => session.run('refine_object')),
    choose_candidate: method('choose_candidate', ['index'], schemas.choose_candidate, ({ index }) =>
      session.run('choose_candidate', { index }),
    ),
    paint: method('paint', ['path'], schemas.paint, ({ path, tool = 'brush', radius, layer, id }) =>
      session.run('paint', {
        tool,
        path: path.map(([y, x]) => [y, x] as const),
        radius: radius ?? state().settings.brushSize,
        ...(layer !== undefined && id !== undefined && { target: { layer, id } }),
      }),
    ),

    /** What `commit` with these options would do. */
    preview_commit: method('preview_commit', [], schemas.commit, (options) => {
      needImage(state());
      return planJson(planCommit(state(), commitOptions(options)));
    }),
    commit: method('commit', [], schemas.commit, async (options) => {
      let plan: ReturnType<typeof planJson> | undefined;
      const onPlan = (made: CommitPlan) => {
        plan = planJson(made);
      };
      await session.run('commit', { ...commitOptions(options), onPlan, sure: true });
      return plan;
    }),
    clear_annotations: method('clear_annotations', [], schemas.clear_annotations, ({ all_slices }) =>
      session.run('clear_annotations', { allPlanes: all_slices }),
    ),
    undo: noArguments('undo', () => session.run('undo')),
    redo: noArguments('redo', () => session.run('redo')),
    pick_object: method('pick_object', ['id'], schemas.pick_object, (options) => session.run('pick_object', options)),
    delete_object: method('delete_object', ['id'], schemas.delete_object, ({ id, layer = 'committed_objects' }) =>
      session.run('delete_object', { layer, id }),
    ),

    /**
     * `labels`: ndarray uint32, [H, W], or [planes, H, W] of a stack unless one `plane` is asked for. `polygons`: a
     * GeoJSON FeatureCollection, x before y as GeoJSON has it. `rle`: run lengths per object and plane.
     */
    get_layer: method(
      'get_layer',
      ['name'],
      schemas.get_layer,
      async ({ name = 'committed_objects', as = 'labels', plane }) => {
        const image = needImage(state());
        const layer = state().layers[name];
        if (plane !== undefined && plane >= image.planes)
          throw new SamError('invalid_argument', `Plane ${plane} was asked for; the image has ${image.planes}.`);
        if (as === 'rle') return layerRle(layer, image, plane);
        const labels = plane === undefined ? paintLayer(layer, image) : paintPlane(layer, plane, image.size);
        if (as === 'labels') return toRpcArray(labels);
        const { labelsToGeoJson } = await files();
        return JSON.parse(labelsToGeoJson(labels, { objects: [...layer.objects.values()] })) as object;
      },
    ),
    set_committed_objects: method('set_committed_objects', ['labels'], schemas.set_committed_objects, ({ labels }) =>
      session.applyInTurn(setCommittedObjects(recordsFromLabels(checkLabels(labels, needImage(state()))))),
    ),

    /** The files of one format, as `{ name, bytes }`; with `all_times`, all time points of a recording in one. */
    export: method('export', ['format'], schemas.export, async ({ format, layer, all_times: all }) => {
      if (all) {
        const recording = await deps.wholeRecording?.();
        if (!recording || (layer && layer !== 'committed_objects'))
          throw new SamError(
            'unsupported',
            'all_times is for the committed objects of a recording with time and depth that is taken as volumes.',
          );
        return (await files()).exportRecording(format as RecordingFormat, recording);
      }
      const objects = labelExport(state(), deps.imageSource?.(), layer);
      return (await files()).exportLabels(format, objects);
    }),
    export_session: noArguments('export_session', () => exportSession(state())),
    import_session: method('import_session', ['session'], schemas.import_session, ({ session: text }) =>
      session.applyInTurn(loadSession(importSession(text, needImage(state())))),
    ),
    screenshot: noArguments('screenshot', async () => {
      if (!deps.screenshot) throw new SamError('unsupported', 'There is no viewer to take a picture of.');
      return deps.screenshot();
    }),

    /** @param callback a function, or `{ _rintf: true, <event>(payload) {} }`. Returns what `off` takes. */
    async on(event: unknown, callback: unknown): Promise<string> {
      try {
        return subscriptions.add(event, callback);
      } catch (error) {
        throw encodeError(error);
      }
    },
    off: method('off', ['subscription'], schemas.off, ({ subscription }) => subscriptions.remove(subscription)),
    /** By the id or the slot that `get_state` tells, or by the `task` of a call; without, all work on the image. */
    cancel: method('cancel', ['task'], schemas.cancel, ({ task }) => {
      if (typeof task === 'string' && (training.stop(task) || calls.cancel(task) || order.drop(task))) return;
      if (task === undefined || task === 'segment') order.drop();
      if (typeof task !== 'string' || isSlot(task)) session.cancel(task);
    }),
  });
}

const isSlot = (name: string): name is TaskSlot => isOneOf(TASK_SLOTS, name);

function settingsOf(given: {
  positive?: boolean;
  tool?: SessionSettings['tool'];
  brush_size?: number;
  batched?: boolean;
  auto_commit?: boolean;
  preserve_mode?: SessionSettings['preserveMode'];
  preservation_threshold?: number;
  class_names?: string[];
  hover_preview?: boolean;
  auto_segment?: boolean;
}): Partial<SessionSettings> {
  const all: Partial<SessionSettings> = {
    positive: given.positive,
    tool: given.tool,
    batched: given.batched,
    autoCommit: given.auto_commit,
    brushSize: given.brush_size,
    preserveMode: given.preserve_mode,
    preservationThreshold: given.preservation_threshold,
    classNames: given.class_names,
    hoverPreview: given.hover_preview,
    autoSegment: given.auto_segment,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function commitOptions(given: {
  layer?: 'current_object' | 'auto_segmentation';
  preserve_mode?: SessionSettings['preserveMode'];
  preservation_threshold?: number;
}) {
  return {
    layer: given.layer,
    preserveMode: given.preserve_mode,
    preservationThreshold: given.preservation_threshold,
  };
}

function planJson({ added, dropped, overwritten }: ReturnType<typeof planCommit>) {
  return {
    added: [...added],
    dropped: dropped.map((object) => ({ ...object })),
    overwritten: overwritten.map((object) => ({ ...object })),
  };
}

function layerRle(layer: ObjectLayer, image: ImageInfo, only?: number) {
  const planes = only === undefined ? Array.from({ length: image.planes }, (_, plane) => plane) : [only];
  return planes.flatMap((plane) =>
    [...objectsInPlane(layer, plane)].map(([{ id }, { box, runs, area }]) => ({
      id,
      plane,
      box: [...box],
      runs: [...runs],
      area,
    })),
  );
}
