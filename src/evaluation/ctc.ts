import { SamError } from '../errors.js';
import { itemAt } from '../items.js';
import type { LabelImage } from '../ndimage/array.js';
import { labelSizes } from '../ndimage/label.js';
import type { TaskOptions } from '../task.js';
import { overlapsOf } from './matching.js';

/**
 * The measures of the Cell Tracking Challenge: SEG (mean Jaccard of the reference objects), DET and TRA (how much
 * editing turns the computed detections, or the whole acyclic graph of tracks, into the reference). Definitions:
 * Matula et al. 2015, "Cell tracking accuracy measurement based on comparison of acyclic oriented graphs", and Maška
 * et al. 2014.
 */

/** One row of `res_track.txt`: frames are inclusive, parent 0 means none. */
export interface CtcTrack {
  readonly label: number;
  readonly begin: number;
  readonly end: number;
  readonly parent: number;
}

/** A tracked sequence: one [H, W] label image a frame, whose labels are those of `tracks`. */
export interface CtcSequence {
  readonly frames: readonly LabelImage[];
  readonly tracks: readonly CtcTrack[];
}

/** What has to be done to the computed graph. */
export interface CtcErrors {
  /** Splits: reference objects that share one computed object, beyond the first. */
  readonly ns: number;
  /** Reference objects that are missing. */
  readonly fn: number;
  /** Computed objects that match nothing. */
  readonly fp: number;
  /** Redundant edges. */
  readonly ed: number;
  /** Missing edges. */
  readonly ea: number;
  /** Edges of the wrong kind (within a track against from parent to daughter). */
  readonly ec: number;
}

export interface CtcScores {
  readonly seg: number;
  readonly det: number;
  readonly tra: number;
  readonly errors: CtcErrors;
}

const WEIGHTS = { ns: 5, fn: 10, fp: 1, ed: 1, ea: 1.5, ec: 1 } as const;

interface FrameMatch {
  /** Reference label → computed label that covers more than half of it. */
  readonly match: ReadonlyMap<number, number>;
  /** Jaccard index of each matched reference label. */
  readonly jaccard: ReadonlyMap<number, number>;
  readonly referenceLabels: readonly number[];
  readonly computedLabels: readonly number[];
}

function matchFrame(reference: LabelImage, computed: LabelImage): FrameMatch {
  const { reference: referenceLabels, predicted: computedLabels, pairs } = overlapsOf(reference, computed);
  const sizes = labelSizes(reference);
  const match = new Map<number, number>();
  const jaccard = new Map<number, number>();
  for (const { reference: i, predicted: j, intersection, iou } of pairs) {
    const label = itemAt(referenceLabels, i);
    if (intersection * 2 <= (sizes.get(label) ?? 0)) continue;
    match.set(label, itemAt(computedLabels, j));
    jaccard.set(label, iou);
  }
  return { match, jaccard, referenceLabels, computedLabels };
}

const node = (frame: number, label: number) => `${frame}:${label}`;

/** Edges of the track graph: from a track's frame to its next one, and from a parent's last frame to a daughter's first. */
function edgesOf({ frames, tracks }: CtcSequence): Map<string, { from: string; to: string; parental: boolean }> {
  const present = frames.map((frame) => new Set(frame.data));
  const byLabel = new Map(tracks.map((track) => [track.label, track]));
  const edges = new Map<string, { from: string; to: string; parental: boolean }>();
  const add = (from: string, to: string, parental: boolean) => edges.set(`${from}>${to}`, { from, to, parental });
  const seen = (track: CtcTrack) => {
    const found: number[] = [];
    for (let f = track.begin; f <= track.end; f++) if (present[f]?.has(track.label)) found.push(f);
    return found;
  };
  for (const track of tracks) {
    const visible = seen(track);
    for (const [i, frame] of visible.slice(1).entries())
      add(node(itemAt(visible, i), track.label), node(frame, track.label), false);
    const parent = byLabel.get(track.parent);
    const last = parent && seen(parent).at(-1);
    const [first] = visible;
    if (parent && last !== undefined && first !== undefined)
      add(node(last, parent.label), node(first, track.label), true);
  }
  return edges;
}

/** @throws SamError invalid_argument if the sequences differ in length, or their frames in shape */
export function ctcScores(reference: CtcSequence, computed: CtcSequence, task: TaskOptions = {}): CtcScores {
  if (reference.frames.length !== computed.frames.length) {
    throw new SamError(
      'invalid_argument',
      `The reference has ${reference.frames.length} frames, the result ${computed.frames.length}; they must agree.`,
    );
  }
  const total = reference.frames.length;
  let objects = 0;
  let jaccardSum = 0;
  let [ns, fn, fp] = [0, 0, 0];
  const toComputed = new Map<string, string>();
  const unique = new Map<string, string>(); // computed node → its only reference node
  for (let f = 0; f < total; f++) {
    task.signal?.throwIfAborted();
    const { match, jaccard, referenceLabels, computedLabels } = matchFrame(
      itemAt(reference.frames, f),
      itemAt(computed.frames, f),
    );
    const owners = new Map<number, number[]>();
    for (const [r, c] of match) {
      toComputed.set(node(f, r), node(f, c));
      owners.set(c, [...(owners.get(c) ?? []), r]);
    }
    objects += referenceLabels.length;
    fn += referenceLabels.length - match.size;
    for (const c of computedLabels) {
      const [owner, ...more] = owners.get(c) ?? [];
      if (owner === undefined) fp++;
      else if (more.length === 0) unique.set(node(f, c), node(f, owner));
      else ns += more.length;
    }
    for (const r of referenceLabels) jaccardSum += jaccard.get(r) ?? 0;
    task.onProgress?.({ done: f + 1, total, message: `Matched frame ${f + 1} of ${total}` });
  }
  const referenceEdges = edgesOf(reference);
  const computedEdges = edgesOf(computed);
  let [ed, ea, ec] = [0, 0, 0];
  for (const { from, to, parental } of computedEdges.values()) {
    const [a, b] = [unique.get(from), unique.get(to)];
    if (a === undefined || b === undefined) continue;
    const twin = referenceEdges.get(`${a}>${b}`);
    if (!twin) ed++;
    else if (twin.parental !== parental) ec++;
  }
  for (const { from, to } of referenceEdges.values()) {
    const [a, b] = [toComputed.get(from), toComputed.get(to)];
    const known =
      a !== undefined && b !== undefined && unique.has(a) && unique.has(b) && computedEdges.has(`${a}>${b}`);
    if (!known) ea++;
  }
  const detection = WEIGHTS.ns * ns + WEIGHTS.fn * fn + WEIGHTS.fp * fp;
  const editing = detection + WEIGHTS.ed * ed + WEIGHTS.ea * ea + WEIGHTS.ec * ec;
  const emptyDetection = WEIGHTS.fn * objects;
  const emptyEditing = emptyDetection + WEIGHTS.ea * referenceEdges.size;
  const score = (cost: number, worst: number) => (worst === 0 ? 0 : 1 - Math.min(cost, worst) / worst);
  return {
    seg: objects === 0 ? 0 : jaccardSum / objects,
    det: score(detection, emptyDetection),
    tra: score(editing, emptyEditing),
    errors: { ns, fn, fp, ed, ea, ec },
  };
}
