import { SamError } from '../../errors.js';
import type { Mask } from '../../ndimage/mask.js';

/**
 * Tracks and who descends from whom, as values: every edit returns a new `TrackGraph` and leaves the old one alone, so
 * that undo is keeping the old one. A track is an object id with a mask per frame; a daughter names its mother. What
 * other tools know, micro-sam's lineage dictionaries, is derived at the end; io/ writes their files.
 */
export interface TrackGraph {
  /** Track id → frame → mask, frames ascending. */
  readonly tracks: ReadonlyMap<number, ReadonlyMap<number, Mask>>;
  /** Daughter → mother. */
  readonly parents: ReadonlyMap<number, number>;
}

export function trackRange(graph: TrackGraph, id: number): readonly [first: number, last: number] {
  const frames = [...trackOf(graph, id).keys()];
  return [Math.min(...frames), Math.max(...frames)];
}

export function daughtersOf(graph: TrackGraph, id: number): number[] {
  return [...graph.parents].filter(([, mother]) => mother === id).map(([daughter]) => daughter);
}

/** Ids no track has: max + 1, max + 2, …: micro-sam's current + 1 and + 2 may be taken. */
export function freshIds(graph: TrackGraph, count: number): number[] {
  const taken = [...graph.tracks.keys(), ...graph.parents.keys(), ...graph.parents.values()];
  const max = taken.reduce((a, b) => Math.max(a, b), 0);
  return Array.from({ length: count }, (_, i) => max + 1 + i);
}

/** Adds or replaces a track; a track without masks is removed. */
export function setTrack(graph: TrackGraph, id: number, masks: ReadonlyMap<number, Mask>): TrackGraph {
  const tracks = new Map(graph.tracks);
  const present = [...masks].filter(([, mask]) => mask.area > 0).sort(([a], [b]) => a - b);
  if (present.length === 0) return deleteTrack(graph, id);
  tracks.set(id, new Map(present));
  return { tracks, parents: graph.parents };
}

/** Its daughters become tracks without a mother. */
export function deleteTrack(graph: TrackGraph, id: number): TrackGraph {
  const tracks = new Map(graph.tracks);
  tracks.delete(id);
  const parents = new Map([...graph.parents].filter(([daughter, mother]) => daughter !== id && mother !== id));
  return { tracks, parents };
}

/**
 * Makes `daughter` descend from `mother`.
 *
 * @throws SamError invalid_argument if that would be a cycle, or the daughter begins before the mother ends
 */
export function linkDaughter(graph: TrackGraph, mother: number, daughter: number): TrackGraph {
  for (let ancestor: number | undefined = mother; ancestor !== undefined; ancestor = graph.parents.get(ancestor)) {
    if (ancestor === daughter) {
      throw new SamError(
        'invalid_argument',
        `Track ${daughter} is an ancestor of track ${mother}; it cannot be its daughter.`,
      );
    }
  }
  if (graph.tracks.has(mother) && graph.tracks.has(daughter)) {
    const end = trackRange(graph, mother)[1];
    const begin = trackRange(graph, daughter)[0];
    if (begin <= end) {
      throw new SamError(
        'invalid_argument',
        `Track ${daughter} begins in frame ${begin + 1}, but track ${mother} lives until frame ${end + 1}; ` +
          'a daughter begins after her mother ends. Split the mother first.',
      );
    }
  }
  return { tracks: graph.tracks, parents: new Map(graph.parents).set(daughter, mother) };
}

export function unlinkDaughter(graph: TrackGraph, daughter: number): TrackGraph {
  const parents = new Map(graph.parents);
  parents.delete(daughter);
  return { tracks: graph.tracks, parents };
}

/** Cuts a track in two: from `frame` on it is called `later`, and its daughters go with the later part. */
export function splitTrack(
  graph: TrackGraph,
  id: number,
  frame: number,
  later = freshIds(graph, 1)[0],
): { graph: TrackGraph; later: number } {
  const [first, last] = trackRange(graph, id);
  if (frame <= first || frame > last) {
    throw new SamError(
      'invalid_argument',
      `Track ${id} lives in frames ${first + 1} to ${last + 1}; it can be split at frames ${first + 2} to ${last + 1}, not at ${frame + 1}.`,
    );
  }
  const masks = [...trackOf(graph, id)];
  const tracks = new Map(graph.tracks);
  tracks.set(id, new Map(masks.filter(([f]) => f < frame)));
  tracks.set(later, new Map(masks.filter(([f]) => f >= frame)));
  const parents = new Map([...graph.parents].map(([daughter, mother]) => [daughter, mother === id ? later : mother]));
  return { graph: { tracks, parents }, later };
}

/**
 * Joins two tracks that do not share a frame: the earlier one keeps its id and its mother, the later one's daughters
 * become its own.
 */
export function mergeTracks(graph: TrackGraph, a: number, b: number): { graph: TrackGraph; merged: number } {
  const shared = [...trackOf(graph, a).keys()].filter((frame) => trackOf(graph, b).has(frame));
  if (a === b || shared.length > 0) {
    const where = shared.length > 0 ? ` both have an object in frame ${shared[0] + 1}` : ' they are the same';
    throw new SamError('invalid_argument', `Tracks ${a} and ${b} cannot be joined:${where}.`);
  }
  const [earlier, later] = trackRange(graph, a)[0] < trackRange(graph, b)[0] ? [a, b] : [b, a];
  const tracks = new Map(graph.tracks);
  tracks.set(earlier, new Map([...trackOf(graph, earlier), ...trackOf(graph, later)].sort(([f], [g]) => f - g)));
  tracks.delete(later);
  const parents = new Map<number, number>();
  for (const [daughter, mother] of graph.parents) {
    if (daughter === later) continue;
    const now = mother === later ? earlier : mother;
    // A track cannot outlive its own daughters: those the earlier part had at its end are set free.
    const outlived =
      mother === earlier && tracks.has(daughter) && trackRange(graph, daughter)[0] <= trackRange(graph, later)[1];
    if (!outlived) parents.set(daughter, now);
  }
  return { graph: { tracks, parents }, merged: earlier };
}

/** From `frame` on the two tracks exchange their masks and their daughters: mends a swap of identities. */
export function swapTracks(graph: TrackGraph, a: number, b: number, frame: number): TrackGraph {
  const before = (id: number) => [...trackOf(graph, id)].filter(([f]) => f < frame);
  const after = (id: number) => [...trackOf(graph, id)].filter(([f]) => f >= frame);
  const tracks = new Map(graph.tracks);
  for (const [id, other] of [
    [a, b],
    [b, a],
  ]) {
    const masks = new Map([...before(id), ...after(other)]);
    if (masks.size > 0) tracks.set(id, masks);
    else tracks.delete(id);
  }
  const exchanged = new Map([
    [a, b],
    [b, a],
  ]);
  const parents = new Map([...graph.parents].map(([daughter, mother]) => [daughter, exchanged.get(mother) ?? mother]));
  // Where a daughter would begin before her mother ends, the link is cut.
  const swapped: TrackGraph = { tracks, parents };
  const sound = ([daughter, mother]: readonly [number, number]) =>
    !tracks.has(daughter) || !tracks.has(mother) || trackRange(swapped, daughter)[0] > trackRange(swapped, mother)[1];
  return { tracks, parents: new Map([...parents].filter(sound)) };
}

function trackOf(graph: TrackGraph, id: number): ReadonlyMap<number, Mask> {
  const track = graph.tracks.get(id);
  if (track) return track;
  throw new SamError(
    'not_found',
    `There is no track ${id}; the tracks are ${[...graph.tracks.keys()].join(', ') || 'none'}.`,
  );
}

/** micro-sam's form: one dictionary per family, every id of it → its daughters, also those without masks so far. */
export function lineagesOf(graph: TrackGraph): Record<number, number[]>[] {
  const ids = new Set([...graph.tracks.keys(), ...graph.parents.values(), ...graph.parents.keys()]);
  const roots = [...ids].filter((id) => !graph.parents.has(id));
  return roots.map((root) => {
    const family: Record<number, number[]> = {};
    const visit = [root];
    for (let id = visit.pop(); id !== undefined; id = visit.pop()) {
      family[id] = daughtersOf(graph, id);
      visit.push(...family[id]);
    }
    return family;
  });
}

/** Daughter → mother of micro-sam's form. */
export function parentsOfLineages(
  lineages: readonly Readonly<Record<number, readonly number[]>>[],
): Map<number, number> {
  return new Map(
    lineages.flatMap((family) =>
      Object.entries(family).flatMap(([mother, daughters]) => daughters.map((d) => [d, Number(mother)] as const)),
    ),
  );
}
