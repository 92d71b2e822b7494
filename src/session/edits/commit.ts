import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import type { Mask } from '../../ndimage/mask.js';
import { intersectionArea, subtractMasks } from '../../ndimage/mask-sets.js';
import { annotatorKind } from '../annotator.js';
import { areaOf, EMPTY_LAYER, layerOf, maxId, withMasks } from '../layers.js';
import type { Lineage, ObjectLayer, ObjectRecord, SessionSettings, SessionState } from '../state.js';
import { prunedLineages } from './tracking.js';

/**
 * From a finished object to a committed one. Committed objects never overlap: the layer is a label image. What happens
 * where the new segmentation meets committed objects is the preserve mode's business, in the meaning that micro-sam's
 * `_commit_impl` (1.8) intends:
 *
 * - `objects`: a new object that hides at least `preservationThreshold` of a committed one, and more of it than any
 *   other new object does, is left out entirely; all other new objects overwrite what they cover.
 * - `pixels`: committed pixels stay; new objects get the rest.
 * - `none`: new objects overwrite.
 *
 * New ids start after the highest committed id. Everything shown is committed, in every plane.
 */
export interface CommitOptions {
  readonly layer?: 'current_object' | 'auto_segmentation';
  readonly preserveMode?: SessionSettings['preserveMode'];
  /** 0..1 */
  readonly preservationThreshold?: number;
}

/** What a commit would do; `applyCommit` does it. */
export interface CommitPlan {
  readonly layer: 'current_object' | 'auto_segmentation';
  /** The committed layer afterwards. */
  readonly committed: ObjectLayer;
  /** What stays behind in the source layer: objects that were left out and would otherwise be lost. */
  readonly left: ObjectLayer;
  /** Committed ids of the objects that go in. */
  readonly added: readonly number[];
  readonly dropped: readonly DroppedObject[];
  readonly overwritten: readonly OverwrittenObject[];
  readonly lineages?: readonly Lineage[];
}

/** An object of the source layer that is not committed. */
export interface DroppedObject {
  readonly id: number;
  /** The committed object that is kept instead; absent if nothing of the new object was left. */
  readonly keeps?: number;
  /** Which part of the kept object it would have hidden. */
  readonly fraction?: number;
}

/** A committed object that loses pixels. */
export interface OverwrittenObject {
  readonly id: number;
  readonly pixels: number;
  readonly fraction: number;
  /** Nothing of it would be left. */
  readonly removed: boolean;
}

export function planCommit(state: SessionState, options: CommitOptions = {}): CommitPlan {
  const layer = options.layer ?? 'current_object';
  const mode = options.preserveMode ?? state.settings.preserveMode;
  const threshold = options.preservationThreshold ?? state.settings.preservationThreshold;
  const source = state.layers[layer];
  if (source.objects.size === 0) {
    const how =
      layer === 'current_object' ? 'Segment an object first: click it.' : 'Run the automatic segmentation first.';
    throw new SamError('no_prompts', `There is nothing to commit. ${how}`);
  }
  if (!(threshold >= 0 && threshold <= 1))
    throw new SamError('invalid_argument', `The preservation threshold is ${threshold}; it must be between 0 and 1.`);

  const editing = layer === 'current_object' ? state.editing : undefined;
  const committed = new Map(state.layers.committed_objects.objects);
  if (editing !== undefined) committed.delete(editing);

  const candidates = withoutOverlap([...source.objects.values()]);
  const refused = mode === 'objects' ? refuse(candidates, [...committed.values()], threshold) : [];
  const refusedIds = new Set(refused.map((drop) => drop.id));
  const dropped: DroppedObject[] = [...refused];

  const offset = maxId(state.layers.committed_objects);
  const first = itemAt(candidates, 0).id;
  const accepted: ObjectRecord[] = [];
  /** Ids in the source layer → committed ids. */
  const sources = new Map<number, number>();
  for (const record of candidates) {
    if (refusedIds.has(record.id)) continue;
    const rest = mode === 'pixels' ? subtractAll(record, committed.values()) : record;
    if (!rest) {
      dropped.push({ id: record.id });
      continue;
    }
    // What an automatic object is called means nothing to anyone, so that its number may close a gap.
    const number = layer === 'auto_segmentation' ? accepted.length + 1 : rest.id;
    const id = editing !== undefined && rest.id === first ? editing : number + offset;
    if (layer === 'current_object') sources.set(record.id, id);
    accepted.push({ ...rest, id });
  }

  const overwritten: OverwrittenObject[] = [];
  if (mode !== 'pixels')
    for (const [id, record] of committed) {
      const rest = subtractAll(record, accepted);
      if (rest === record) continue;
      const before = areaOf(record);
      const pixels = before - (rest ? areaOf(rest) : 0);
      overwritten.push({ id, pixels, fraction: pixels / before, removed: !rest });
      if (rest) committed.set(id, rest);
      else committed.delete(id);
    }
  // An edited object that was left out keeps its committed form.
  const original = editing === undefined ? undefined : state.layers.committed_objects.objects.get(editing);
  if (original && !accepted.some((record) => record.id === editing)) {
    const rest = subtractAll(original, accepted);
    if (rest) committed.set(original.id, rest);
  }
  for (const record of accepted) committed.set(record.id, record);

  const keep = layer === 'current_object' ? [...source.objects.values()].filter((r) => refusedIds.has(r.id)) : [];
  return {
    layer,
    committed: layerOf(committed.values()),
    left: keep.length > 0 ? layerOf(keep) : EMPTY_LAYER,
    added: accepted.map((record) => record.id),
    dropped,
    overwritten,
    ...lineagesAfter(state, layerOf(committed.values()), sources),
  };
}

/** Committed lineages and those of the new tracks, under their committed ids; links to tracks left out are cut. */
function lineagesAfter(
  state: SessionState,
  committed: ObjectLayer,
  committedIds: ReadonlyMap<number, number>,
): { lineages?: readonly Lineage[] } {
  if (annotatorKind(state) !== 'tracking') return {};
  const added = state.currentLineages.map((family) =>
    Object.fromEntries(
      Object.entries(family).map(([mother, daughters]) => [
        committedIds.get(Number(mother)) ?? 0,
        daughters.map((daughter) => committedIds.get(daughter) ?? 0),
      ]),
    ),
  );
  return { lineages: prunedLineages(committed, [...state.lineages, ...added]) };
}

/** Lands a plan: the source layer is emptied, and with the current object its prompts go (they stay with the object). */
export function applyCommit(state: SessionState, plan: CommitPlan): SessionState {
  const layers = { ...state.layers, committed_objects: plan.committed, [plan.layer]: plan.left };
  const lineages = plan.lineages ?? state.lineages;
  if (plan.layer === 'auto_segmentation' || plan.left.objects.size > 0) return { ...state, layers, lineages };
  const { editing: _, candidates: __, ...rest } = state;
  return { ...rest, prompts: [], layers, lineages, currentLineages: [], currentTrack: 1 };
}

/** What a commit did, for the user; undefined if nothing needs saying. */
export function describePlan(plan: CommitPlan): string | undefined {
  const parts: string[] = [];
  const refused = plan.dropped.filter((drop) => drop.keeps !== undefined);
  const covered = plan.dropped.length - refused.length;
  const [firstRefused] = refused;
  if (firstRefused) {
    const { keeps, fraction = 0 } = firstRefused;
    const which = refused.length === 1 ? 'The object was' : `${refused.length} objects were`;
    parts.push(
      `${which} not committed: ${Math.round(fraction * 100)} % of committed object ${keeps} would be hidden. ` +
        'To replace it, choose the preserve mode "none"; to keep both, choose "pixels".',
    );
  }
  if (covered > 0) parts.push(`${covered} of the new objects lie entirely under committed ones and were left out.`);
  const removed = plan.overwritten.filter((object) => object.removed).map((object) => object.id);
  if (removed.length > 0)
    parts.push(`Replaced committed ${removed.length === 1 ? 'object' : 'objects'} ${list(removed)}.`);
  return parts.length > 0 ? parts.join(' ') : undefined;
}

function list(ids: readonly number[]): string {
  return ids.length > 5 ? `${ids.slice(0, 5).join(', ')} and ${ids.length - 5} more` : ids.join(', ');
}

/** Later objects lie on top: each loses the pixels of those after it. */
function withoutOverlap(records: readonly ObjectRecord[]): ObjectRecord[] {
  return records.flatMap((record, index) => subtractAll(record, records.slice(index + 1)) ?? []);
}

function refuse(
  fresh: readonly ObjectRecord[],
  committed: readonly ObjectRecord[],
  threshold: number,
): DroppedObject[] {
  const refused = new Map<number, DroppedObject>();
  for (const old of committed) {
    let best = 0;
    let hidden = 0;
    for (const record of fresh) {
      const pixels = overlap(old, record);
      if (pixels > hidden) {
        hidden = pixels;
        best = record.id;
      }
    }
    const fraction = hidden / areaOf(old);
    if (hidden > 0 && fraction >= threshold && !refused.has(best))
      refused.set(best, { id: best, keeps: old.id, fraction });
  }
  return [...refused.values()];
}

function overlap(a: ObjectRecord, b: ObjectRecord): number {
  let pixels = 0;
  for (const [plane, mask] of a.masks) {
    const other = b.masks.get(plane);
    if (other) pixels += intersectionArea(mask, other);
  }
  return pixels;
}

/** The same record if it meets none of the others; undefined if nothing is left of it. */
function subtractAll(record: ObjectRecord, others: Iterable<ObjectRecord>): ObjectRecord | undefined {
  let masks: Map<number, Mask> | undefined;
  for (const other of others)
    for (const [plane, mask] of masks ?? record.masks) {
      const cover = other.masks.get(plane);
      if (!cover) continue;
      const rest = subtractMasks(mask, cover);
      if (rest.area === mask.area) continue;
      masks ??= new Map(record.masks);
      masks.set(plane, rest);
    }
  return masks ? withMasks(record, masks) : record;
}
