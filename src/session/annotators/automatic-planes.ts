import { SamError } from '../../errors.js';
import { tilesMeeting } from '../../ndimage/blocking.js';
import { AMG_OPTIONS, deepenAmg, defaultGrid } from '../../segmentation/amg/initialize.js';
import type { AmgState } from '../../segmentation/amg/state.js';
import {
  type AutomaticMode,
  type AutomaticState,
  automaticModes,
  chooseMode,
  diameterOf,
  generateAutomatic,
  initializeAutomatic,
  rejectedPoints,
  type ThresholdsInForce,
  thresholdsInForce,
} from '../../segmentation/automatic.js';
import type { SegmentContext } from '../../segmentation/context.js';
import type { AnnotatorTask, AutomaticOptions, AutomaticStatus, Segmentation } from '../annotator.js';
import { maxId, withMasks } from '../layers.js';
import type { AutomaticSettings, AutomaticThresholds, ObjectRecord, SessionState } from '../state.js';

/**
 * Automatic segmentation of single planes, live: what the network found in a plane is kept, so that other thresholds are
 * answered at once. An object keeps its id, and with it its colour, while thresholds move. Lives as long as the
 * annotator that has it, hence is forgotten with the image and the model.
 */
export class AutomaticPlanes {
  private readonly planes = new Map<number, PlaneResult>();
  private lastId = 0;

  /** @param defaults the model's own thresholds; else the general ones */
  constructor(
    private readonly context: Omit<SegmentContext, 'plane'>,
    private readonly defaults: AutomaticThresholds = {},
  ) {}

  /** Runs the network over the plane, or not at all if its answers are there already. */
  async run(state: SessionState, options: AutomaticOptions, task: AnnotatorTask): Promise<Segmentation> {
    const before = this.planes.get(state.plane);
    const result = await this.answers(state, options, task);
    // A run is a new start: what was dealt with in this plane comes back, unless the search only goes on.
    const dismissed = (state.dismissed ?? []).filter((id) => options.deeper || (!result.has(id) && !before?.has(id)));
    const fresh = { ...state, dismissed };
    return { ...this.result(fresh, result), ...this.leftOut(fresh, result), dismissed };
  }

  /** The network's answers of the plane, from before if they will do. */
  async found(state: SessionState, task: AnnotatorTask): Promise<AutomaticState> {
    return (await this.answers(state, {}, task)).found!;
  }

  private async answers(state: SessionState, options: AutomaticOptions, task: AnnotatorTask): Promise<PlaneResult> {
    const { plane } = state;
    const wanted = this.wanted(state.settings.automatic, options, this.planes.get(plane));
    const known = this.planes.get(plane);
    this.lastId = Math.max(this.lastId, maxId(state.layers.auto_segmentation));
    const before = options.deeper && known && sameGrid(known.run, wanted) ? known : undefined;
    const result =
      known && sameRun(known, wanted) ? known : new PlaneResult(plane, wanted, () => ++this.lastId, before);
    if (!result.found) {
      const show = throttled((found: AutomaticState) => {
        const objects = result.objects(found, this.thresholds(state.settings.automatic, found), NONE);
        task.onPartial?.({ layer: 'auto_segmentation', objects: [...othersOf(state), ...objects] });
      });
      const context = { ...this.context, plane };
      const { tiling } = this.context.embeddings;
      const first = tiling && task.view && tilesMeeting(tiling, task.view);
      const { thresholds } = state.settings.automatic;
      const run = { ...wanted, thresholds, first, signal: task.signal, onProgress: task.onProgress };
      if (before?.found?.mode === 'amg') {
        const showAmg = (amg: AmgState) => show({ mode: 'amg', amg });
        result.found = { mode: 'amg', amg: await deepenAmg(context, before.found.amg, { ...run, onPartial: showAmg }) };
      } else result.found = await initializeAutomatic(context, { ...run, onPartial: show });
      this.planes.set(plane, result);
    }
    return result;
  }

  /** The objects of the visible plane at the settings' thresholds; undefined where nothing was run. No network. */
  current(state: SessionState): Segmentation | undefined {
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
    };
  }

  /** Of the mode that was run, or is to be. */
  private thresholds(automatic: AutomaticSettings, found?: AutomaticState): ThresholdsInForce {
    const mode = found?.mode ?? this.mode(automatic);
    return thresholdsInForce(mode, automatic.thresholds, this.defaults, found && diameterOf(found));
  }

  /** For all planes, each of which goes by the size of its own objects where nothing is set. */
  volumeThresholds({ settings: { automatic } }: SessionState): AutomaticThresholds {
    const { thresholds } = automatic;
    if (this.mode(automatic) === 'amg') return thresholdsInForce('amg', thresholds, this.defaults);
    const { centerDistanceThreshold, boundaryDistanceThreshold } = thresholdsInForce('ais', thresholds, this.defaults);
    return { ...thresholds, centerDistanceThreshold, boundaryDistanceThreshold };
  }

  /** What was chosen for another model is not held against this one. */
  private mode({ mode }: AutomaticSettings): AutomaticMode {
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
      return { mode, pointsPerSide: 0, iouFloor: 0, stabilityFloor: 0, region, ...(mode === 'apg' && { seeds }) };
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
  private leftOut(state: SessionState, { found }: PlaneResult): Pick<Segmentation, 'notice'> {
    if (found?.mode !== 'apg') return {};
    const counts = Object.entries(rejectedPoints(found, this.thresholds(state.settings.automatic, found)));
    if (counts.length === 0) return {};
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    const reasons = counts.map(([reason, count]) => `${reason}: ${count}`).join(', ');
    return { notice: `${total} ${total === 1 ? 'point' : 'points'} of the maps gave no object (${reasons}).` };
  }

  private result(state: SessionState, plane: PlaneResult): Segmentation {
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

/** How much "search deeper" lowers the floors, besides asking at points between those asked before. */
const DEEPER = 0.2;
const NONE: ReadonlySet<number> = new Set();
const NOTHING: Readonly<Record<AutomaticMode, string>> = {
  ais: 'No object was found. Lower foreground, or raise the thresholds of centres and boundaries; or try another mode.',
  apg: 'No object was found. Lower predicted IoU, or try another mode.',
  amg: 'No object passes the thresholds. Lower predicted IoU or stability; for small or faint objects, search deeper.',
};

/** `seeds`: the thresholds that the prompts of apg were made with. */
type Run = NonNullable<AutomaticStatus['ran']> & { readonly seeds?: string };

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
  found?: AutomaticState;
  private readonly ids: Map<string, number>;
  private readonly records: Map<number, ObjectRecord>;

  /** @param before what this run goes on from: its objects keep their ids */
  constructor(
    private readonly plane: number,
    readonly run: Run,
    private readonly newId: () => number,
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
    const objects = generateAutomatic(found, thresholds, this.run.region);
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
