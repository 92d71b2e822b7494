import type { TaskOptions } from '../task.js';
import {
  bestScores,
  type CandidateFloors,
  type LowResCandidate,
  packCandidates,
  reachable,
  scoreMasks,
} from './candidates.js';
import { type MaskDecoder, slicePrompts } from './mask-decoder.js';
import type { Embedding, MaskCandidates, SamPrompts } from './sam-tensors.js';

/**
 * Point prompts → the candidates of automatic mask generation, with as little of the decoder as will do: masks by their
 * edges (`EdgeOptions`), and of those that reach all four sides of the image - up to half of all: the background - only
 * the ones that can matter. Their boxes are the same to a few cells, so suppression (by boxes, below an IoU of 0.9) keeps
 * at most one, and never one that has both a lower score and a lower stability than another, whatever the thresholds for
 * these are. The others of them are decoded in full.
 */
export async function findCandidates(
  decoder: MaskDecoder,
  embedding: Embedding,
  prompts: SamPrompts,
  options: CandidateFloors & TaskOptions & { readonly side: number },
): Promise<MaskCandidates> {
  const { iouFloor, signal, onProgress, side } = options;
  const { inputSize } = embedding;
  const bestIou = new Float32Array(prompts.batch);
  const objects: LowResCandidate[] = [];
  let backgrounds: LowResCandidate[] = [];
  const [height, width] = inputSize.map((length) => reachable(length, side));
  const isBackground = ({ box: [top, left, bottom, right] }: LowResCandidate) =>
    Math.max(top, left) < CELL && bottom > height - 2 * CELL && right > width - 2 * CELL;

  for (let first = 0; first < prompts.batch; first += CHUNK) {
    signal?.throwIfAborted();
    const chunk = slicePrompts(prompts, first, Math.min(prompts.batch, first + CHUNK));
    const decoded = await decoder.decode(embedding, chunk, { iouFloor, edges: EDGES });
    bestIou.set(bestScores(decoded), first);
    const masks = scoreMasks(decoded, inputSize, options, side, (row) => first + row);
    objects.push(...masks.filter((mask) => !isBackground(mask)));
    backgrounds = undominated([...backgrounds, ...masks.filter(isBackground)]);
    const done = first + chunk.batch;
    onProgress?.({ done, total: prompts.batch, message: `Segmented ${done} of ${prompts.batch} points` });
    await nextTurn(); // lets a cancel request in
  }

  const again = [...new Set(backgrounds.map((mask) => mask.prompt))];
  for (const prompt of again) {
    signal?.throwIfAborted();
    const decoded = await decoder.decode(embedding, slicePrompts(prompts, prompt, prompt + 1), { iouFloor });
    const tokens = backgrounds.filter((mask) => mask.prompt === prompt).map((mask) => mask.token);
    const masks = scoreMasks(decoded, inputSize, options, side, () => prompt);
    objects.push(...masks.filter((mask) => tokens.includes(mask.token)));
    await nextTurn();
  }
  return packCandidates(
    bestIou,
    objects.sort((a, b) => a.prompt - b.prompt || a.token - b.token),
  );
}

/** Logits per cell of the embedding: how closely a side is reached. (The last cells may not be computed ones.) */
const CELL = 4;
/** Prompts between two looks at the signal. */
const CHUNK = 4;
const EDGES = { tokens: [1, 2, 3], background: false } as const;

/** Those that no other one excels in both score and stability. */
function undominated(masks: readonly LowResCandidate[]): LowResCandidate[] {
  const front: LowResCandidate[] = [];
  for (const mask of [...masks].sort((a, b) => b.iou - a.iou || b.stability - a.stability))
    if (front.every((other) => other.stability < mask.stability)) front.push(mask);
  return front;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
