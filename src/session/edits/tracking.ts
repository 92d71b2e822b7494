import { SamError } from '../../errors.js';
import { entryOf, present } from '../../items.js';
import type { YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskCentroid } from '../../ndimage/rle.js';
import type { Prompt } from '../../segmentation/prompts.js';
import type { TrackGraph } from '../../segmentation/tracking/lineage.js';
import * as lineage from '../../segmentation/tracking/lineage.js';
import type { Edit } from '../actions.js';
import { trackOfPrompt } from '../annotator.js';
import { layerOf, needImage, withMasks } from '../layers.js';
import type { Lineage, ObjectLayer, ObjectRecord, SessionState } from '../state.js';

/**
 * Tracks in the session: an object of a layer is a track, its planes are frames, and the lineages beside the layer say
 * who descends from whom. The edits turn both into a `TrackGraph`, change that (lineage.ts), and write it back; prompts
 * and properties follow the masks they belong to.
 */
export type TrackLayer = 'current_object' | 'committed_objects';

/** What of the state the graphs are made of. */
type Tracks = Pick<SessionState, 'layers' | 'lineages' | 'currentLineages'>;

export function graphOf(state: Tracks, layer: TrackLayer = 'current_object'): TrackGraph {
  const families = layer === 'current_object' ? state.currentLineages : state.lineages;
  const tracks = new Map([...state.layers[layer].objects].map(([id, record]) => [id, record.masks]));
  return { tracks, parents: lineage.parentsOfLineages(families) };
}

/** Ids that may be worked on: tracks with masks, daughters still to come, the current one. */
export function trackIds(state: SessionState): number[] {
  const ids = new Set([state.currentTrack, ...state.layers.current_object.objects.keys()]);
  for (const family of state.currentLineages) for (const id of Object.keys(family)) ids.add(Number(id));
  for (const prompt of state.prompts) ids.add(trackOfPrompt(prompt));
  return [...ids].sort((a, b) => a - b);
}

/** One track for the lineage tree. */
export interface TrackInfo {
  readonly id: number;
  /** First and last frame; absent for a daughter that is not annotated yet. */
  readonly range?: readonly [first: number, last: number];
  /** Frames in between that have no mask. */
  readonly gaps: readonly number[];
  readonly mother?: number;
  readonly daughters: readonly number[];
  readonly end?: ObjectRecord['trackEnd'];
}

export function describeTracks(state: SessionState, layer: TrackLayer = 'current_object'): TrackInfo[] {
  const graph = graphOf(state, layer);
  const ids = new Set([...graph.tracks.keys(), ...graph.parents.keys(), ...graph.parents.values()]);
  if (layer === 'current_object') for (const id of trackIds(state)) ids.add(id);
  return [...ids]
    .sort((a, b) => a - b)
    .map((id) => {
      const masks = graph.tracks.get(id);
      const range = masks && lineage.trackRange(graph, id);
      const gaps: number[] = [];
      if (masks && range) for (let f = range[0]; f <= range[1]; f++) if (!masks.has(f)) gaps.push(f);
      const mother = graph.parents.get(id);
      const end = state.layers[layer].objects.get(id)?.trackEnd;
      return {
        id,
        ...(range && { range }),
        gaps,
        ...(mother !== undefined && { mother }),
        daughters: lineage.daughtersOf(graph, id),
        ...(end && { end }),
      };
    });
}

const tails = new WeakMap<ObjectLayer, readonly TrackTail[]>();

export interface TrackTail {
  readonly id: number;
  /** By frame, ascending. */
  readonly points: readonly { readonly frame: number; readonly at: YX }[];
}

/** Centroids of all tracks of a layer, (y, x) in pixels, for drawing tails; computed once per layer. */
export function trackTails(layer: ObjectLayer): readonly TrackTail[] {
  const known = tails.get(layer);
  if (known) return known;
  const made = [...layer.objects.values()].map(({ id, masks }) => ({
    id,
    points: [...masks].sort(([a], [b]) => a - b).map(([frame, mask]) => ({ frame, at: maskCentroid(mask) })),
  }));
  tails.set(layer, made);
  return made;
}

export function setCurrentTrack(id: number): Edit {
  return {
    title: 'Choose track',
    change(state) {
      needImage(state);
      const known = trackIds(state);
      if (!known.includes(id))
        throw new SamError('not_found', `There is no track ${id}; the tracks are ${known.join(', ')}.`);
      return id === state.currentTrack ? state : { ...state, currentTrack: id };
    },
  };
}

export function newTrack(): Edit {
  return {
    title: 'New track',
    change: (state) => ({ ...state, currentTrack: Math.max(...trackIds(state)) + 1 }),
  };
}

/** The track ends before `frame`; two daughters with fresh ids begin there, unless it has daughters already. */
export function divideTrack(id: number, frame: number): Edit {
  return {
    title: `Divide track ${id}`,
    change(state) {
      const record = state.layers.current_object.objects.get(id);
      const first = record && Math.min(...record.masks.keys());
      if (!record || first === undefined || first >= frame)
        throw new SamError(
          'invalid_argument',
          `Track ${id} cannot divide in frame ${frame + 1}: it needs an object in an earlier frame. Track it first.`,
        );
      const graph = graphOf(state);
      const masks = new Map([...record.masks].filter(([f]) => f < frame));
      const ended = endTrack(state, lineage.setTrack(graph, id, masks), id, frame);
      if (lineage.daughtersOf(graph, id).length > 0) return ended;
      const { currentLineages, daughters } = withDaughters(ended, id);
      return { ...ended, currentLineages, currentTrack: daughters[0] };
    },
  };
}

function endTrack(state: SessionState, graph: TrackGraph, id: number, frame: number): SessionState {
  const next = withGraph(state, 'current_object', graph);
  const record = entryOf(next.layers.current_object.objects, id);
  const objects = new Map(next.layers.current_object.objects);
  objects.set(id, { ...record, trackEnd: { reason: 'division', frame } });
  return { ...next, layers: { ...next.layers, current_object: layerOf(objects.values()) } };
}

/** The lineages with two fresh daughters of the track; ids that no track, prompt or lineage has. */
export function withDaughters(
  state: SessionState,
  mother: number,
): { currentLineages: readonly Lineage[]; daughters: readonly [number, number] } {
  const highest = Math.max(mother, ...trackIds(state));
  const daughters = [highest + 1, highest + 2] as const;
  let graph = graphOf(state);
  for (const daughter of daughters) graph = lineage.linkDaughter(graph, mother, daughter);
  return { currentLineages: lineage.lineagesOf(graph), daughters };
}

export function linkTracks(mother: number, daughter: number, layer?: TrackLayer): Edit {
  return graphEdit(`Link track ${daughter} to ${mother}`, layer, (graph, state) => {
    const known = layer === 'committed_objects' ? [...graph.tracks.keys()] : trackIds(state);
    for (const id of [mother, daughter])
      if (!known.includes(id)) throw new SamError('not_found', `There is no track ${id}.`);
    return lineage.linkDaughter(graph, mother, daughter);
  });
}

export function unlinkTrack(daughter: number, layer?: TrackLayer): Edit {
  return graphEdit(`Unlink track ${daughter}`, layer, (graph) => {
    if (!graph.parents.has(daughter)) throw new SamError('not_found', `Track ${daughter} has no mother.`);
    return lineage.unlinkDaughter(graph, daughter);
  });
}

export function splitTrackAt(id: number, frame: number, layer?: TrackLayer): Edit {
  return graphEdit(`Split track ${id}`, layer, (graph, state) => {
    const later = layer === 'committed_objects' ? undefined : Math.max(...trackIds(state)) + 1;
    return lineage.splitTrack(graph, id, frame, later).graph;
  });
}

export function mergeTwoTracks(a: number, b: number, layer?: TrackLayer): Edit {
  return graphEdit(`Merge tracks ${a} and ${b}`, layer, (graph) => lineage.mergeTracks(graph, a, b).graph);
}

export function swapTwoTracks(a: number, b: number, frame: number, layer?: TrackLayer): Edit {
  return graphEdit(`Swap tracks ${a} and ${b}`, layer, (graph) => lineage.swapTracks(graph, a, b, frame));
}

/** The track with its prompts; its daughters lose their mother. */
export function removeTrack(id: number, layer: TrackLayer = 'current_object'): Edit {
  return {
    title: `Delete track ${id}`,
    change(state) {
      const graph = graphOf(state, layer);
      const known = graph.tracks.has(id) || (layer === 'current_object' && trackIds(state).includes(id));
      if (!known) throw new SamError('not_found', `There is no track ${id}.`);
      const next = withGraph(state, layer, lineage.deleteTrack(graph, id));
      if (layer === 'committed_objects') return next;
      const prompts = state.prompts.filter((prompt) => trackOfPrompt(prompt) !== id);
      const rest = { ...next, prompts: prompts.length === state.prompts.length ? state.prompts : prompts };
      if (state.currentTrack !== id) return rest;
      const [first = 1] = [...rest.layers.current_object.objects.keys()];
      return { ...rest, currentTrack: first };
    },
  };
}

/** Shows the first or last frame of a track. */
export function goToTrack(
  where: 'start' | 'end',
  { id, layer = 'current_object' }: { id?: number; layer?: TrackLayer } = {},
): Edit {
  return {
    title: 'Change plane',
    change(state) {
      const track = id ?? state.currentTrack;
      const record = state.layers[layer].objects.get(track);
      if (!record) throw new SamError('not_found', `Track ${track} has no object in any frame yet.`);
      const frames = [...record.masks.keys()];
      const plane = where === 'start' ? Math.min(...frames) : Math.max(...frames);
      const currentTrack = layer === 'current_object' ? track : state.currentTrack;
      return plane === state.plane && currentTrack === state.currentTrack ? state : { ...state, plane, currentTrack };
    },
  };
}

/** Replaces all committed objects by tracks made elsewhere, e.g. a Cell Tracking Challenge result. */
export function loadTracks(records: Iterable<ObjectRecord>, lineages: readonly Lineage[]): Edit {
  const committed_objects = layerOf(records);
  return {
    title: 'Load tracks',
    change(state) {
      needImage(state);
      const { editing: _, ...rest } = state;
      const layers = { ...state.layers, committed_objects };
      return { ...rest, layers, lineages: prunedLineages(committed_objects, lineages) };
    },
  };
}

/** Families of the tracks that are in the layer, without links to others. */
export function prunedLineages({ objects }: ObjectLayer, lineages: readonly Lineage[]): readonly Lineage[] {
  const parents = [...lineage.parentsOfLineages(lineages)].filter(([d, m]) => objects.has(d) && objects.has(m));
  const tracks = new Map([...objects].map(([id, { masks }]) => [id, masks]));
  return lineage.lineagesOf({ tracks, parents: new Map(parents) });
}

function graphEdit(
  title: string,
  layer: TrackLayer = 'current_object',
  change: (graph: TrackGraph, state: SessionState) => TrackGraph,
): Edit {
  return { title, change: (state) => withGraph(state, layer, change(graphOf(state, layer), state)) };
}

/** The state with the tracks of the graph; what belongs to a mask goes where the mask goes. */
function withGraph(state: SessionState, layer: TrackLayer, graph: TrackGraph): SessionState {
  const before = state.layers[layer].objects;
  const ownerAfter = new Map<Mask, number>();
  for (const [id, masks] of graph.tracks) for (const mask of masks.values()) ownerAfter.set(mask, id);
  /** Which track the prompt of a track belongs to now. */
  const newTrack = (prompt: Prompt, old: number): number => {
    const mask = before.get(old)?.masks.get(prompt.plane);
    return (mask && ownerAfter.get(mask)) ?? old;
  };
  const prompts = new Map<number, Prompt[]>();
  for (const [old, record] of before)
    for (const prompt of record.prompts) {
      const id = newTrack(prompt, old);
      prompts.set(id, [...(prompts.get(id) ?? []), retagged(prompt, id)]);
    }
  const records = [...graph.tracks].flatMap(([id, masks]) => {
    const same = before.get(id);
    if (same && sameMasks(same.masks, masks)) return same;
    return withMasks(recordOf(id, masks, before, prompts.get(id) ?? []), masks) ?? [];
  });
  const known = layer === 'current_object' ? state.currentLineages : state.lineages;
  const families = keepIfEqual(lineage.lineagesOf(graph), known);
  const unchanged = records.length === before.size && records.every((record) => before.get(record.id) === record);
  if (unchanged && families === known) return state;
  const layers = { ...state.layers, [layer]: unchanged ? state.layers[layer] : layerOf(records) };
  if (layer === 'committed_objects') return { ...state, layers, lineages: families };
  const live = state.prompts.map((prompt) => retagged(prompt, newTrack(prompt, trackOfPrompt(prompt))));
  const moved = live.some((prompt, i) => prompt !== state.prompts[i]);
  const { candidates: _, ...rest } = state;
  return { ...rest, layers, currentLineages: families, ...(moved && { prompts: live }) };
}

function sameMasks(a: ReadonlyMap<number, Mask>, b: ReadonlyMap<number, Mask>): boolean {
  return a.size === b.size && [...b].every(([frame, mask]) => a.get(frame) === mask);
}

function keepIfEqual(made: readonly Lineage[], known: readonly Lineage[]): readonly Lineage[] {
  return JSON.stringify(made) === JSON.stringify(known) ? known : made;
}

/** A record for masks that may come from several tracks. */
function recordOf(
  id: number,
  masks: ReadonlyMap<number, Mask>,
  before: ReadonlyMap<number, ObjectRecord>,
  prompts: readonly Prompt[],
): ObjectRecord {
  const projected = new Set<number>();
  const last = Math.max(...masks.keys());
  let source = before.get(id);
  let trackEnd: ObjectRecord['trackEnd'];
  for (const record of before.values())
    for (const [frame, mask] of record.masks) {
      if (masks.get(frame) !== mask) continue;
      source ??= record;
      if (record.projected?.has(frame)) projected.add(frame);
      if (frame === last && Math.max(...record.masks.keys()) === last) trackEnd = record.trackEnd;
    }
  const { trackEnd: _, ...base } = present(source, 'the object of the masks');
  return { ...base, id, masks, prompts, projected, ...(trackEnd && { trackEnd }) };
}

function retagged(prompt: Prompt, id: number): Prompt {
  return trackOfPrompt(prompt) === id ? prompt : { ...prompt, track: { state: 'track', ...prompt.track, id } };
}
