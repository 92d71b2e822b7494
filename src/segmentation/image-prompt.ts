import { SamError } from '../errors.js';
import type { Size, YX, YXYX } from '../ndimage/array.js';
import { clipBox, extendBox } from '../ndimage/boxes.js';
import type { Mask } from '../ndimage/mask.js';
import { clipMask } from '../ndimage/mask-sets.js';

/** All that says "this object" to the model at once, in image pixels (y, x). At least one part must be there. */
export interface ImagePrompt {
  readonly points?: readonly PromptPoint[];
  readonly box?: YXYX;
  /** A drawn mask; becomes logits as in micro-sam's `_compute_logits_from_mask`. */
  readonly mask?: Mask;
  /** The edge of `mask` is a guess (soft-mask.ts). */
  readonly softMask?: boolean;
  /** Logits of an earlier result that is to be refined; takes the place of `mask`, and is ignored in another tile. */
  readonly previous?: LowResLogits;
  /** Of an image in tiles: the tile that holds this place, instead of the one that suits the prompt. */
  readonly tileAt?: YX;
}

export interface PromptPoint {
  readonly at: YX;
  readonly positive: boolean;
}

/** 256 x 256 decoder output of a mask, in the frame of the image or of one tile. */
export interface LowResLogits {
  readonly logits: Float32Array;
  readonly tile?: number;
}

/** Points of one object. SAM is trained with a handful; attention grows with their square. */
export const MAX_POINTS_PER_OBJECT = 1000;

/**
 * The prompt with its box ordered, cut at the image and rounded, and its mask cut at the image.
 *
 * @throws SamError invalid_prompt if there is nothing in it, a coordinate is not a number, a point lies outside the
 *   image, a box or mask has no pixel inside it, or there are too many points
 */
export function checkImagePrompt(prompt: ImagePrompt, size: Size): ImagePrompt {
  const { points = [], previous } = prompt;
  if (points.length === 0 && !prompt.box && !prompt.mask)
    throw new SamError('invalid_prompt', 'A prompt needs at least a point, a box or a mask.');
  if (points.length > MAX_POINTS_PER_OBJECT)
    throw new SamError(
      'invalid_prompt',
      `One object has ${points.length} points; at most ${MAX_POINTS_PER_OBJECT} are possible, and about ten are useful. ` +
        'Remove points, or switch batched prompts on if each point means an object of its own.',
      { details: { got: points.length, expected: MAX_POINTS_PER_OBJECT } },
    );
  for (const { at } of points) checkPoint(at, size);
  if (previous && previous.logits.length !== 256 * 256)
    throw new SamError('invalid_prompt', `Earlier logits are 256 x 256 values, got ${previous.logits.length}.`);
  return {
    ...prompt,
    box: prompt.box && checkBox(prompt.box, size),
    mask: prompt.mask && checkMask(prompt.mask, size),
  };
}

function checkPoint(at: YX, [height, width]: Size): void {
  const [y, x] = at;
  if (y >= 0 && x >= 0 && y < height && x < width) return;
  throw new SamError(
    'invalid_prompt',
    `The point (${y}, ${x}) (y, x) is outside the image of ${height} x ${width} pixels.`,
    { details: { got: [y, x], size: [height, width] } },
  );
}

export function checkBox(box: YXYX, size: Size): YXYX {
  const details = { got: [...box], size: [...size] };
  const written = `[${box.join(', ')}] (y0, x0, y1, x1)`;
  if (box.length !== 4 || !box.every(Number.isFinite))
    throw new SamError('invalid_prompt', `A box is four numbers, got ${written}.`, { details });
  const checked = extendBox(clipBox(box, size), 0, size);
  if (checked[2] <= checked[0] || checked[3] <= checked[1])
    throw new SamError(
      'invalid_prompt',
      `The box ${written} holds no pixel of the image of ${size[0]} x ${size[1]} pixels; draw it larger.`,
      { details },
    );
  return checked;
}

function checkMask(mask: Mask, size: Size): Mask {
  const inside = clipMask(mask, size);
  if (inside.area === 0)
    throw new SamError(
      'invalid_prompt',
      `The drawn shape holds no pixel of the image of ${size[0]} x ${size[1]} pixels; draw it larger.`,
      { details: { got: [...mask.box], size: [...size] } },
    );
  return inside;
}
