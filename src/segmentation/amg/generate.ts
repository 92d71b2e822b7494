import { SamError } from '../../errors.js';
import { entryOf } from '../../items.js';
import { MaskUpsampler } from '../../model/upsample.js';
import type { LabelImage, YX, YXYX } from '../../ndimage/array.js';
import { boxArea, boxIntersection, nonMaximumSuppression } from '../../ndimage/boxes.js';
import { labelComponents } from '../../ndimage/label.js';
import type { Mask } from '../../ndimage/mask.js';
import { masksFromLabels, paintMask, translateMask } from '../../ndimage/rle.js';
import type { AutomaticObject, ScoredMask } from '../scored-mask.js';
import { overlapInside } from './across-tiles.js';
import { decodeBand } from './band-logits.js';
import { AMG_THRESHOLDS, type AmgCandidate, type AmgState, type AmgThresholds, type AmgTile } from './state.js';

/**
 * The cheap half of automatic mask generation: thresholds and suppression on scores and boxes first, and only what
 * survives is upsampled (once: masks are remembered). Source: `AutomaticMaskGenerator.generate` of micro-sam 1.8.
 *
 * Not exactly the official result, and by how much: stability and boxes are measured on the 256 grid instead of the
 * image (docs/automatic-segmentation.md has the figures), and masks of neighbouring tiles that agree where both tiles
 * look are one object, where micro-sam leaves duplicates.
 */

/** One accepted mask before overlaps are resolved. */
interface AmgMask extends ScoredMask {
  /** The prompt that found it, in image pixels. */
  readonly point: YX;
  readonly token: number;
  /** Index into `state.tiles`. */
  readonly tile: number;
}

export interface AmgResult {
  /** [H, W], ids 1..n without gaps. */
  readonly labels: LabelImage;
  readonly objects: readonly Required<AutomaticObject>[];
}

const upsampled = new WeakMap<AmgCandidate, Mask>();

/** In image pixels; made at the first call. */
function maskOf(tile: AmgTile, candidate: AmgCandidate, upsampler: MaskUpsampler): Mask {
  const known = upsampled.get(candidate);
  if (known) return known;
  const inFrame = upsampler.mask(decodeBand(candidate.logits), candidate.logits.crop);
  const mask = translateMask(inFrame, tile.frame[0], tile.frame[1]);
  upsampled.set(candidate, mask);
  return mask;
}

/** segment-anything's `is_box_near_crop_edge`. */
const EDGE = 20;

/** True if the box ends near an edge of the frame that is not an edge of the image: the object is likely cut there. */
function isCut(box: YXYX, frame: YXYX, { size: [height, width], objectDiameter = Infinity }: AmgState): boolean {
  // Tiles for small objects have halos of less than the official distance.
  const edge = Math.min(EDGE, objectDiameter / 4);
  const nearFrame = [
    box[0] < edge,
    box[1] < edge,
    frame[2] - frame[0] - box[2] < edge,
    frame[3] - frame[1] - box[3] < edge,
  ];
  const atImage = [
    box[0] + frame[0] < edge,
    box[1] + frame[1] < edge,
    height - (box[2] + frame[0]) < edge,
    width - (box[3] + frame[1]) < edge,
  ];
  return nearFrame.some((near, side) => near && !atImage[side]);
}

/** A box of more than eight times the area of the usual one, or less than an eighth of it, is of something else. */
function isPlausible(box: YXYX, diameter: number): boolean {
  const share = boxArea(box) / (diameter * diameter);
  return share <= 8 && share >= 1 / 8;
}

function survivorsOf(tile: AmgTile, state: AmgState, thresholds: AmgThresholds): AmgCandidate[] {
  const { predIouThresh, stabilityScoreThresh } = thresholds;
  const { objectDiameter } = state;
  const kept = tile.candidates.filter(
    (c) =>
      (predIouThresh <= 0 || c.predictedIou > predIouThresh) &&
      (stabilityScoreThresh <= 0 || c.stability >= stabilityScoreThresh) &&
      !isCut(c.box, tile.frame, state) &&
      (objectDiameter === undefined || isPlausible(c.box, objectDiameter)),
  );
  const order = nonMaximumSuppression(
    kept.map((c) => c.box),
    Float64Array.from(kept, (c) => c.predictedIou),
    thresholds.boxNmsThresh,
  );
  return order.map((i) => kept[i]);
}

/** All prompts that have found something, in image pixels, each with its masks and their boxes from the 256 grid. */
export function masksByPrompt(
  state: AmgState,
): { readonly point: YX; readonly masks: readonly (ScoredMask & { readonly box: YXYX })[] }[] {
  return state.tiles.flatMap((tile) => {
    const upsampler = upsamplerOf(tile);
    const [top, left] = tile.frame;
    const found = new Map<number, (ScoredMask & { readonly box: YXYX })[]>();
    for (const candidate of tile.candidates) {
      const { prompt, predictedIou, stability, box } = candidate;
      const masks = found.get(prompt) ?? [];
      found.set(prompt, masks);
      masks.push({
        predictedIou,
        stability,
        box: [box[0] + top, box[1] + left, box[2] + top, box[3] + left],
        get mask() {
          return maskOf(tile, candidate, upsampler); // most are never looked at
        },
      });
    }
    return [...found].map(([prompt, masks]) => {
      const [y, x] = tile.points[prompt];
      return { point: [y + top, x + left] as const, masks };
    });
  });
}

function upsamplerOf({ frame: [top, left, bottom, right], inputSize }: AmgTile): MaskUpsampler {
  return new MaskUpsampler(inputSize, [bottom - top, right - left]);
}

function amgMask(tile: AmgTile, index: number, candidate: AmgCandidate, upsampler: MaskUpsampler): AmgMask {
  const [y, x] = tile.points[candidate.prompt];
  return {
    mask: maskOf(tile, candidate, upsampler),
    predictedIou: candidate.predictedIou,
    stability: candidate.stability,
    point: [y + tile.frame[0], x + tile.frame[1]],
    token: candidate.token,
    tile: index,
  };
}

/** Masks that pass the thresholds, without duplicates, before they are painted into one label image. */
export function generateMasks(state: AmgState, thresholds: Partial<AmgThresholds> = {}): AmgMask[] {
  const settings = { ...AMG_THRESHOLDS, ...thresholds };
  if (settings.predIouThresh < state.iouFloor || settings.stabilityScoreThresh < state.stabilityFloor) {
    throw new SamError(
      'invalid_argument',
      `Thresholds ${settings.predIouThresh} / ${settings.stabilityScoreThresh} lie below what was computed ` +
        `(${state.iouFloor} / ${state.stabilityFloor}); run automatic segmentation again with lower floors.`,
      { details: { iouFloor: state.iouFloor, stabilityFloor: state.stabilityFloor } },
    );
  }
  const perTile = state.tiles.map((tile, index) => {
    const upsampler = upsamplerOf(tile);
    return survivorsOf(tile, state, settings).map((candidate) => amgMask(tile, index, candidate, upsampler));
  });
  const masks = state.tiles.length === 1 ? perTile[0] : suppressAcrossTiles(state, perTile.flat());
  return masks.filter(
    ({ mask }) => mask.area > 0 && mask.area >= settings.minObjectSize && mask.area <= settings.maxObjectSize,
  );
}

/**
 * Two tiles may find one object, each seeing as much of it as its frame holds. Where both frames look, such masks
 * agree; the one that lies deeper inside its own tile stays.
 */
function suppressAcrossTiles(state: AmgState, masks: readonly AmgMask[]): AmgMask[] {
  const depth = (m: AmgMask) => boxIntersection(m.mask.box, state.tiles[m.tile].inner) / boxArea(m.mask.box);
  const ranked = masks
    .map((m) => ({ m, depth: depth(m) }))
    .sort((a, b) => b.depth - a.depth || b.m.predictedIou - a.m.predictedIou)
    .map(({ m }) => m);
  const frames = state.tiles.map(({ frame }) => frame);
  const neighbours = frames.map((frame, tile) =>
    frames.flatMap((other, i) => (i !== tile && boxIntersection(frame, other) > 0 ? i : [])),
  );
  const kept: AmgMask[] = [];
  const keptIn: AmgMask[][] = frames.map(() => []);
  for (const m of ranked) {
    const isDuplicate = (other: AmgMask) =>
      boxIntersection(other.mask.box, m.mask.box) > 0 &&
      overlapInside(other.mask, m.mask, frames[other.tile], frames[m.tile]) > 0.5;
    if (neighbours[m.tile].some((tile) => keptIn[tile].some(isDuplicate))) continue;
    kept.push(m);
    keptIn[m.tile].push(m);
  }
  return kept;
}

/**
 * The accepted masks as one label image: large objects first and smaller ones over them, what is left of each in pieces
 * that are objects of their own, a component larger than the background is background. Source: `mask_data_to_segmentation` of micro-sam 1.8; unlike there,
 * leftovers that are only a small part of their mask are no objects (`minVisibleShare`).
 */
export function generateLabels(state: AmgState, thresholds: Partial<AmgThresholds> = {}): AmgResult {
  const settings = { ...AMG_THRESHOLDS, ...thresholds };
  const masks = generateMasks(state, settings);
  const [height, width] = state.size;
  const painted = new Uint32Array(height * width);
  const order = masks.map((_, i) => i).sort((a, b) => masks[b].mask.area - masks[a].mask.area || a - b);
  for (const i of order) paintMask({ data: painted, shape: [height, width] }, masks[i].mask, i + 1);
  const { labels: components, count } = labelComponents({ data: painted, shape: [height, width] });
  const areas = new Uint32Array(count + 1);
  const source = new Uint32Array(count + 1);
  for (let p = 0; p < painted.length; p++) {
    const component = components.data[p];
    areas[component]++;
    source[component] = painted[p];
  }
  const largest = areas.indexOf(areas.reduce((a, b) => Math.max(a, b)));
  const renumber = new Uint32Array(count + 1);
  const objects: Omit<Required<AutomaticObject>, 'mask'>[] = [];
  for (let id = 1; id <= count; id++) {
    const { mask, predictedIou, stability, point } = masks[source[id] - 1];
    const isLeftover = areas[id] < settings.minVisibleShare * mask.area;
    if (isLeftover || areas[id] < settings.minObjectSize || (settings.withBackground && id === largest)) continue;
    objects.push({ id: objects.length + 1, predictedIou, stability, point });
    renumber[id] = objects.length;
  }
  for (let p = 0; p < painted.length; p++) painted[p] = renumber[components.data[p]];
  const labels: LabelImage = { data: painted, shape: [height, width] };
  const byId = masksFromLabels(labels);
  return { labels, objects: objects.map((object) => ({ ...object, mask: entryOf(byId, object.id) })) };
}
