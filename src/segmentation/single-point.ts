import type { EmbeddingSource } from '../embeddings/embedding-source.js';
import type { ObjectSizes } from '../model/model-spec.js';
import { maskToLogits, type ObjectPrompt } from '../model/transforms.js';
import type { Size } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { TaskOptions } from '../task.js';
import { instanceAt } from './instances/instance-at.js';
import type { ScoredMask } from './scored-mask.js';
import { agreeingFirst, inStatedBox, likelyObjects } from './stated-size.js';

/**
 * A single point leaves open which object is meant: a nucleus, its cell, or all of them. Beside the predicted IoU of SAM's
 * three masks these say it, the first that there is: the object under the point that the model's instance decoder finds, the
 * size that the user has stated, the sizes that the model was trained on.
 */
export interface Meaning {
  /** What else the mask decoder is asked, for its single mask. */
  readonly question?: ObjectPrompt;
  /**
   * @param candidates of the point alone, the highest predicted IoU first
   * @param answer to the question, if there is one
   * @returns what to offer, best first
   */
  rank<C extends Candidate>(candidates: readonly C[], answer?: C): readonly C[];
}

type Candidate = Pick<ScoredMask, 'mask' | 'predictedIou'>;

export interface SinglePoint {
  readonly plane: number;
  /** Exactly if the image is in tiles. */
  readonly tile?: number;
  /** One positive point, in pixels of the plane or of the tile's outer box. */
  readonly prompt: ObjectPrompt;
  /** [h, w] of that frame. */
  readonly frame: Size;
}

export async function meaningOfPoint(
  { plane, tile, prompt, frame }: SinglePoint,
  candidates: readonly Candidate[],
  embeddings: EmbeddingSource,
  objectDiameter: number | undefined,
  task: TaskOptions,
): Promise<Meaning> {
  if (embeddings.pointsByInstances && prompt.points) {
    const [{ at }] = prompt.points;
    const instance = await instanceAt(embeddings, { plane, ...(tile !== undefined && { tile }) }, frame, at, task);
    if (instance) return asInstance(prompt, instance, frame, embeddings.resize);
  }
  if (objectDiameter !== undefined) {
    const question = inStatedBox(prompt, objectDiameter, frame);
    return { question, rank: (all, answer) => (answer ? agreeingFirst(all, answer) : all) };
  }
  const known = embeddings.objectSizes;
  if (!known) return AS_PREDICTED;
  if (likelyObjects(candidates, known).length === 0)
    return { question: inStatedBox(prompt, known.small, frame), rank: answerFirst };
  return ofKnownSize(known);
}

/** The instance decoder is the better at telling objects apart, the mask decoder at outlines. */
function asInstance(prompt: ObjectPrompt, instance: Mask, frame: Size, resize: EmbeddingSource['resize']): Meaning {
  const maskLogits = maskToLogits(instance, frame, resize);
  return { question: { ...prompt, box: instance.box, maskLogits }, rank: answerFirst };
}

/** Of more than a point, for which several masks are wanted all the same. */
export function meaningOfSeveral({ objectSizes }: EmbeddingSource, objectDiameter: number | undefined): Meaning {
  return objectSizes && objectDiameter === undefined ? ofKnownSize(objectSizes) : AS_PREDICTED;
}

export const AS_PREDICTED: Meaning = { rank: (candidates) => candidates };

function ofKnownSize(known: ObjectSizes): Meaning {
  return { rank: (candidates) => first(likelyObjects(candidates, known), candidates) };
}

function answerFirst<C>(candidates: readonly C[], answer?: C): readonly C[] {
  return answer ? first([answer], candidates) : candidates;
}

/** Some before the others. */
function first<C>(some: readonly C[], all: readonly C[]): C[] {
  return [...some, ...all.filter((each) => !some.includes(each))];
}
