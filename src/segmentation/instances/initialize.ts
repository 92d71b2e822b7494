import { SamError } from '../../errors.js';
import type { InstanceMaps } from '../../model/sam-tensors.js';
import type { Size, Tensor, YXYX } from '../../ndimage/array.js';
import { makeTiling, tilesMeeting } from '../../ndimage/blocking.js';
import { toHalf } from '../../ndimage/half.js';
import type { TaskOptions } from '../../task.js';
import type { SegmentContext } from '../context.js';
import { AT_ONCE, generateInstances, medianDiameter } from './generate.js';
import { type InstanceState, type InstanceTile, MICRO_SAM_SETTINGS } from './state.js';

/**
 * The expensive half of segmentation by an instance decoder: its maps, of the whole plane or tile by tile. Objects that are
 * small in what the encoder sees are found badly, so where the first pass finds them to be, the plane is run once more in
 * enlarged tiles.
 */
export interface InstanceOptions {
  /** Only tiles that meet this box, in pixels. */
  readonly region?: YXYX;
  /** Tiles to begin with: those on screen. */
  readonly first?: readonly number[];
  /** Once more, enlarged, if objects are small. Default: yes, for images that are encoded whole. */
  readonly enlarge?: boolean;
  /** Maps of everything are averaged with those of its mirror image: better a little, for twice the time. Default: no. */
  readonly mirror?: boolean;
  /** Keeps the maps of a tile elsewhere than in memory, where there are many (`InstanceTile.maps`). */
  readonly keepMaps?: (maps: Tensor<Uint16Array>) => Tensor<Uint16Array>;
  /** What an interrupted run with the same options gave to `onPartial` last: its tiles are not run again. */
  readonly resume?: InstanceState;
  /** Called after each tile with what is there so far. */
  readonly onPartial?: (state: InstanceState) => void;
  /** Tiles that are in work at a time; more than one only for a pool of workers. */
  readonly requests?: number;
}

/** Of the encoder's square. */
export const SIDE = 1024;
/** Median diameter, in pixels of the encoder's square, below which the second pass pays. */
export const SMALL = 32;
/** What objects are enlarged to, and by how much at most. */
const WANTED = 40;
const MOST = 4;
/** Where the first pass found nothing, it is not known how small objects are, and there may be none. */
const UNKNOWN = 2;
/** An image pixel is never made larger than this in the encoder's square: it would show nothing more, part after part. */
const LARGEST_PIXEL = 6;
/** Of an enlarged tile, how much of its side neighbours share. */
const SHARED = 192 / 1024;

/** @throws SamError `unsupported` if the model has no instance decoder */
export async function initializeInstances(
  context: SegmentContext,
  options: InstanceOptions & TaskOptions = {},
): Promise<InstanceState> {
  const { size, tiling, objectDiameter } = context.embeddings;
  const places = placesOf(context, options);
  const first = await runPlaces(context, places, options, (tiles) => ({ size, tiles, diameter: objectDiameter }));
  const state: InstanceState = { ...first, diameter: objectDiameter ?? measured(first) };
  if (tiling || !(options.enlarge ?? objectDiameter === undefined)) return state;
  const boxes = enlargedTiles(size, state.diameter, options.region);
  if (boxes.length === 0) return state;
  const again = await runPlaces(context, boxes, options, (tiles) => ({ ...state, tiles: [...state.tiles, ...tiles] }));
  const tiles = again.tiles.slice(state.tiles.length);
  const enlarged = { ...state, tiles: options.region ? again.tiles : tiles };
  return { ...enlarged, diameter: measured(enlarged) ?? state.diameter };
}

type Place = { readonly tile?: number; readonly box: YXYX; readonly alone?: boolean };

function placesOf({ embeddings: { size, tiling } }: SegmentContext, { region, first = [] }: InstanceOptions): Place[] {
  if (!tiling) return [{ box: [0, 0, ...size] }];
  const wanted = region ? tilesMeeting(tiling, region) : [...tiling.tiles.keys()];
  const order = [...new Set([...first.filter((tile) => wanted.includes(tile)), ...wanted])];
  return order.map((tile) => ({ tile, box: tiling.tiles[tile].outer }));
}

/** Boxes in which the objects have the size that suits; none if they have it already. */
function enlargedTiles(size: Size, diameter: number | undefined, region: YXYX | undefined): Place[] {
  const longest = Math.max(...size);
  const seen = ((diameter ?? 0) * SIDE) / longest;
  if (seen >= SMALL) return [];
  const scale = Math.min(seen > 0 ? WANTED / seen : UNKNOWN, MOST, (LARGEST_PIXEL * longest) / SIDE);
  if (scale <= 1) return [];
  const side = Math.ceil(longest / scale);
  const halo = Math.ceil((side * SHARED) / 2);
  const tiling = makeTiling(size, evenTile(size, side - 2 * halo), [halo, halo]);
  const wanted = region ? tilesMeeting(tiling, region) : [...tiling.tiles.keys()];
  return wanted.map((tile) => ({ box: tiling.tiles[tile].outer, alone: true }));
}

/** No sliver at the edge, which would be enlarged more than its neighbours. */
function evenTile(size: Size, most: number): Size {
  const side = (length: number) => Math.ceil(length / Math.ceil(length / most));
  return [side(size[0]), side(size[1])];
}

async function runPlaces(
  context: SegmentContext,
  places: readonly Place[],
  options: InstanceOptions & TaskOptions,
  stateOf: (tiles: readonly InstanceTile[]) => InstanceState,
): Promise<InstanceState> {
  const { signal, onProgress, onPartial, resume, requests = 1 } = options;
  const tiles: InstanceTile[] = [];
  let next = 0;
  const lane = async () => {
    while (next < places.length) {
      signal?.throwIfAborted();
      const place = places[next++];
      const known = resume?.tiles.find(({ frame }) => String(frame) === String(place.box));
      const task = { signal, ...(places.length === 1 && { onProgress }) };
      tiles.push(known ?? (await runPlace(context, place, options, task)));
      const what = place.alone ? 'enlarged part' : 'tile';
      if (places.length > 1)
        onProgress?.({
          done: tiles.length,
          total: places.length,
          message: `Segmented ${what} ${tiles.length} of ${places.length}`,
        });
      onPartial?.(stateOf([...tiles]));
    }
  };
  await Promise.all(Array.from({ length: Math.min(requests, places.length) }, lane));
  return stateOf(tiles);
}

async function runPlace(
  { embeddings, plane }: SegmentContext,
  { tile, box, alone }: Place,
  { mirror, keepMaps = (maps) => maps }: InstanceOptions,
  task: TaskOptions,
): Promise<InstanceTile> {
  if (!embeddings.instanceMaps)
    throw new SamError(
      'unsupported',
      'The model has no instance decoder: use automatic mask generation (amg), or add one to the model.',
    );
  const found = await embeddings.instanceMaps(alone ? { plane, box } : { plane, tile }, task);
  const both = mirror ? meanMaps(found, await embeddings.instanceMaps({ plane, box, mirrored: true }, task)) : found;
  const made = tileOf(both, box);
  return { ...made, maps: keepMaps(made.maps) };
}

function meanMaps(a: InstanceMaps, b: InstanceMaps): InstanceMaps {
  return { ...a, maps: { data: a.maps.data.map((value, i) => (value + b.maps.data[i]) / 2), shape: a.maps.shape } };
}

/** @param frame what the maps are of, in image pixels */
export function tileOf({ maps, cell, inputSize }: InstanceMaps, frame: YXYX): InstanceTile {
  return { frame, inputSize, cell, maps: { data: toHalf(maps.data), shape: maps.shape } };
}

/** By a first look with micro-sam's smoothing; of a very large image at a part of it. */
function measured(state: InstanceState): number | undefined {
  const [height, width] = state.size;
  if (height * width <= AT_ONCE) return medianDiameter(generateInstances(state, MICRO_SAM_SETTINGS));
  const side = Math.floor(Math.sqrt(AT_ONCE));
  const [top, left] = state.tiles[0]?.frame ?? [0, 0];
  const box: YXYX = [top, left, Math.min(height, top + side), Math.min(width, left + side)];
  const part = {
    size: [box[2] - box[0], box[3] - box[1]] as const,
    tiles: state.tiles
      .filter(({ frame }) => frame[0] >= box[0] && frame[1] >= box[1] && frame[2] <= box[2] && frame[3] <= box[3])
      .map((tile) => ({ ...tile, frame: shift(tile.frame, -top, -left) })),
  };
  return medianDiameter(generateInstances(part, MICRO_SAM_SETTINGS));
}

const shift = ([y0, x0, y1, x1]: YXYX, dy: number, dx: number): YXYX => [y0 + dy, x0 + dx, y1 + dy, x1 + dx];
