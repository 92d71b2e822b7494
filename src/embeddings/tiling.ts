import { SamError } from '../errors.js';
import type { Size } from '../ndimage/array.js';

/**
 * Whether and how to cut an image into tiles. The encoder sees 1024 pixels along the longer side, whatever it is given,
 * so the outer size of a tile (with halo) decides how large objects look to the model, and the halo how large they may
 * be without being cut.
 */
export interface TileChoice {
  readonly tileShape: Size;
  readonly halo: Size;
}

export interface TilingRequest {
  /** [height, width] of the image. */
  readonly size: Size;
  /** Typical object diameter in pixels, if known. */
  readonly objectDiameter?: number;
}

/**
 * `undefined` means: encode the image whole.
 *
 * Without an object size, images up to 1500 px go in one piece (at worst shrunk to two thirds, which SAM hardly minds),
 * larger ones in tiles of about 1024 px with a halo of 128 px. With one, tiles are such that an object spans about 7.5 %
 * of what the encoder sees (5-10 % is where SAM's point prompts work best), and the halo is an object's diameter, the
 * least that lets an object at a tile's border be seen whole.
 *
 * Tiles come out equal, so that no sliver at the edge is enlarged more than its neighbours.
 */
export function chooseTiling({ size, objectDiameter }: TilingRequest): TileChoice | undefined {
  const { outer, halo } = objectDiameter === undefined ? UNKNOWN_OBJECTS : tileFor(objectDiameter);
  if (Math.max(...size) <= Math.max(outer + halo, objectDiameter === undefined ? WHOLE_LIMIT : 0)) return undefined;
  const inner = outer - 2 * halo;
  const side = (length: number) => Math.ceil(length / Math.ceil(length / inner));
  return { tileShape: [side(size[0]), side(size[1])], halo: [halo, halo] };
}

/**
 * A tiling that somebody asks for.
 *
 * @throws SamError invalid_argument for tiles that show the model nothing, of which an image would have thousands
 */
export function checkTiles<T extends TileChoice>(tiles: T): T {
  if (Math.min(...tiles.tileShape) >= SMALLEST_TILE) return tiles;
  throw new SamError(
    'invalid_argument',
    `Tiles of ${tiles.tileShape.join(' x ')} px are too small for the model; expected at least ${SMALLEST_TILE} px. A few hundred are usual, e.g. 512 x 512 with a halo of 64 x 64.`,
    { details: { got: [...tiles.tileShape], expected: SMALLEST_TILE } },
  );
}

const WHOLE_LIMIT = 1500;
const UNKNOWN_OBJECTS = { outer: 1280, halo: 128 };
const OBJECT_FRACTION = 0.075;
/** Below this the picture is enlarged more than eightfold, and there is nothing left to see. */
const SMALLEST_OUTER = 128;

/** The picture is enlarged 16 times then. */
const SMALLEST_TILE = 64;

function tileFor(objectDiameter: number): { outer: number; halo: number } {
  const outer = Math.max(SMALLEST_OUTER, Math.round(objectDiameter / OBJECT_FRACTION));
  return { outer, halo: Math.max(8, Math.ceil(objectDiameter)) };
}
