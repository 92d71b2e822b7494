import { encodePlane } from '../../embeddings/encode-plane.js';
import { SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import { tileAt } from '../../ndimage/blocking.js';
import type { Mask } from '../../ndimage/mask.js';
import { refineMask } from '../../segmentation/correct-mask.js';
import type { Prompt } from '../../segmentation/prompts.js';
import { type ScoredMask, scoredMask } from '../../segmentation/scored-mask.js';
import { type SegmentedObject, type SegmentedPrompts, segmentPrompts } from '../../segmentation/segment-prompts.js';
import { type SuccessiveStart, segmentSuccessively } from '../../segmentation/successive-prompts.js';
import type { TaskOptions } from '../../task.js';
import {
  type Annotator,
  type AnnotatorTask,
  type AutomaticEstimate,
  type AutomaticOptions,
  type AutomaticStatus,
  type LayerContent,
  promptsOfPlane,
} from '../annotator.js';
import { sameStart } from '../edits/prompt-rules.js';
import type { AutomaticThresholds, CandidateChoice, ObjectRecord, SessionState } from '../state.js';
import { type AnnotatorContext, AutomaticPlanes } from './automatic-planes.js';

/**
 * Annotates single planes. A point that is added to a mask corrects that mask, wherever it came from: from earlier
 * prompts, another of the offered masks, the brush, automatic segmentation, a file, or a neighbouring plane
 * (segmentation/correct-mask.ts). When prompts are moved or removed, the mask is made anew from all of them, beginning with
 * the mask that the first of them corrected, if there was one.
 */
export class Annotator2d implements Annotator {
  readonly kind = '2d';
  /** Masks to choose from that are rough: what makes them exact. */
  private readonly rough = new WeakMap<Mask, (task: TaskOptions) => Promise<ScoredMask>>();
  /** What was last previewed: a click where the pointer rested asks the very same, and need not wait. */
  private previewed?: { readonly at: YX; readonly plane: number; readonly found: Promise<SegmentedPrompts> };

  readonly automaticPlanes: AutomaticPlanes;

  /** @param thresholds of automatic segmentation, as the model recommends them */
  constructor(
    private readonly context: AnnotatorContext,
    thresholds: AutomaticThresholds = {},
  ) {
    this.automaticPlanes = new AutomaticPlanes(context, thresholds);
  }

  automatic(state: SessionState, task: AnnotatorTask, options: AutomaticOptions = {}): Promise<LayerContent> {
    if (state.settings.applyToVolume) return this.automaticPlanes.runAll(state, task);
    return this.automaticPlanes.run(state, options, task);
  }

  automaticNow(state: SessionState): LayerContent | undefined {
    return state.settings.applyToVolume ? undefined : this.automaticPlanes.current(state);
  }

  automaticStatus(state: SessionState): AutomaticStatus {
    return this.automaticPlanes.status(state);
  }

  async automaticSoFar(state: SessionState): Promise<LayerContent | undefined> {
    return state.settings.applyToVolume ? this.automaticPlanes.allSoFar(state) : this.automaticPlanes.soFar(state);
  }

  automaticEstimate(state: SessionState, options?: AutomaticOptions): Promise<AutomaticEstimate | undefined> {
    const { applyToVolume } = state.settings;
    const planes = applyToVolume ? [...Array(state.image?.planes ?? 1).keys()] : [state.plane];
    return this.automaticPlanes.estimate(state, planes, options);
  }

  async prepare(plane: number, task: TaskOptions): Promise<void> {
    const { embeddings } = this.context;
    await encodePlane(embeddings, plane, task);
    if (embeddings.tiling) return;
    // The first prompt for an image takes several times as long as the next, so it is not the user's.
    const centre: YX = [embeddings.size[0] / 2, embeddings.size[1] / 2];
    void this.preview(centre, plane).catch(() => undefined); // told to whoever clicks
  }

  /** @param work if not all prompts of the visible plane, and the object there is */
  async segment(state: SessionState, task: TaskOptions, work = inPlane(state)): Promise<LayerContent> {
    const { plane, prompts, batched } = work;
    const context = { ...this.context, plane };
    const severalObjects = batched || prompts.filter(({ kind }) => kind !== 'point').length > 1;
    if (severalObjects || prompts.length === 0) {
      return this.toContent(await segmentPrompts(context, prompts, { ...task, batched }), plane);
    }
    const start = startOf(work);
    const found =
      (start.mask || start.neighbour ? undefined : await this.fromPreview(prompts, task)) ??
      (await segmentSuccessively(context, prompts, start, task));
    const objects = found.objects.map((object) => ({ ...object, prompts }));
    return this.toContent({ ...found, objects }, plane, start.corrected);
  }

  async refine(state: SessionState, task: TaskOptions, work = inPlane(state)): Promise<LayerContent> {
    const { plane, prompts, record } = work;
    const mask = record?.masks.get(plane);
    if (!record || !mask) return this.segment(state, task, work);
    const points = prompts.filter((prompt) => prompt.kind === 'point');
    const refined = await refineMask({ ...this.context, plane }, mask, points, task);
    const object = { id: record.id, prompts, ...refined };
    return this.toContent({ objects: [object], notices: [] }, plane, record.corrected);
  }

  async preview(at: YX, plane: number): Promise<Mask | undefined> {
    const { embeddings } = this.context;
    const { tiling } = embeddings;
    if (tiling && (await embeddings.isReady?.({ plane, tile: tileAt(tiling, at) })) === false) return undefined;
    const point = { kind: 'point', id: 'preview', plane, at, positive: true } as const;
    const found = this.previewOf([point]) ?? segmentPrompts({ ...this.context, plane }, [point]);
    this.previewed = { at, plane, found };
    try {
      const { objects } = await found;
      return objects[0]?.mask;
    } catch (error) {
      if (this.previewed?.found === found) this.previewed = undefined;
      throw error;
    }
  }

  exactCandidate(mask: Mask): ((task: TaskOptions) => Promise<ScoredMask>) | undefined {
    return this.rough.get(mask);
  }

  private toContent(
    { objects, notices }: SegmentedPrompts,
    plane: number,
    corrected?: ObjectRecord['corrected'],
  ): LayerContent {
    const [only, ...more] = objects;
    const candidates = only && more.length === 0 ? this.candidatesOf(only, plane) : undefined;
    return {
      layer: 'current_object',
      objects: objects.map(({ id, mask, prompts, predictedIou, stability }) => ({
        id,
        masks: new Map([[plane, mask]]),
        prompts,
        origin: 'interactive',
        predictedIou,
        stability,
        ...(corrected && { corrected }),
      })),
      ...(candidates && { candidates }),
      ...(notices.length > 0 && { notice: notices.join(' ') }),
    };
  }

  /** The preview under way or done, if these prompts ask the same. */
  private previewOf([prompt, ...others]: readonly Prompt[]): Promise<SegmentedPrompts> | undefined {
    if (prompt?.kind !== 'point' || !prompt.positive || others.length > 0 || !this.previewed) return undefined;
    const { at, plane, found } = this.previewed;
    return prompt.plane === plane && prompt.at[0] === at[0] && prompt.at[1] === at[1] ? found : undefined;
  }

  private async fromPreview(
    prompts: readonly Prompt[],
    { signal }: TaskOptions,
  ): Promise<SegmentedPrompts | undefined> {
    // One that fails is asked again, so that its error is told.
    const found = await this.previewOf(prompts)?.catch(() => undefined);
    signal?.throwIfAborted();
    return found;
  }

  private candidatesOf(object: SegmentedObject, plane: number): CandidateChoice | undefined {
    const found = (object.candidates ?? []).filter(({ mask }) => mask.area > 0);
    const [best, ...others] = found;
    if (best === undefined || others.length === 0) return undefined;
    found.sort((a, b) => a.mask.area - b.mask.area);
    for (const { mask, rough, token } of found)
      if (rough) this.rough.set(mask, (task) => this.decodeExactly(object.prompts, plane, token, task));
    return {
      objectId: object.id,
      plane,
      chosen: found.indexOf(best),
      masks: found.map(scoredMask),
    };
  }

  private async decodeExactly(
    prompts: readonly Prompt[],
    plane: number,
    token: number,
    { signal }: TaskOptions,
  ): Promise<ScoredMask> {
    const options = { signal, exactLogits: true };
    const { objects } = await segmentPrompts({ ...this.context, plane }, prompts, options);
    const exact = objects[0]?.candidates?.find((candidate) => candidate.token === token);
    if (!exact) throw new SamError('not_found', 'The model does not offer this mask again; segment the object anew.');
    return scoredMask(exact);
  }
}

/** What is segmented in a plane: from which prompts, and as a part of which object, if it is of one that has masks already. */
export interface PlaneWork {
  readonly plane: number;
  readonly prompts: readonly Prompt[];
  /** Each prompt is an object of its own. */
  readonly batched: boolean;
  readonly record: ObjectRecord | undefined;
}

function inPlane(state: SessionState): PlaneWork {
  const records = [...state.layers.current_object.objects.values()];
  return {
    plane: state.plane,
    prompts: promptsOfPlane(state),
    batched: state.settings.batched,
    record: records.length === 1 ? records[0] : undefined,
  };
}

interface Start extends SuccessiveStart {
  readonly corrected?: ObjectRecord['corrected'];
}

/**
 * Which mask the prompts of the visible plane correct, if any, and how many of the points are in it already. A mask prompt
 * beside an object without prompts is that object's own mask (`pickObject`).
 */
function startOf({ plane, prompts, record }: PlaneWork): Start {
  if (!record) return {};
  const { corrected } = record;
  const mask = record.masks.get(plane);
  const used = record.prompts.filter((prompt) => prompt.plane === plane);
  const goesOn = used.length < prompts.length && sameStart(used, prompts);
  const adds = prompts
    .slice(used.length)
    .every(({ kind }) => kind === 'point' || (kind === 'mask' && used.length === 0));
  if (mask && goesOn && adds) {
    const before = { mask, projected: record.projected?.has(plane) ?? false };
    return {
      mask,
      used: used.filter(({ kind }) => kind === 'point').length,
      corrected: used.length === 0 ? new Map(corrected).set(plane, before) : corrected,
    };
  }
  const before = corrected?.get(plane)?.mask;
  return { ...(before ? { mask: before } : !mask && { neighbour: nearestMask(record, plane) }), corrected };
}

function nearestMask({ masks }: ObjectRecord, plane: number): Mask | undefined {
  const away = ([other]: readonly [number, Mask]) => Math.abs(other - plane);
  return [...masks].sort((a, b) => away(a) - away(b))[0]?.[1];
}
