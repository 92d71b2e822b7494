import { SamError } from '../../errors.js';
import { present } from '../../items.js';
import { tilesMeeting } from '../../ndimage/blocking.js';
import { defaultGrid } from '../../segmentation/amg/point-grid.js';
import { AMG_OPTIONS, type AmgState } from '../../segmentation/amg/state.js';
import type { RejectedPoint } from '../../segmentation/apg.js';
import type { AutomaticState } from '../../segmentation/automatic.js';
import {
  automaticModes,
  chooseMode,
  recommendedThresholds,
  type ThresholdsInForce,
  thresholdsInForce,
} from '../../segmentation/automatic-choices.js';
import type { AutomaticMode } from '../../segmentation/automatic-settings.js';
import type { ImageContext } from '../../segmentation/context.js';
import { automaticWork, secondsOf } from '../../segmentation/estimate.js';
import { wholeImages } from '../../segmentation/parts.js';
import { withPreset } from '../../segmentation/presets.js';
import type * as WholeImages from '../../segmentation/whole-images.js';
import type { Pace } from '../../worker/pace.js';
import type {
  AnnotatorTask,
  AutomaticEstimate,
  AutomaticOptions,
  AutomaticStatus,
  LayerContent,
} from '../annotator.js';
import { layerOf, maxId, withMasks } from '../layers.js';
import type { AutomaticSettings, AutomaticThresholds, ObjectRecord, SessionState } from '../state.js';

/**
 * Automatic segmentation of single planes, live: what the network found in a plane is kept, so that other thresholds are
 * answered at once. An object keeps its id, and with it its colour, while thresholds move. Lives as long as the
 * annotator that has it, hence is forgotten with the image and the model.
 */
export interface AnnotatorContext extends ImageContext {
  /** How fast the worker was seen to be; without it there are no estimates. */
  readonly pace?: Pace;
}

export class AutomaticPlanes {
  private readonly planes = new Map<number, PlaneResult>();
  private lastId = 0;
  /** What segments, once anything was. */
  private whole?: typeof WholeImages;
  /** Asked for with every change of the panel. */
  private lastRejected?: {
    readonly found: AutomaticState;
    readonly key: string;
    readonly points: readonly RejectedPoint[];
  };

  /** @param defaults the model's own thresholds; else the general ones */
  constructor(
    private readonly context: AnnotatorContext,
    private readonly defaults: AutomaticThresholds = {},
  ) {}

  /** Runs the network over the plane, or not at all if its answers are there already. */
  async run(state: SessionState, options: AutomaticOptions, task: AnnotatorTask): Promise<LayerContent> {
    if (state.image?.absentPlanes?.includes(state.plane))
      throw new SamError(
        'invalid_argument',
        `Plane ${state.plane + 1} is not in the file: there is nothing to segment. Go to another one.`,
      );
    const before = this.planes.get(state.plane);
    const result = await this.answers(state, options, task);
    // A run is a new start: what was dealt with in this plane comes back, unless the search only goes on.
    const dismissed = (state.dismissed ?? []).filter((id) => options.deeper || (!result.has(id) && !before?.has(id)));
    const fresh = { ...state, dismissed };
    return { ...this.result(fresh, result), ...this.leftOut(fresh, result), dismissed };
  }

  /** Every plane by itself. Planes that were run before are not run again. */
  async runAll(state: SessionState, task: AnnotatorTask): Promise<LayerContent> {
    const planes = planesOf(state);
    let objects: readonly ObjectRecord[] = [];
    for (const [i, plane] of planes.entries()) {
      const here = withObjects({ ...state, plane }, objects);
      const onProgress: AnnotatorTask['onProgress'] = ({ done, total, message }) =>
        task.onProgress?.({
          done: i + (total > 0 ? done / total : 0),
          total: planes.length,
          message: `Plane ${plane + 1}: ${message}`,
        });
      await this.answers(here, {}, { ...task, onProgress });
      task.signal?.throwIfAborted();
      objects = this.current(here)?.objects ?? objects;
      task.onPartial?.({ layer: 'auto_segmentation', objects });
    }
    return {
      layer: 'auto_segmentation',
      objects,
      dismissed: [],
      notice: `${count(objects.length)} in ${planes.length} planes.`,
    };
  }

  /** The same, of those planes that were run, the last of them perhaps in part. */
  allSoFar(state: SessionState): LayerContent | undefined {
    const { automatic } = state.settings;
    const done = planesOf(state).filter((plane) => {
      const result = this.planes.get(plane);
      return result?.found && sameRun(result, this.wanted(automatic, {}, result));
    });
    if (done.length === 0) return undefined;
    const objects = done.reduce<readonly ObjectRecord[]>(
      (before, plane) => this.current(withObjects({ ...state, plane }, before))?.objects ?? before,
      [],
    );
    const notice = `Stopped after ${done.length} of ${state.image?.planes} planes, with ${count(objects.length)} so far; running it again goes on from there.`;
    return { layer: 'auto_segmentation', objects, dismissed: [], notice };
  }

  /** The network's answers of the plane, from before if they will do. */
  async found(state: SessionState, task: AnnotatorTask): Promise<AutomaticState> {
    return present((await this.answers(state, {}, task)).found, 'an answer');
  }

  /** What is known of the plane, if a run with these settings would ask nothing further. */
  known(state: SessionState): AutomaticState | undefined {
    const result = this.planes.get(state.plane);
    return result?.complete && sameRun(result, this.wanted(state.settings.automatic, {}, result))
      ? result.found
      : undefined;
  }

  private async answers(state: SessionState, options: AutomaticOptions, task: AnnotatorTask): Promise<PlaneResult> {
    const whole = await wholeImages();
    task.signal?.throwIfAborted();
    this.whole = whole;
    const { plane } = state;
    const known = this.planes.get(plane);
    // A search that was interrupted goes on.
    const goesOn = known && !known.complete && known.deeper === (options.deeper === true);
    const wanted = goesOn && options.deeper ? known.run : this.wanted(state.settings.automatic, options, known);
    this.lastId = Math.max(this.lastId, maxId(state.layers.auto_segmentation));
    const before = options.deeper && known && sameGrid(known.run, wanted) ? known : undefined;
    const same = known && sameRun(known, wanted) && (known.complete || goesOn);
    const newId = () => ++this.lastId;
    const result = same ? known : new PlaneResult(plane, wanted, whole, newId, options.deeper === true, before);
    if (!result.complete) {
      const keep = (found: AutomaticState) => {
        if (task.signal?.aborted) return;
        result.found = found;
        this.planes.set(plane, result);
        show(found);
      };
      const resume = result.found;
      const show = throttled((found: AutomaticState) => {
        const objects = result.objects(found, this.thresholds(state.settings.automatic, found), NONE);
        task.onPartial?.({ layer: 'auto_segmentation', objects: [...othersOf(state), ...objects] });
      });
      const context = { ...this.context, plane };
      const { tiling } = this.context.embeddings;
      const first = tiling && task.view && tilesMeeting(tiling, task.view);
      const { thresholds } = this.effective(state.settings.automatic);
      const run = { ...wanted, thresholds, first, signal: task.signal, onProgress: task.onProgress };
      const deepened = result.before ?? before?.found;
      if (deepened?.mode === 'amg') {
        result.before = deepened;
        const onPartial = (amg: AmgState) => keep({ mode: 'amg', amg });
        const goingOn = resume?.mode === 'amg' && { resume: resume.amg };
        result.found = {
          mode: 'amg',
          amg: await whole.deepenAmg(context, deepened.amg, { ...run, ...goingOn, onPartial }),
        };
      } else result.found = await whole.initializeAutomatic(context, { ...run, resume, onPartial: keep });
      result.complete = true;
      this.planes.set(plane, result);
    }
    return result;
  }

  /** What an interrupted run has found in the visible plane so far. */
  soFar(state: SessionState): LayerContent | undefined {
    const result = this.planes.get(state.plane);
    if (!result?.found || result.complete) return undefined;
    const { notice: _, ...segmentation } = this.result(state, result);
    const { length } = segmentation.objects.filter(({ masks }) => masks.has(state.plane));
    return { ...segmentation, notice: `Stopped. ${count(length)} found so far; running it again goes on from there.` };
  }

  /** Of those planes that a run would ask the network about. */
  async estimate(
    state: SessionState,
    planes: readonly number[],
    { region, deeper }: AutomaticOptions = {},
  ): Promise<AutomaticEstimate | undefined> {
    const { pace, embeddings } = this.context;
    if (!pace) return undefined;
    const { automatic } = state.settings;
    const mode = this.mode(automatic);
    const absent = state.image?.absentPlanes ?? [];
    const open = planes.filter((plane) => {
      const result = this.planes.get(plane);
      const done = result?.complete && sameRun(result, this.wanted(automatic, { region }, result));
      return (deeper || !done) && !absent.includes(plane);
    });
    const pointsPerSide = automatic.pointsPerSide ?? defaultGrid(embeddings);
    const { mirror } = this.effective(automatic);
    const work = await automaticWork(embeddings, { mode, planes: open, region, mirror, pointsPerSide });
    return { ...work, seconds: secondsOf(work, mode, pace) };
  }

  /** The objects of the visible plane at the settings' thresholds; undefined where nothing was run. No network. */
  current(state: SessionState): LayerContent | undefined {
    const result = this.planes.get(state.plane);
    return result?.found && this.result(state, result);
  }

  status(state: SessionState): AutomaticStatus {
    const known = this.planes.get(state.plane);
    const { automatic } = state.settings;
    return {
      modes: automaticModes(this.context.embeddings),
      mode: this.mode(automatic),
      thresholds: this.thresholds(automatic, known?.found),
      ...(known && { ran: known.run }),
      ...(known?.found?.mode === 'apg' && known.complete && { rejected: this.rejected(state, known.found) }),
    };
  }

  /** Of the mode that was run, or is to be. */
  private thresholds(given: AutomaticSettings, found?: AutomaticState): ThresholdsInForce {
    const automatic = this.effective(given);
    const mode = found?.mode ?? this.mode(automatic);
    return thresholdsInForce(mode, automatic.thresholds, this.defaults, found && this.whole?.diameterOf(found));
  }

  /** For all planes, each of which goes by the size of its own objects where nothing is set. */
  volumeThresholds({ settings: { automatic } }: SessionState): AutomaticThresholds {
    const { thresholds } = this.effective(automatic);
    if (this.mode(automatic) === 'amg') return thresholdsInForce('amg', thresholds, this.defaults);
    return { ...recommendedThresholds('ais', this.defaults), ...thresholds };
  }

  /** With what the kind of image says. */
  private effective(automatic: AutomaticSettings): AutomaticSettings {
    return withPreset(automatic, automaticModes(this.context.embeddings));
  }

  /** What was chosen for another model is not held against this one. */
  private mode(automatic: AutomaticSettings): AutomaticMode {
    const { mode } = this.effective(automatic);
    const { embeddings } = this.context;
    return chooseMode(embeddings, mode && automaticModes(embeddings).includes(mode) ? mode : 'auto');
  }

  private wanted(
    automatic: AutomaticSettings,
    { region, deeper }: AutomaticOptions,
    known: PlaneResult | undefined,
  ): Run {
    const mode = this.mode(automatic);
    if (mode !== 'amg') {
      const { centerDistanceThreshold, boundaryDistanceThreshold, foregroundThreshold } = this.thresholds(automatic);
      const seeds = `${centerDistanceThreshold} ${boundaryDistanceThreshold} ${foregroundThreshold}`;
      const { mirror = false, refine = false } = this.effective(automatic);
      const asked = mode === 'apg' ? { mirror, seeds, refine } : { mirror };
      return { mode, pointsPerSide: 0, iouFloor: 0, stabilityFloor: 0, region, ...asked };
    }
    const { predIouThresh, stabilityScoreThresh } = this.thresholds(automatic);
    const before = known?.run.mode === 'amg' ? known.run : AMG_OPTIONS;
    const lower = (floor: number, threshold: number) =>
      Math.max(0, Math.min(deeper ? floor - DEEPER : floor, threshold));
    return {
      mode,
      pointsPerSide: automatic.pointsPerSide ?? defaultGrid(this.context.embeddings),
      iouFloor: lower(before.iouFloor, predIouThresh),
      stabilityFloor: lower(before.stabilityFloor, stabilityScoreThresh),
      region: deeper ? known?.run.region : region,
    };
  }

  /** Why points of apg gave no object, for the user; there is nothing to tell of other modes. */
  private leftOut(state: SessionState, { found }: PlaneResult): Pick<LayerContent, 'notice'> {
    if (found?.mode !== 'apg') return {};
    const { length } = this.rejected(state, found);
    if (length === 0) return {};
    return { notice: `${length} ${length === 1 ? 'point' : 'points'} of the maps gave no object; the panel says why.` };
  }

  private rejected({ settings }: SessionState, found: AutomaticState): readonly RejectedPoint[] {
    const { whole } = this;
    if (found.mode !== 'apg' || !whole) return [];
    const thresholds = this.thresholds(settings.automatic, found);
    const key = JSON.stringify(thresholds);
    if (this.lastRejected?.found !== found || this.lastRejected.key !== key)
      this.lastRejected = { found, key, points: whole.rejectedPoints(found, thresholds) };
    return this.lastRejected.points;
  }

  private result(state: SessionState, plane: PlaneResult): LayerContent {
    if (!plane.found) throw new SamError('internal', 'The automatic segmentation of this plane is not finished.');
    const dismissed = new Set(state.dismissed);
    const thresholds = this.thresholds(state.settings.automatic, plane.found);
    const objects = plane.objects(plane.found, thresholds, dismissed);
    return {
      layer: 'auto_segmentation',
      objects: [...othersOf(state), ...objects],
      ...(objects.length === 0 && { notice: NOTHING[plane.found.mode] }),
    };
  }
}

/** All that hold a picture. */
function planesOf({ image }: SessionState): number[] {
  const all = Array.from({ length: image?.planes ?? 1 }, (_, plane) => plane);
  return all.filter((plane) => !image?.absentPlanes?.includes(plane));
}

function withObjects(state: SessionState, objects: readonly ObjectRecord[]): SessionState {
  return { ...state, dismissed: [], layers: { ...state.layers, auto_segmentation: layerOf(objects) } };
}

function count(objects: number): string {
  return `${objects} ${objects === 1 ? 'object' : 'objects'}`;
}

/** How much "search deeper" lowers the floors, besides asking at points between those asked before. */
const DEEPER = 0.2;
const NONE: ReadonlySet<number> = new Set();
const NOTHING: Readonly<Record<AutomaticMode, string>> = {
  ais: 'No object was found. Lower foreground, or raise the thresholds of centres and boundaries; or try another mode.',
  apg: 'No object was found. Lower predicted IoU, or try another mode.',
  amg: 'No object passes the thresholds. Lower predicted IoU or stability; for small or faint objects, search deeper.',
};

type Run = NonNullable<AutomaticStatus['ran']> & {
  readonly mirror?: boolean;
  /** apg. */
  readonly refine?: boolean;
  /** apg: the thresholds that the prompts were made with. */
  readonly seeds?: string;
};

/** Automatic objects of other planes, which stay; of one that goes through several, the rest. */
function othersOf({ plane, layers }: SessionState): ObjectRecord[] {
  return [...layers.auto_segmentation.objects.values()].flatMap((record) => {
    if (!record.masks.has(plane)) return record;
    return withMasks(record, new Map([...record.masks].filter(([other]) => other !== plane))) ?? [];
  });
}

function sameRun({ run }: PlaneResult, wanted: Run): boolean {
  return (
    sameGrid(run, wanted) &&
    run.seeds === wanted.seeds &&
    run.mirror === wanted.mirror &&
    run.refine === wanted.refine &&
    run.iouFloor <= wanted.iouFloor &&
    run.stabilityFloor <= wanted.stabilityFloor &&
    String(run.region) === String(wanted.region)
  );
}

function sameGrid(run: Run, wanted: Run): boolean {
  return run.mode === wanted.mode && run.pointsPerSide === wanted.pointsPerSide;
}

/** What was found in one plane, and the ids that its objects have been given. */
class PlaneResult {
  /** As far as the run got, until it is complete. */
  found?: AutomaticState;
  complete = false;
  /** Of a deeper search, what it started from. */
  before?: AutomaticState;
  private readonly ids: Map<string, number>;
  private readonly records: Map<number, ObjectRecord>;

  /** @param before what this run goes on from: its objects keep their ids */
  constructor(
    private readonly plane: number,
    readonly run: Run,
    private readonly whole: typeof WholeImages,
    private readonly newId: () => number,
    readonly deeper: boolean,
    before?: PlaneResult,
  ) {
    this.ids = new Map(before?.ids);
    this.records = new Map(before?.records);
  }

  has(id: number): boolean {
    return this.records.has(id);
  }

  objects(
    found: AutomaticState,
    thresholds: ThresholdsInForce,
    dismissed: ReadonlySet<number>,
  ): readonly ObjectRecord[] {
    const seen = new Map<string, number>();
    const objects = this.whole.generateAutomatic(found, thresholds, this.run.region);
    return objects.flatMap(({ mask, predictedIou, stability, point }) => {
      // An object is known by its point and its scores; its pieces, where it falls apart, by their order.
      const origin = `${point} ${predictedIou} ${stability}`;
      const piece = seen.get(origin) ?? 0;
      seen.set(origin, piece + 1);
      const id = this.idOf(`${origin} ${piece}`);
      if (dismissed.has(id)) return [];
      const known = this.records.get(id);
      const before = known?.masks.get(this.plane);
      if (known && before && before.area === mask.area && String(before.box) === String(mask.box)) {
        if (before.runs.length === mask.runs.length && before.runs.every((run, i) => run === mask.runs[i]))
          return known;
      }
      const record: ObjectRecord = {
        id,
        masks: new Map([[this.plane, mask]]),
        prompts: [],
        origin: 'automatic',
        predictedIou,
        stability,
      };
      this.records.set(id, record);
      return record;
    });
  }

  private idOf(key: string): number {
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.newId();
    this.ids.set(key, id);
    return id;
  }
}

/** Calls at most every 0.4 s, and so that not more than a sixth of the time goes into it. */
export function throttled<T>(show: (value: T) => void): (value: T) => void {
  let next = 0;
  return (value) => {
    const start = performance.now();
    if (start < next) return;
    show(value);
    const end = performance.now();
    next = end + Math.max(400, 5 * (end - start));
  };
}
