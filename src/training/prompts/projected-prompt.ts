import { maskToLogits, type ObjectPrompt } from '../../model/transforms.js';
import type { LabelImage, Size } from '../../ndimage/array.js';
import { boxCentre, extendBox } from '../../ndimage/boxes.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskFromBitmap, maskSpans, maskToBitmap, translateMask } from '../../ndimage/rle.js';
import { MASK_SIDE } from '../kept-canvas.js';
import type { Random } from '../random.js';

/*
 * Prompts as an object's mask in the slice or frame before makes them (segmentation/volume, segmentation/tracking): that
 * mask is nearly the object's, somewhat moved, turned, larger or smaller; or the object is not there any more.
 */

/** Growth of the mask's box, as the annotator has it at the start. */
const BOX_EXTENSION = 0.05;

const GRID: Size = [MASK_SIDE, MASK_SIDE];

/** @param neighbour the mask of the slice or frame before, on the grid of 256 x 256 @returns it and its box, as tracking has them */
export function projectedPrompt(neighbour: Mask): ObjectPrompt & { readonly maskLogits: Float32Array } {
  return { box: extendBox(neighbour.box, BOX_EXTENSION, GRID), maskLogits: maskToLogits(neighbour, GRID) };
}

/** How far an object may be from its mask before: scale of both sides and of each, turn in radians, shift by its sides. */
const CHANGE = { scale: 1.3, stretch: 1.12, turn: 0.15, shift: 0.12 };

/** The object as it may have been in the slice or frame before. */
export function neighbourOf(object: Mask, random: Random): Mask {
  const scale = random.logUniform(1 / CHANGE.scale, CHANGE.scale);
  const sy = scale * random.logUniform(1 / CHANGE.stretch, CHANGE.stretch);
  const sx = scale * random.logUniform(1 / CHANGE.stretch, CHANGE.stretch);
  const turn = CHANGE.turn * random.normal();
  const [top, left, bottom, right] = object.box;
  const [height, width] = [bottom - top, right - left];
  const dy = random.uniform(-CHANGE.shift, CHANGE.shift) * height;
  const dx = random.uniform(-CHANGE.shift, CHANGE.shift) * width;
  const [cy, cx] = boxCentre(object.box);
  const [sin, cos] = [Math.sin(turn), Math.cos(turn)];
  const bitmap = maskToBitmap(object, [height, width], [top, left]);
  const isInside = (y: number, x: number) => y >= 0 && x >= 0 && y < height && x < width && bitmap[y * width + x] === 1;
  const frame = extendBox(object.box, 2 + Math.max(height, width), GRID);
  const [rows, columns] = [frame[2] - frame[0], frame[3] - frame[1]];
  const changed = Uint8Array.from({ length: rows * columns }, (_, p) => {
    const y = Math.floor(p / columns) + frame[0] + 0.5 - cy - dy;
    const x = (p % columns) + frame[1] + 0.5 - cx - dx;
    const [v, u] = [(cos * y - sin * x) / sy, (sin * y + cos * x) / sx];
    return Number(isInside(Math.floor(v + cy) - top, Math.floor(u + cx) - left));
  });
  const mask = maskFromBitmap(changed, [rows, columns], [frame[0], frame[1]]);
  return mask.area > 0 ? mask : object;
}

const TRIES = 20;

/** The object's mask where no object is, as it stays behind when the object has ended; undefined if no such place is found. */
export function leftBehind(object: Mask, labels: LabelImage, random: Random): Mask | undefined {
  const [top, left, bottom, right] = object.box;
  for (let i = 0; i < TRIES; i++) {
    const dy = random.below(MASK_SIDE - (bottom - top) + 1) - top;
    const dx = random.below(MASK_SIDE - (right - left) + 1) - left;
    const moved = translateMask(object, dy, dx);
    if (isEmptyUnder(moved, labels)) return moved;
  }
  return undefined;
}

function isEmptyUnder(mask: Mask, { data }: LabelImage): boolean {
  const spans = maskSpans(mask);
  for (let i = 0; i < spans.length; i += 3)
    for (let x = spans[i + 1]; x < spans[i + 2]; x++) if (data[spans[i] * MASK_SIDE + x] !== 0) return false;
  return true;
}
