import type { EmbeddingSource } from '../embeddings/embedding-source.js';
import type { YXYX } from '../ndimage/array.js';
import { tilesMeeting } from '../ndimage/blocking.js';
import type { Pace } from '../worker/pace.js';
import { defaultGrid } from './amg/point-grid.js';
import type { AutomaticMode } from './automatic-settings.js';

/** How much the network has to do for an automatic segmentation, and how long that will take. */
export interface AutomaticWork {
  /** Planes to segment. */
  readonly planes: number;
  /** Images or tiles, over all planes; of these to encode. */
  readonly tiles: number;
  readonly encodes: number;
  /** Point prompts; of apg as many as an image usually has objects. */
  readonly points: number;
}

export interface WorkWanted {
  readonly mode: AutomaticMode;
  readonly planes: readonly number[];
  /** Only this part of each plane, [y0, x0, y1, x1] in pixels. */
  readonly region?: YXYX;
  /** amg. */
  readonly pointsPerSide?: number;
  /** ais, apg: each image or tile is encoded once more as its mirror image. */
  readonly mirror?: boolean;
}

/** Of many places only some are looked up: reading what is kept takes its time. */
const LOOKED_UP = 8;
const OBJECTS = 100;

export async function automaticWork(embeddings: EmbeddingSource, wanted: WorkWanted): Promise<AutomaticWork> {
  const { mode, planes, region, mirror, pointsPerSide = defaultGrid(embeddings) } = wanted;
  const { size, tiling } = embeddings;
  const tilesOfPlane = tiling ? (region ? tilesMeeting(tiling, region) : [...tiling.tiles.keys()]) : [undefined];
  const places = planes.flatMap((plane) => tilesOfPlane.map((tile) => ({ plane, tile })));
  const step = Math.max(1, places.length / LOOKED_UP);
  const some = places.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const ready = await Promise.all(some.map(async (at) => (await embeddings.isReady?.(at)) === true));
  const missing = some.length === 0 ? 0 : ready.filter((there) => !there).length / some.length;
  const part = region ? areaOf(region) / areaOf([0, 0, ...size]) : 1;
  const cut = tiling ? tilesOfPlane.length / tiling.tiles.length : 1;
  const points =
    mode === 'amg'
      ? places.length * pointsPerSide ** 2 * Math.min(1, part / cut)
      : mode === 'apg'
        ? places.length * OBJECTS * part
        : 0;
  return {
    planes: planes.length,
    tiles: places.length,
    encodes: Math.round(places.length * missing) + (mirror && mode !== 'amg' ? places.length : 0),
    points: Math.round(points),
  };
}

/** What is assumed of a processor with two cores before anything was seen, in milliseconds. */
const ASSUMED = { encode: 1500, maps: 0.35, prompt: 1 / 60 } as const;

/** Seconds. What was not seen yet goes by how long encoding takes. */
export function secondsOf({ tiles, encodes, points }: AutomaticWork, mode: AutomaticMode, pace: Pace): number {
  const encode = pace.of('encode') ?? ASSUMED.encode;
  const maps = mode === 'amg' ? 0 : tiles * (pace.of('maps') ?? ASSUMED.maps * encode);
  return (encodes * encode + maps + points * (pace.of('prompt') ?? ASSUMED.prompt * encode)) / 1000;
}

function areaOf([y0, x0, y1, x1]: YXYX): number {
  return Math.max(0, y1 - y0) * Math.max(0, x1 - x0);
}
