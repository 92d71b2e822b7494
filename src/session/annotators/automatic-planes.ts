import { SamError } from '../../errors.js';
import { tilesMeeting } from '../../ndimage/blocking.js';
import { generateLabels } from '../../segmentation/amg/generate.js';
import { AMG_OPTIONS, deepenAmg, defaultGrid, initializeAmg } from '../../segmentation/amg/initialize.js';
import { AMG_THRESHOLDS, type AmgState } from '../../segmentation/amg/state.js';
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
    return { ...this.result(fresh, result), dismissed };
  }

  /** The network's answers of the plane, from before if they will do. */
  async amg(state: SessionState, task: AnnotatorTask): Promise<AmgState> {
    return (await this.answers(state, {}, task)).amg!;
  }

  private async answers(state: SessionState, options: AutomaticOptions, task: AnnotatorTask): Promise<PlaneResult> {
    const { plane } = state;
    const wanted = this.wanted(state.settings.automatic, options, this.planes.get(plane));
    const known = this.planes.get(plane);
    this.lastId = Math.max(this.lastId, maxId(state.layers.auto_segmentation));
    const before = options.deeper && known?.run.pointsPerSide === wanted.pointsPerSide ? known : undefined;
    const result =
      known && sameRun(known, wanted) ? known : new PlaneResult(plane, wanted, () => ++this.lastId, before);
    if (!result.amg) {
      const show = throttled((amg: AmgState) => {
        const objects = result.objects(amg, this.thresholds(state.settings.automatic), NONE);
        task.onPartial?.({ layer: 'auto_segmentation', objects: [...othersOf(state), ...objects] });
      });
      const context = { ...this.context, plane };
      const { tiling } = this.context.embeddings;
      const first = tiling && task.view && tilesMeeting(tiling, task.view);
      const run = { ...wanted, first, signal: task.signal, onProgress: task.onProgress, onPartial: show };
      result.amg = before?.amg ? await deepenAmg(context, before.amg, run) : await initializeAmg(context, run);
      this.planes.set(plane, result);
    }
    return result;
  }

  /** The objects of the visible plane at the settings' thresholds; undefined where nothing was run. No network. */
  current(state: SessionState): Segmentation | undefined {
    const result = this.planes.get(state.plane);
    return result?.amg && this.result(state, result);
  }

  status(state: SessionState): AutomaticStatus {
    const known = this.planes.get(state.plane);
    return {
      thresholds: this.thresholds(state.settings.automatic),
      ...(known && { ran: known.run }),
    };
  }

  private thresholds({ thresholds }: AutomaticSettings): Required<AutomaticThresholds> {
    return { ...GENERAL, ...this.defaults, ...thresholds };
  }

  private wanted(
    automatic: AutomaticSettings,
    { region, deeper }: AutomaticOptions,
    known: PlaneResult | undefined,
  ): Run {
    const { predIouThresh, stabilityScoreThresh } = this.thresholds(automatic);
    const before = known?.run ?? AMG_OPTIONS;
    const lower = (floor: number, threshold: number) =>
      Math.max(0, Math.min(deeper ? floor - DEEPER : floor, threshold));
    return {
      pointsPerSide: automatic.pointsPerSide ?? defaultGrid(this.context.embeddings),
      iouFloor: lower(before.iouFloor, predIouThresh),
      stabilityFloor: lower(before.stabilityFloor, stabilityScoreThresh),
      region: deeper ? known?.run.region : region,
    };
  }

  private result(state: SessionState, plane: PlaneResult): Segmentation {
    if (!plane.amg) throw new SamError('internal', 'The automatic segmentation of this plane is not finished.');
    const dismissed = new Set(state.dismissed);
    const objects = plane.objects(plane.amg, this.thresholds(state.settings.automatic), dismissed);
    const found = objects.length > 0 ? '' : NOTHING;
    return {
      layer: 'auto_segmentation',
      objects: [...othersOf(state), ...objects],
      ...(found && { notice: found }),
    };
  }
}

/** How much "search deeper" lowers the floors, besides asking at points between those asked before. */
const DEEPER = 0.2;
const NONE: ReadonlySet<number> = new Set();
const NOTHING =
  'No object passes the thresholds. Lower predicted IoU or stability; for small or faint objects, search deeper.';

const GENERAL: Required<AutomaticThresholds> = {
  predIouThresh: AMG_THRESHOLDS.predIouThresh,
  stabilityScoreThresh: AMG_THRESHOLDS.stabilityScoreThresh,
  boxNmsThresh: AMG_THRESHOLDS.boxNmsThresh,
  minObjectSize: AMG_THRESHOLDS.minObjectSize,
  maxObjectSize: AMG_THRESHOLDS.maxObjectSize,
};

type Run = NonNullable<AutomaticStatus['ran']>;

/** Automatic objects of other planes, which stay; of one that goes through several, the rest. */
function othersOf({ plane, layers }: SessionState): ObjectRecord[] {
  return [...layers.auto_segmentation.objects.values()].flatMap((record) => {
    if (!record.masks.has(plane)) return record;
    return withMasks(record, new Map([...record.masks].filter(([other]) => other !== plane))) ?? [];
  });
}

function sameRun({ run }: PlaneResult, wanted: Run): boolean {
  return (
    run.pointsPerSide === wanted.pointsPerSide &&
    run.iouFloor <= wanted.iouFloor &&
    run.stabilityFloor <= wanted.stabilityFloor &&
    String(run.region) === String(wanted.region)
  );
}

/** What was found in one plane, and the ids that its objects have been given. */
class PlaneResult {
  amg?: AmgState;
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
    amg: AmgState,
    thresholds: Required<AutomaticThresholds>,
    dismissed: ReadonlySet<number>,
  ): readonly ObjectRecord[] {
    const seen = new Map<string, number>();
    return generateLabels(amg, thresholds).objects.flatMap(({ mask, predictedIou, stability, point }) => {
      // A mask is known by its prompt and its scores; its pieces, where it falls apart, by their order.
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
function throttled<T>(show: (value: T) => void): (value: T) => void {
  let next = 0;
  return (value) => {
    const start = performance.now();
    if (start < next) return;
    show(value);
    const end = performance.now();
    next = end + Math.max(400, 5 * (end - start));
  };
}
