import { maskContains } from '../../ndimage/rle.js';
import type { Prompt } from '../../segmentation/prompts.js';
import { annotatorKind } from '../annotator.js';
import type { ObjectRecord, SessionState } from '../state.js';

/**
 * Auto-commit: a hand that goes from object to object need not say where one ends. A positive prompt outside of the
 * current object is the first of the next one; inside of it, and negative anywhere, it corrects. A shape lies where its
 * centre lies. Decided when the prompt has its turn, so that a mask which is still to come counts, too.
 *
 * In a volume an object is marked in several slices: only where it is already in the visible one can a prompt be outside
 * of it. Tracks take many clicks and are committed by hand.
 */
export function beginsNext(state: SessionState, prompts: readonly Prompt[]): boolean {
  const { autoCommit, batched, autoSegment } = state.settings;
  if (!autoCommit || batched || annotatorKind(state) === 'tracking') return false;
  const known = new Set(state.prompts.map(({ id }) => id));
  const fresh = prompts.filter((prompt) => !known.has(prompt.id) && (prompt.kind !== 'point' || prompt.positive));
  if (fresh.length === 0) return false;
  const records = [...state.layers.current_object.objects.values()];
  // Prompts of which nothing came are no object that could be gone on with.
  if (records.length === 0) return state.prompts.length > 0 && autoSegment;
  const everywhere = annotatorKind(state) === '3d' && records.every(({ masks }) => !masks.has(state.plane));
  return !everywhere && fresh.every((prompt) => !records.some((record) => holds(record, prompt, state.plane)));
}

function holds({ masks }: ObjectRecord, prompt: Prompt, plane: number): boolean {
  const mask = masks.get(plane);
  const [y, x] = placeOf(prompt);
  return mask !== undefined && maskContains(mask, y, x);
}

/** The point itself, or the centre of a shape's box; (y, x) in pixels. */
function placeOf(prompt: Prompt): readonly [y: number, x: number] {
  if (prompt.kind === 'point') return prompt.at;
  const [y0, x0, y1, x1] =
    prompt.kind === 'box' ? prompt.box : prompt.kind === 'mask' ? prompt.mask.box : boundsOf(prompt.ring);
  return [(y0 + y1) / 2, (x0 + x1) / 2];
}

function boundsOf(ring: readonly (readonly [y: number, x: number])[]) {
  const ys = ring.map(([y]) => y);
  const xs = ring.map(([, x]) => x);
  return [Math.min(...ys), Math.min(...xs), Math.max(...ys), Math.max(...xs)] as const;
}
