import type { EmbeddingSource } from '../../embeddings/embedding-source.js';
import { SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { EMPTY_MASK } from '../../ndimage/rle.js';
import { isNearEdge } from '../../segmentation/correct-mask.js';
import type { Prompt } from '../../segmentation/prompts.js';
import type { ScoredMask } from '../../segmentation/scored-mask.js';
import {
  type AnnotatedPlanes,
  annotatedPlanes,
  isStopMarker,
  type PlaneSegmenter,
} from '../../segmentation/volume/annotated-slices.js';
import type { ProjectOptions } from '../../segmentation/volume/options.js';
import type { SliceSegmenter } from '../../segmentation/volume/projection.js';
import { rememberingSegmenter } from '../../segmentation/volume/remember.js';
import { sliceSegmenter } from '../../segmentation/volume/slice-segmenter.js';
import type { TaskOptions } from '../../task.js';
import {
  type Annotator,
  type AnnotatorTask,
  type AutomaticEstimate,
  type AutomaticOptions,
  type AutomaticStatus,
  type LayerContent,
  promptsOfPlane,
  trackOfPrompt,
} from '../annotator.js';
import { sameStart } from '../edits/prompt-rules.js';
import { annotatedMask, withMasks } from '../layers.js';
import type { AutomaticThresholds, ObjectRecord, SessionSettings, SessionState } from '../state.js';
import { Annotator2d, type PlaneWork } from './annotator-2d.js';
import type { AnnotatorContext } from './automatic-planes.js';
import { AutomaticVolume } from './automatic-volume.js';

/**
 * What annotating volumes and time series have in common: one object is worked on at a time, its planes are segmented
 * one by one as in 2D, and all other planes and objects stay as they are. Subclasses say which object that is and how it
 * gets from plane to plane.
 */
export interface StackContext extends AnnotatorContext {
  readonly embeddings: EmbeddingSource & { prefetch?(places: readonly { readonly plane: number }[]): void };
}

export abstract class StackAnnotator implements Annotator {
  abstract readonly kind: '3d' | 'tracking';
  /** From plane to plane; what did not change since the last time costs nothing. */
  protected readonly segmentSlice: SliceSegmenter;
  private readonly flat: Annotator2d;
  private readonly volume: AutomaticVolume;
  private waiting?: ReturnType<typeof setTimeout>;

  /**
   * @param planes number of slices or frames
   * @param thresholds of automatic segmentation, as the model recommends them
   */
  constructor(
    protected readonly context: StackContext,
    protected readonly planes: number,
    thresholds: AutomaticThresholds = {},
  ) {
    this.flat = new Annotator2d(context, thresholds);
    this.segmentSlice = rememberingSegmenter(sliceSegmenter(context));
    this.volume = new AutomaticVolume(this.flat.automaticPlanes, context, planes, this.segmentSlice);
  }

  /** How the object is followed from plane to plane: what was chosen, else what the model wants. */
  protected following({ projection, iouThreshold, boxExtension }: SessionSettings): Partial<ProjectOptions> {
    const { following } = this.context;
    const by = projection === 'auto' ? { ...following } : { projection, scoreDrop: following?.scoreDrop };
    return { ...by, iouThreshold, boxExtension };
  }

  /** Id of the object that is worked on. */
  protected abstract objectId(state: SessionState): number;
  abstract segmentAll(state: SessionState, task: AnnotatorTask): Promise<LayerContent>;

  async prepare(plane: number, task: TaskOptions): Promise<void> {
    await this.flat.prepare(plane, task);
    this.prefetch(plane);
  }

  /** The plane and its neighbours, once it has been looked at for a moment: scrolling past encodes nothing. */
  prefetch(plane: number): void {
    const { embeddings } = this.context;
    clearTimeout(this.waiting);
    if (embeddings.tiling || !embeddings.prefetch) return;
    const places = [plane, plane + 1, plane - 1, plane + 2].filter((p) => p >= 0 && p < this.planes);
    this.waiting = setTimeout(() => embeddings.prefetch?.(places.map((p) => ({ plane: p }))), SETTLE_MS);
  }

  preview(at: YX, plane: number): Promise<Mask | undefined> {
    return this.flat.preview(at, plane);
  }

  exactCandidate(mask: Mask): ((task: TaskOptions) => Promise<ScoredMask>) | undefined {
    return this.flat.exactCandidate(mask);
  }

  automatic(state: SessionState, task: AnnotatorTask, options: AutomaticOptions = {}): Promise<LayerContent> {
    if (!state.settings.applyToVolume) return this.flat.automatic(state, task, options);
    return this.volume.run(state, task);
  }

  /** Of single planes; a volume is merged anew by running it again, which needs no network either. */
  automaticNow(state: SessionState): LayerContent | undefined {
    return state.settings.applyToVolume ? undefined : this.flat.automaticNow(state);
  }

  automaticStatus(state: SessionState): AutomaticStatus {
    return { ...this.flat.automaticStatus(state), volume: this.volume.status(state) };
  }

  automaticSoFar(state: SessionState): Promise<LayerContent | undefined> {
    return state.settings.applyToVolume ? this.volume.soFar(state) : this.flat.automaticSoFar(state);
  }

  automaticEstimate(state: SessionState, options?: AutomaticOptions): Promise<AutomaticEstimate | undefined> {
    if (!state.settings.applyToVolume) return this.flat.automaticEstimate(state, options);
    return this.volume.estimate(state);
  }

  async close(): Promise<void> {
    clearTimeout(this.waiting);
  }

  async segment(state: SessionState, task: TaskOptions): Promise<LayerContent> {
    const prompts = promptsOfPlane(state);
    if (isStopMarker(prompts) && !this.cuts(state, prompts)) return this.withoutPlane(state, this.stopNotice(state));
    return this.segmentPlane(state, task);
  }

  refine(state: SessionState, task: TaskOptions): Promise<LayerContent> {
    return this.inPlane(state, (work) => this.flat.refine(state, task, work));
  }

  /** The visible plane from its prompts, or from those of another plane of the same object. */
  protected segmentPlane(state: SessionState, task: TaskOptions): Promise<LayerContent> {
    return this.inPlane(state, (work) => this.flat.segment(state, task, work));
  }

  /** For planes whose prompts have changed since they were segmented. */
  protected planeSegmenter(state: SessionState): PlaneSegmenter {
    return async (plane, _, { signal }) => {
      const { objects } = await this.segmentPlane({ ...state, plane }, { signal });
      return objects.find(({ id }) => id === this.objectId(state))?.masks.get(plane) ?? EMPTY_MASK;
    };
  }

  /**
   * Negative points alone say that the object is not in their plane, unless the first of them lies near the edge of the
   * mask that is there: that cuts off a part.
   */
  private cuts(state: SessionState, prompts: readonly Prompt[]): boolean {
    const { corrected, masks } = this.recordOf(state);
    const mask = corrected?.get(state.plane)?.mask ?? masks.get(state.plane);
    const first = prompts.find((prompt) => prompt.kind === 'point');
    return mask !== undefined && first !== undefined && isNearEdge(mask, first.at);
  }

  private stopNotice(state: SessionState): string {
    const { plane } = state;
    const marked = [...this.annotatedMasks(state).keys()];
    const between = marked.some((other) => other < plane) && marked.some((other) => other > plane);
    return between
      ? `Plane ${plane + 1} lies between planes where the object was marked: it will be filled from them. A negative point alone stops it beyond those only.`
      : `The object is not in plane ${plane + 1}: a negative point alone stops it there.`;
  }

  /** The prompts of the object that is worked on, in all planes. */
  protected promptsOf(state: SessionState): readonly Prompt[] {
    const id = this.objectId(state);
    return state.prompts.filter((prompt) => trackOfPrompt(prompt) === id);
  }

  protected recordOf(state: SessionState): ObjectRecord {
    const id = this.objectId(state);
    const known = state.layers.current_object.objects.get(id);
    return known ?? { id, masks: new Map(), prompts: [], origin: 'interactive' };
  }

  /** The layer with one record replaced; dropped if nothing of it is left. */
  protected withRecord(state: SessionState, record: ObjectRecord): LayerContent {
    const others = [...state.layers.current_object.objects.values()].filter(({ id }) => id !== record.id);
    return { layer: 'current_object', objects: [...others, ...(withMasks(record, record.masks) ? [record] : [])] };
  }

  /**
   * What following the object through the stack begins with: its annotated planes, segmented where that is still to be done.
   *
   * @param leftOut planes that say where the object ends, and nothing of what it looks like
   */
  protected async annotated(
    state: SessionState,
    { signal, onProgress, onPartial }: AnnotatorTask,
    leftOut: ReadonlySet<number> = new Set(),
  ): Promise<AnnotatedObject> {
    const own = this.recordOf(state);
    const prompts = this.promptsOf(state);
    const known = [...this.annotatedMasks(state)].filter(([plane]) => !leftOut.has(plane));
    const slices = await annotatedPlanes(
      prompts.filter(({ plane }) => !leftOut.has(plane)),
      this.planeSegmenter(state),
      new Map(known),
      { signal, onProgress },
    );
    const soFar = new Map([...own.masks, ...slices.masks]);
    return {
      own,
      prompts,
      slices,
      onPlane: (plane, mask) => {
        soFar.set(plane, mask);
        onPartial?.(this.withRecord(state, { ...own, prompts, masks: new Map(soFar) }));
      },
      followed: (masks) => {
        const projected = new Set([...masks.keys()].filter((plane) => !slices.masks.has(plane)));
        return { ...own, prompts, masks, projected };
      },
    };
  }

  /** The object without the visible plane. */
  protected withoutPlane(state: SessionState, notice: string): LayerContent {
    const record = this.recordOf(state);
    const changed = annotatedMask(record, state.plane, EMPTY_MASK);
    const corrected = correctedFrom(record, state.plane);
    const prompts = this.promptsUsed(state, record);
    return { ...this.withRecord(state, { ...record, ...changed, prompts, ...(corrected && { corrected }) }), notice };
  }

  /**
   * Masks that count as annotated: painted, loaded, or segmented from the prompts their plane has now. Others are
   * projected, or their prompts have changed since.
   */
  protected annotatedMasks(state: SessionState): Map<number, Mask> {
    const record = this.recordOf(state);
    const now = byPlane(this.promptsOf(state));
    const before = byPlane(record.prompts);
    const unchanged = (plane: number) => {
      const [a, b] = [now.get(plane) ?? [], before.get(plane) ?? []];
      return a.length === 0 || (a.length === b.length && sameStart(a, b));
    };
    return new Map([...record.masks].filter(([plane]) => !record.projected?.has(plane) && unchanged(plane)));
  }

  private async inPlane(state: SessionState, run: (work: PlaneWork) => Promise<LayerContent>): Promise<LayerContent> {
    const { plane } = state;
    const prompts = promptsOfPlane(state);
    const shapes = prompts.filter(({ kind }) => kind !== 'point').length;
    if (shapes > 1)
      throw new SamError(
        'invalid_prompt',
        `Plane ${state.plane + 1} has ${shapes} boxes; one object at a time is followed. Keep one of them.`,
      );
    const record = this.recordOf(state);
    const known = record.masks.size > 0 ? record : undefined;
    const { objects, candidates, notice } = await run({ plane, prompts, batched: false, record: known });
    const [found] = objects;
    const before = found?.corrected?.has(state.plane) ? correctedFrom(record, state.plane) : record.corrected;
    const changed: ObjectRecord = {
      ...record,
      ...(before && { corrected: before }),
      ...(found && { predictedIou: found.predictedIou, stability: found.stability }),
      ...annotatedMask(record, state.plane, found?.masks.get(state.plane) ?? EMPTY_MASK),
      prompts: this.promptsUsed(state, record),
    };
    return {
      ...this.withRecord(state, changed),
      ...(candidates && { candidates: { ...candidates, objectId: record.id } }),
      ...(notice && { notice }),
    };
  }

  /** What the record was made from once the visible plane is segmented anew. */
  private promptsUsed(state: SessionState, record: ObjectRecord): readonly Prompt[] {
    return [...record.prompts.filter(({ plane }) => plane !== state.plane), ...promptsOfPlane(state)];
  }
}

interface AnnotatedObject {
  /** As it was. */
  readonly own: ObjectRecord;
  /** Its own, in all planes. */
  readonly prompts: readonly Prompt[];
  readonly slices: AnnotatedPlanes;
  /** Shows the mask of a plane that was reached. */
  onPlane(plane: number, mask: Mask): void;
  /** The object with the masks of all planes that were reached. */
  followed(masks: ReadonlyMap<number, Mask>): ObjectRecord;
}

/** The record's `corrected`, with the mask of the plane if no prompts of that plane have changed it yet. */
function correctedFrom(record: ObjectRecord, plane: number): ObjectRecord['corrected'] {
  const { corrected, masks, projected, prompts } = record;
  const mask = masks.get(plane);
  if (!mask || corrected?.has(plane) || prompts.some((prompt) => prompt.plane === plane)) return corrected;
  return new Map(corrected).set(plane, { mask, projected: projected?.has(plane) ?? false });
}

/** Time that a plane must stay visible before its neighbours are encoded. */
const SETTLE_MS = 150;

function byPlane(prompts: readonly Prompt[]): Map<number, Prompt[]> {
  const planes = new Map<number, Prompt[]>();
  for (const prompt of prompts) planes.set(prompt.plane, [...(planes.get(prompt.plane) ?? []), prompt]);
  return planes;
}
