import { SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import { tileAt } from '../../ndimage/blocking.js';
import type { Mask } from '../../ndimage/mask.js';
import type { EmbeddingSource, SegmentContext } from '../../segmentation/context.js';
import type { MaskCandidate } from '../../segmentation/from-prompts.js';
import type { LowResLogits } from '../../segmentation/image-prompt.js';
import type { Prompt } from '../../segmentation/prompts.js';
import { type SegmentedObject, type SegmentedPrompts, segmentPrompts } from '../../segmentation/segment-prompts.js';
import type { TaskOptions } from '../../task.js';
import {
  type Annotator,
  type AnnotatorTask,
  type AutomaticOptions,
  type AutomaticStatus,
  promptsOfPlane,
  type Segmentation,
} from '../annotator.js';
import type { AutomaticThresholds, CandidateMask, Candidates, ObjectRecord, SessionState } from '../state.js';
import { AutomaticPlanes } from './automatic-planes.js';

/**
 * Annotates single planes. A click after another mask than the best was chosen goes on from the chosen one: its logits
 * go to the model with the prompts; otherwise each run starts from the prompts alone, as in micro-sam.
 */
export class Annotator2d implements Annotator {
  readonly kind = '2d';
  /** Logits of masks that are or were shown, for going on from them; gone with the mask, and not saved. */
  private readonly logits = new WeakMap<Mask, LowResLogits>();
  /** Masks that nobody chose: of those to choose from the one that came as the best. */
  private readonly offeredFirst = new WeakSet<Mask>();
  /** Masks to choose from that are rough: what makes them exact. */
  private readonly rough = new WeakMap<Mask, (task: TaskOptions) => Promise<CandidateMask>>();
  /** What was last previewed: a click where the pointer rested asks the very same, and need not wait. */
  private previewed?: { readonly at: YX; readonly plane: number; readonly found: Promise<SegmentedPrompts> };

  readonly automaticPlanes: AutomaticPlanes;

  /** @param thresholds of automatic segmentation, as the model recommends them */
  constructor(
    private readonly context: Omit<SegmentContext, 'plane'>,
    thresholds: AutomaticThresholds = {},
  ) {
    this.automaticPlanes = new AutomaticPlanes(context, thresholds);
  }

  automatic(state: SessionState, task: AnnotatorTask, options: AutomaticOptions = {}): Promise<Segmentation> {
    return this.automaticPlanes.run(state, options, task);
  }

  automaticNow(state: SessionState): Segmentation | undefined {
    return this.automaticPlanes.current(state);
  }

  automaticStatus(state: SessionState): AutomaticStatus {
    return this.automaticPlanes.status(state);
  }

  async prepare(plane: number, task: TaskOptions): Promise<void> {
    const { embeddings } = this.context;
    await encodePlane(embeddings, plane, task);
    if (embeddings.tiling) return;
    // The first prompt for an image takes several times as long as the next, so it is not the user's.
    const centre: YX = [embeddings.size[0] / 2, embeddings.size[1] / 2];
    void this.preview(centre, plane).catch(() => undefined); // told to whoever clicks
  }

  async segment(state: SessionState, task: TaskOptions): Promise<Segmentation> {
    const mask = state.candidates?.masks[state.candidates.chosen].mask;
    return this.run(state, task, mask && !this.offeredFirst.has(mask) ? this.logitsInUse(state) : undefined);
  }

  async refine(state: SessionState, task: TaskOptions): Promise<Segmentation> {
    return this.run(state, task, this.logitsInUse(state));
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

  exactCandidate(mask: Mask): ((task: TaskOptions) => Promise<CandidateMask>) | undefined {
    return this.rough.get(mask);
  }

  private async run(state: SessionState, task: TaskOptions, previous?: LowResLogits): Promise<Segmentation> {
    const { plane } = state;
    const prompts = promptsOfPlane(state);
    const { objects, notices } =
      (previous ? undefined : await this.fromPreview(prompts, task)) ??
      (await segmentPrompts({ ...this.context, plane }, prompts, {
        ...task,
        batched: state.settings.batched,
        previous,
      }));
    for (const { mask, logits } of objects) if (logits) this.logits.set(mask, logits);
    const candidates = objects.length === 1 && !previous ? this.candidatesOf(objects[0], plane) : undefined;
    return {
      layer: 'current_object',
      objects: objects.map((object) => recordOf(object, plane)),
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
    return found && { ...found, objects: found.objects.map((object) => ({ ...object, prompts })) };
  }

  private candidatesOf(object: SegmentedObject, plane: number): Candidates | undefined {
    const found = (object.candidates ?? []).filter(({ mask }) => mask.area > 0);
    if (found.length < 2) return undefined;
    const best = found[0];
    this.offeredFirst.add(best.mask);
    found.sort((a, b) => a.mask.area - b.mask.area);
    for (const { mask, lowRes, rough, token } of found) {
      this.logits.set(mask, lowRes);
      if (rough) this.rough.set(mask, (task) => this.decodeExactly(object.prompts, plane, token, task));
    }
    return {
      objectId: object.id,
      plane,
      chosen: found.indexOf(best),
      masks: found.map(candidateMask),
    };
  }

  private async decodeExactly(
    prompts: readonly Prompt[],
    plane: number,
    token: number,
    { signal }: TaskOptions,
  ): Promise<CandidateMask> {
    const options = { signal, exactLogits: true };
    const { objects } = await segmentPrompts({ ...this.context, plane }, prompts, options);
    const exact = objects[0]?.candidates?.find((candidate) => candidate.token === token);
    if (!exact) throw new SamError('not_found', 'The model does not offer this mask again; segment the object anew.');
    this.logits.set(exact.mask, exact.lowRes);
    return candidateMask(exact);
  }

  private logitsInUse(state: SessionState): LowResLogits | undefined {
    const records = [...state.layers.current_object.objects.values()];
    const mask = records.length === 1 ? records[0].masks.get(state.plane) : undefined;
    return mask && this.logits.get(mask);
  }
}

/** Makes what the first prompt in a plane needs: of a large image nothing, since a tile is encoded when somebody prompts in it. */
export async function encodePlane(embeddings: EmbeddingSource, plane: number, task: TaskOptions): Promise<void> {
  const { tiling } = embeddings;
  if (!tiling) {
    await embeddings.embedding({ plane }, task);
    return;
  }
  const total = tiling.tiles.length;
  if (total > TILES_AHEAD) return;
  for (let tile = 0; tile < total; tile++) {
    task.onProgress?.({ done: tile, total, message: `Encoding tile ${tile + 1} of ${total}` });
    await embeddings.embedding({ plane, tile }, { signal: task.signal });
  }
}

/** About 4000 x 4000 pixels; on a slow machine half a minute. */
const TILES_AHEAD = 16;

function candidateMask({ mask, iou, stability }: MaskCandidate): CandidateMask {
  return { mask, predictedIou: iou, stability };
}

function recordOf({ id, mask, prompts, predictedIou, stability }: SegmentedObject, plane: number): ObjectRecord {
  return { id, masks: new Map([[plane, mask]]), prompts, origin: 'interactive', predictedIou, stability };
}
