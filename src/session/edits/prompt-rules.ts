import { SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import { intersectMasks } from '../../ndimage/mask-sets.js';
import { fullMask } from '../../ndimage/rle.js';
import { MAX_POINTS_PER_OBJECT } from '../../segmentation/image-prompt.js';
import type { Prompt } from '../../segmentation/prompts.js';
import type { ImageInfo } from '../state.js';

/**
 * What may be a prompt of an image. Points must lie in the image; boxes and outlines are cut at its edge, as a hand
 * easily draws past it, and must have an area of at least one pixel.
 */
export function checkPrompt(prompt: Prompt, image: ImageInfo): Prompt {
  const [height, width] = image.size;
  if (!Number.isInteger(prompt.plane) || prompt.plane < 0 || prompt.plane >= image.planes)
    throw invalid(`The prompt lies in plane ${prompt.plane}; the image has planes 0 to ${image.planes - 1}.`);
  switch (prompt.kind) {
    case 'point': {
      const [y, x] = prompt.at;
      if (!(y >= 0 && y < height && x >= 0 && x < width))
        throw invalid(`The point (y ${y}, x ${x}) lies outside the image of ${height} x ${width} pixels.`);
      return prompt;
    }
    case 'box': {
      const [y0, x0, y1, x1] = prompt.box;
      if (![y0, x0, y1, x1].every(Number.isFinite)) throw invalid(`The box [${prompt.box}] is not made of numbers.`);
      const clip = (v: number, high: number) => Math.min(Math.max(v, 0), high);
      const box = [
        clip(Math.min(y0, y1), height),
        clip(Math.min(x0, x1), width),
        clip(Math.max(y0, y1), height),
        clip(Math.max(x0, x1), width),
      ] as const;
      if (box[2] - box[0] < 1 || box[3] - box[1] < 1)
        throw invalid(
          `The box [${prompt.box}] (y0, x0, y1, x1) covers no pixel of the image of ${height} x ${width} pixels. ` +
            'Draw it around the object.',
        );
      return box.every((value, i) => value === prompt.box[i]) ? prompt : { ...prompt, box };
    }
    case 'polygon':
    case 'ellipse': {
      if (prompt.ring.length < 3) throw invalid(`An outline needs at least 3 points; it has ${prompt.ring.length}.`);
      if (!prompt.ring.every(([y, x]) => Number.isFinite(y) && Number.isFinite(x)))
        throw invalid('The outline has a point that is not made of numbers.');
      if (!reachesInto(prompt.ring, height, width))
        throw invalid(`The outline lies outside the image of ${height} x ${width} pixels, or has no area.`);
      return prompt;
    }
    case 'mask': {
      const mask = intersectMasks(prompt.mask, fullMask(image.size));
      if (mask.area === 0) throw invalid('The mask has no pixel in the image.');
      return mask.area === prompt.mask.area ? prompt : { ...prompt, mask };
    }
  }
}

/**
 * Refuses more prompts than a person can have meant: a list of all cells pasted as points of one object, say. Viewers
 * draw each of them and come to a halt long before the model does.
 */
export function checkPromptCount(prompts: readonly Prompt[], batched: boolean): void {
  const counts = new Map<number, number>();
  for (const { plane } of prompts) counts.set(plane, (counts.get(plane) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  if (most <= MAX_PROMPTS) return;
  throw new SamError(
    'invalid_prompt',
    `There would be ${most} prompts in this image; at most ${MAX_PROMPTS} are possible, and about ten for one object are useful. ${
      batched
        ? 'Add them in parts: commit one part, then add the next.'
        : 'If each is an object of its own, switch Batched on and add them in parts.'
    }`,
    { details: { got: most, expected: MAX_PROMPTS } },
  );
}

/** Of one plane. */
const MAX_PROMPTS = MAX_POINTS_PER_OBJECT;

/** Whether two prompts say the same; a viewer may echo what it was given. */
export function samePrompt(a: Prompt, b: Prompt): boolean {
  return a === b || JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
}

/** Whether a list of prompts begins with these. */
export function sameStart(prompts: readonly Prompt[], all: readonly Prompt[]): boolean {
  return prompts.every((prompt, i) => {
    const other = all[i];
    return other !== undefined && samePrompt(prompt, other);
  });
}

function canonical(prompt: Prompt): unknown[] {
  const { kind, id, plane, track } = prompt;
  const common = [kind, id, plane, track?.id, track?.state];
  if (prompt.kind === 'point') return [...common, prompt.at, prompt.positive];
  if (prompt.kind === 'box') return [...common, prompt.box];
  if (prompt.kind === 'mask') return [...common, prompt.mask.box, [...prompt.mask.runs]];
  return [...common, prompt.ring];
}

function reachesInto(ring: readonly YX[], height: number, width: number): boolean {
  const ys = ring.map(([y]) => y);
  const xs = ring.map(([, x]) => x);
  const tall = Math.min(Math.max(...ys), height) - Math.max(Math.min(...ys), 0);
  const wide = Math.min(Math.max(...xs), width) - Math.max(Math.min(...xs), 0);
  return tall > 0 && wide > 0;
}

function invalid(message: string): SamError {
  return new SamError('invalid_prompt', message);
}
