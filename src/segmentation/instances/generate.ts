import { entryOf } from '../../items.js';
import type { LabelImage, Size, Tensor, YX, YXYX } from '../../ndimage/array.js';
import { labelComponents } from '../../ndimage/label.js';

import { masksFromLabels, paintMask } from '../../ndimage/rle.js';
import { watershed } from '../../ndimage/watershed.js';
import type { AutomaticObject } from '../scored-mask.js';
import { growSeeds, seedsInBlocks } from './blocks.js';
import { FLOW_REACH, flowHeights, flowSeeds } from './flow.js';
import { type BoxMaps, pixelMaps } from './pixel-maps.js';
import {
  foregroundMask,
  MICRO_SAM_SMOOTHING,
  type Smoothing,
  seedMask,
  smoothingFor,
  smoothMaps,
  speckSize,
} from './post-process.js';
import {
  FIRST_SMOOTHING,
  INSTANCE_SETTINGS,
  type InstanceRule,
  type InstanceSettings,
  type InstanceState,
} from './state.js';

/** Pixels that are handled at once: four of their maps are 64 MB. */
export const AT_ONCE = 2 ** 22;

/**
 * The cheap half of segmentation by an instance decoder: maps and thresholds → objects, without the network. Up to 2048 x
 * 2048 pixels at once, and the smoothed maps are remembered, so that moving a threshold costs one watershed; larger images
 * block by block (blocks.ts). The point of an object is its pixel farthest from the boundary, as the decoder sees it: it
 * stays the same while thresholds move.
 */
export function generateInstances(
  state: InstanceState,
  given: Partial<InstanceSettings> = {},
): readonly AutomaticObject[] {
  const settings = { ...INSTANCE_SETTINGS, ...given };
  const smoothing = smoothingOf(state, settings);
  const [height, width] = state.size;
  const found = height * width <= AT_ONCE ? atOnce(state, settings, smoothing) : inBlocks(state, settings, smoothing);
  const least = settings.minObjectSize === 'size' ? speckSize(state.diameter ?? 0) : settings.minObjectSize;
  return found
    .filter(({ mask }) => mask.area >= least && mask.area <= settings.maxObjectSize)
    .map((object, i) => ({ ...object, id: i + 1 }));
}

/** Objects → [H, W] labels. */
export function labelsOf(objects: readonly Pick<AutomaticObject, 'id' | 'mask'>[], size: Size): LabelImage {
  const labels: LabelImage = { data: new Uint32Array(size[0] * size[1]), shape: size };
  for (const { id, mask } of objects) paintMask(labels, mask, id);
  return labels;
}

/** Median diameter of disks of the objects' areas, in pixels; `undefined` without any object. */
export function medianDiameter(objects: readonly Pick<AutomaticObject, 'mask'>[]): number | undefined {
  const areas = objects.map(({ mask }) => mask.area).filter((area) => area > 10);
  if (areas.length === 0) return undefined;
  areas.sort((a, b) => a - b);
  return Math.sqrt((4 / Math.PI) * areas[areas.length >> 1]);
}

function smoothingOf({ diameter }: InstanceState, { smoothing }: InstanceSettings): Smoothing {
  if (smoothing === 'micro-sam') return MICRO_SAM_SMOOTHING;
  if (smoothing !== 'size') return smoothing;
  return diameter === undefined ? FIRST_SMOOTHING : smoothingFor(diameter);
}

/** Median diameter, in pixels of what the encoder sees, from which decoders that give vectors are read by them. */
const LARGE = 64;
const SIDE = 1024;

/** The rule that suits the objects. Without vectors it is the watershed: on no images that were looked at is it the worse. */
export function ruleOf({ size, tiles, diameter = 0 }: InstanceState, { rule }: InstanceSettings): InstanceRule {
  if (rule !== 'size') return rule;
  const hasVectors = tiles.length > 0 && tiles.every(({ maps }) => maps.shape[0] === 5);
  return hasVectors && (diameter * SIDE) / Math.max(...size) >= LARGE ? 'flow' : 'watershed';
}

type Found = Omit<AutomaticObject, 'id'>;

/** What a rule makes of maps: where seeds are, and what they are flooded by. */
interface Rule {
  seeds(maps: BoxMaps, settings: InstanceSettings): Tensor<Uint8Array>;
  heights(maps: BoxMaps): Tensor<Float32Array>;
  /** How far beyond its pixels a mask of seeds depends on the maps. */
  reach(smoothing: Smoothing): number;
}

const RULES: Readonly<Record<InstanceRule, Rule>> = {
  watershed: {
    seeds: seedMask,
    heights: ({ boundary }) => boundary,
    reach: ({ distance }) => 3 * distance,
  },
  flow: {
    seeds: (maps, { foreground }) => flowSeeds(maps, foreground),
    heights: flowHeights,
    reach: ({ distance }) => FLOW_REACH + 3 * distance,
  },
};

function atOnce(state: InstanceState, settings: InstanceSettings, smoothing: Smoothing): Found[] {
  const rule = RULES[ruleOf(state, settings)];
  const maps = rememberedMaps(state, smoothing);
  const heights = rule.heights(maps);
  const seeds = labelComponents(rule.seeds(maps, settings), 'all').labels;
  const labels = watershed(heights, seeds, foregroundMask(maps, settings.foreground));
  const points = deepestPixels(labels, heights);
  return [...masksFromLabels(labels)].map(([id, mask]) => ({ mask, point: entryOf(points, id) }));
}

interface Remembered {
  readonly smoothing: Smoothing;
  readonly maps: BoxMaps;
  /** Before they were smoothed: kept while objects are only measured, to be smoothed as suits their size next. */
  readonly rough?: BoxMaps;
}

/** By the tiles of a state, which it shares with the one before its objects were measured. */
const remembered = new WeakMap<InstanceState['tiles'], Remembered>();

function rememberedMaps(state: InstanceState, smoothing: Smoothing): BoxMaps {
  const known = remembered.get(state.tiles);
  const isKnown = (of: keyof Smoothing) => known?.smoothing[of] === smoothing[of];
  if (known && isKnown('foreground') && isKnown('distance')) return known.maps;
  const rough = known?.rough ?? pixelMaps(state, [0, 0, ...state.size]);
  // What is smoothed as before need not be again.
  const given = known && isKnown('foreground') ? { foreground: 0, distance: smoothing.distance } : smoothing;
  const foreground = given === smoothing ? rough.foreground : (known as Remembered).maps.foreground;
  const maps = smoothMaps({ ...rough, foreground }, given);
  const measuring = state.diameter === undefined;
  remembered.set(state.tiles, { smoothing, maps, ...(measuring && { rough }) });
  return maps;
}

function inBlocks(state: InstanceState, settings: InstanceSettings, smoothing: Smoothing): Found[] {
  const rule = RULES[ruleOf(state, settings)];
  const mapsOf = (box: YXYX) => smoothMaps(pixelMaps(state, box), smoothing);
  const reach = Math.ceil(rule.reach(smoothing));
  const seeds = seedsInBlocks(state.size, (box) => rule.seeds(mapsOf(box), settings), reach);
  const halo = Math.max(128, Math.ceil(3 * (state.diameter ?? 0)));
  return growSeeds(state.size, seeds, halo, (box, inside) => {
    const maps = mapsOf(box);
    const heights = rule.heights(maps);
    return { heights, labels: watershed(heights, inside, foregroundMask(maps, settings.foreground)) };
  }).map(({ mask, point }) => ({ mask, point }));
}

/** For each label the pixel of the lowest height, the first of equals. */
function deepestPixels({ data, shape }: LabelImage, heights: Tensor): Map<number, YX> {
  let count = 0;
  for (let p = 0; p < data.length; p++) if (data[p] > count) count = data[p];
  const deepest = new Int32Array(count + 1).fill(-1);
  for (let p = 0; p < data.length; p++) {
    const id = data[p];
    if (id !== 0 && (deepest[id] < 0 || heights.data[p] < heights.data[deepest[id]])) deepest[id] = p;
  }
  const width = shape[1];
  const points = new Map<number, YX>();
  for (let id = 1; id <= count; id++)
    if (deepest[id] >= 0) points.set(id, [Math.floor(deepest[id] / width), deepest[id] % width]);
  return points;
}
