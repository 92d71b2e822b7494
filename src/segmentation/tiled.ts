import type { EmbeddingSource } from '../embeddings/embedding-source.js';
import { SamError } from '../errors.js';
import { maskToLogits, type ObjectPrompt } from '../model/transforms.js';
import type { Size, YX, YXYX } from '../ndimage/array.js';
import { tileAt } from '../ndimage/blocking.js';
import { boxArea, boxCentre, boxContains, boxIntersection } from '../ndimage/boxes.js';
import type { Mask } from '../ndimage/mask.js';
import { cropMask } from '../ndimage/mask-sets.js';
import { maskCentroid, translateMask } from '../ndimage/rle.js';
import type { ImagePrompt } from './image-prompt.js';
import { softenEdge } from './soft-mask.js';

/**
 * Which tile a prompt goes to, and the prompt in that tile's own coordinates. The tile is the one whose inner box holds
 * the centre of the box, else the centroid of the mask, else the mean of the positive points (of all points if none is
 * positive). Parts beyond the tile's outer box are cut, which a notice says. Source: `_points_to_tile` and `_box_to_tile` of micro-sam 1.8; unlike there a box
 * and points in different tiles are no error.
 *
 * Nothing outside the outer box can be segmented: an object that touches its border inside the image is cut there
 * (`touchesFrame`). The remedy is a halo as large as the objects.
 */
export interface PlacedPrompt {
  /** Index into the tiling; absent for an image encoded whole. */
  readonly tile?: number;
  /** The tile's outer box, or the whole image. */
  readonly frame: YXYX;
  /** Coordinates relative to the frame; mask prompts as logits. */
  readonly prompt: ObjectPrompt;
  readonly notices: readonly string[];
}

/** @param prompt checked by checkImagePrompt */
export function placePrompt(
  prompt: ImagePrompt,
  { size, tiling, resize }: Pick<EmbeddingSource, 'size' | 'tiling' | 'resize'>,
): PlacedPrompt {
  const tile = tiling && tileAt(tiling, promptCentre(prompt));
  const frame: YXYX = tiling && tile !== undefined ? tiling.tiles[tile].outer : [0, 0, size[0], size[1]];
  const notices: string[] = [];
  const points = prompt.points?.filter(({ at }) => boxContains(frame, at)) ?? [];
  // A negative point out there has its way as it is: nothing outside the frame can be segmented.
  const dropped = prompt.points?.filter(({ at, positive }) => positive && !boxContains(frame, at)).length ?? 0;
  if (dropped > 0 && points.length === 0 && !prompt.box && !prompt.mask)
    throw new SamError(
      'invalid_prompt',
      'The points of the object lie too far apart: none is in the tile between them. Remove some, or use larger tiles.',
    );
  if (dropped > 0)
    notices.push(
      `${dropped} positive ${dropped === 1 ? 'point lies' : 'points lie'} outside the tile of the object and had no effect.`,
    );
  if (prompt.box && boxIntersection(prompt.box, frame) < boxArea(prompt.box))
    notices.push('The box reaches beyond its tile and was cut there; use larger tiles or a larger halo.');
  return {
    tile,
    frame,
    prompt: {
      points: points.map(({ at, positive }) => ({ at: [at[0] - frame[0], at[1] - frame[1]], positive })),
      box: prompt.box && boxInFrame(prompt.box, frame),
      maskLogits: logitsInFrame(prompt, frame, tile, resize),
    },
    notices,
  };
}

function promptCentre({ box, mask, points = [], tileAt: place }: ImagePrompt): YX {
  if (place) return place;
  if (box) return boxCentre(box);
  if (mask) return maskCentroid(mask);
  const positive = points.filter((point) => point.positive);
  const counted = positive.length > 0 ? positive : points;
  return [
    counted.reduce((sum, { at }) => sum + at[0], 0) / Math.max(1, counted.length),
    counted.reduce((sum, { at }) => sum + at[1], 0) / Math.max(1, counted.length),
  ];
}

function boxInFrame(box: YXYX, frame: YXYX): YXYX {
  return [
    Math.max(box[0], frame[0]) - frame[0],
    Math.max(box[1], frame[1]) - frame[1],
    Math.min(box[2], frame[2]) - frame[0],
    Math.min(box[3], frame[3]) - frame[1],
  ];
}

function logitsInFrame(
  { mask, softMask, previous }: ImagePrompt,
  frame: YXYX,
  tile: number | undefined,
  resize: EmbeddingSource['resize'],
): Float32Array | undefined {
  if (previous && previous.tile === tile) return previous.logits;
  if (!mask) return undefined;
  const size: Size = [frame[2] - frame[0], frame[3] - frame[1]];
  const logits = maskToLogits(translateMask(cropMask(mask, frame), -frame[0], -frame[1]), size, resize);
  return softMask ? softenEdge(logits) : logits;
}

/** Whether the mask ends at a side of the frame that is not a side of the image, where it may have been cut. */
export function touchesFrame({ box, area }: Mask, frame: YXYX, size: Size): boolean {
  if (area === 0) return false;
  return (
    (box[0] === frame[0] && frame[0] > 0) ||
    (box[1] === frame[1] && frame[1] > 0) ||
    (box[2] === frame[2] && frame[2] < size[0]) ||
    (box[3] === frame[3] && frame[3] < size[1])
  );
}

/** Part of the frame's sides that a mask may leave free and still reach them. */
const MARGIN = 0.02;

/** Whether the mask reaches all four sides of the frame, or nearly so. */
export function takesFrame({ box, area }: Mask, [top, left, bottom, right]: YXYX): boolean {
  const [rows, columns] = [MARGIN * (bottom - top), MARGIN * (right - left)];
  return (
    area > 0 && box[0] <= top + rows && box[1] <= left + columns && box[2] >= bottom - rows && box[3] >= right - columns
  );
}
