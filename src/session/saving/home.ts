import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';
import type { ImageInfo } from '../state.js';
import { restore } from './restore.js';

/**
 * Where the work on an image lies. Its folder bears the name of its pixels' signature, which is the same for 200 x 1 and
 * 1 x 200 pixels of equal bytes: of such images the first that is worked on has it, and says so by a file `shape-…` in it;
 * each other has a folder of its own beside. Older versions left no such file: their work is that of the image it fits.
 */
export function rootOf({ signature }: Pick<ImageInfo, 'signature'>): string {
  return encodeURIComponent(signature);
}

/** The folder as it is now. */
export async function homeOf(store: Store, image: ImageInfo): Promise<string> {
  return (await lookedFor(store, image)).home;
}

/** The same for a caller that is about to write there: from now on the place belongs to this image. */
export async function claimHome(store: Store, image: ImageInfo): Promise<string> {
  const { home, isMarked } = await lookedFor(store, image);
  if (home !== rootOf(image) || isMarked || !(await store.create(mark(image), Uint8Array.of(1)))) return home;
  return homeOf(store, image); // another may have come at the same moment
}

async function lookedFor(store: Store, image: ImageInfo): Promise<{ home: string; isMarked: boolean }> {
  const root = rootOf(image);
  const keys = await listKeys(store, `${root}/`);
  const [first] = keys.filter((key) => key.startsWith(`${root}/${SHAPE}`)).sort();
  const isMarked = first === mark(image);
  const isOurs = isMarked || (first === undefined && (keys.length === 0 || (await fits(store, root, image))));
  return { home: isOurs ? root : `${root}~${shapeOf(image)}`, isMarked };
}

const SHAPE = 'shape-';

/** What tells this image from all others, for the lease of it. */
export function identityOf(image: ImageInfo): string {
  return `${image.signature}~${shapeOf(image)}`;
}

function shapeOf({ planes, size: [height, width] }: ImageInfo): string {
  return `${planes}x${height}x${width}`;
}

function mark(image: ImageInfo): string {
  return `${rootOf(image)}/${SHAPE}${shapeOf(image)}`;
}

async function fits(store: Store, root: string, image: ImageInfo): Promise<boolean> {
  const { isOfOtherShape, state } = await restore(store, root, image);
  const [height, width] = image.size;
  const isInside = (y: number, x: number) => y >= 0 && x >= 0 && y <= height && x <= width;
  const prompts = state?.prompts ?? [];
  return !isOfOtherShape && prompts.every((prompt) => prompt.kind !== 'point' || isInside(...prompt.at));
}
