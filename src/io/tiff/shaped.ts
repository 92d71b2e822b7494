import { itemAt, membersOf } from '../../items.js';
import { sizeOf } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { TiffFile } from './container.js';
import { readPage, samplePage, type TiffPage } from './page.js';
import { hyperstack, listPlanes, type PlaneList, readablePages, type TiffImage } from './planes.js';
import { centimetres, groupedImages } from './stacks.js';

/**
 * What tifffile writes: the shape of the array in the description of its first page, `{"shape": [3, 2, 64, 64], "axes":
 * "TCYX"}` or `shape=(3, 2, 64, 64)`, one page per plane or one for all. A file may hold several such arrays.
 */
interface Shaped {
  readonly shape: readonly number[];
  readonly axes: string | undefined;
  readonly name: string | undefined;
  readonly truncated: boolean;
}

export async function shapedImages(
  file: TiffFile,
  first: TiffPage,
  options: TaskOptions,
): Promise<TiffImage[] | undefined> {
  const images: TiffImage[] = [];
  let index = 0;
  while (index < file.directories.length) {
    options.signal?.throwIfAborted();
    const page = index === 0 ? first : await readPage(file, itemAt(file.directories, index));
    const next = await readImage(file, page, index);
    if (next === undefined) break;
    images.push(next.image);
    index += next.pages;
  }
  if (index === 0) return undefined;
  // Whatever else is in the file, pages that other programs have added.
  const others = await readablePages(file, Math.max(1, index), options);
  return [...images, ...(await groupedImages(file.source.name, others))];
}

async function readImage(file: TiffFile, page: TiffPage, index: number) {
  const shaped = parseShaped(page.description);
  if (shaped === undefined) return undefined;
  const perPage = page.height * page.width * page.samples;
  const expected = sizeOf(shaped.shape) / perPage;
  const apart = samplesArePlanes(shaped, page);
  const axes =
    Number.isInteger(expected) && expected >= 1
      ? planeShape(shaped, apart ? page.height * page.width : perPage)
      : undefined;
  if (axes === undefined) return undefined;
  const directories = shaped.truncated ? [page.directory] : file.directories.slice(index, index + expected);
  const planes = await listPlanes(file, page, expected, directories);
  const { name } = file.source;
  if (expected > 1 && planes.count === 1)
    // Text that a program has copied from another file.
    return undefined;
  const image = hyperstack({
    name: shaped.name || name,
    first: apart ? samplePage(page, 0) : page,
    planes: apart ? planesOfSamples(planes, page.samples) : planes,
    sizes: axes.sizes,
    order: axes.order,
    pixelSize: await centimetres(page),
  });
  return { image, pages: directories.length };
}

/** tifffile takes 3 or 4 planes of an array for colours, although its axes say that they are slices or time points. */
function samplesArePlanes({ shape, axes }: Shaped, { planar, samples }: TiffPage): boolean {
  const letter = axes?.at(-3);
  return planar && samples > 1 && shape.at(-3) === samples && letter !== undefined && !/[sc]/.test(letter);
}

function planesOfSamples(planes: PlaneList, samples: number): PlaneList {
  return {
    count: planes.count * samples,
    async at(index) {
      const plane = await planes.at(Math.floor(index / samples));
      const sample = index % samples;
      return 'shift' in plane ? { ...plane, page: samplePage(plane.page, sample) } : samplePage(plane, sample);
    },
  };
}

function parseShaped(description: string | undefined): Shaped | undefined {
  const [, old] = /^shape=\(([\d\s,]+)\)/.exec(description ?? '') ?? [];
  if (old !== undefined) return { shape: wholeNumbers(old.split(',').filter(Boolean)) ?? [], ...NOTHING_ELSE };
  if (!description?.startsWith('{')) return undefined;
  try {
    const { shape, axes, name, truncated } = membersOf(JSON.parse(description));
    const lengths = Array.isArray(shape) ? wholeNumbers(shape) : undefined;
    if (lengths === undefined) return undefined;
    const letters = typeof axes === 'string' && axes.length === lengths.length ? axes.toLowerCase() : undefined;
    return {
      shape: lengths,
      axes: letters,
      name: typeof name === 'string' ? name : undefined,
      truncated: truncated === true,
    };
  } catch {
    return undefined;
  }
}

const NOTHING_ELSE = { axes: undefined, name: undefined, truncated: false };

function wholeNumbers(values: readonly unknown[]): number[] | undefined {
  const numbers = values.map(Number);
  return numbers.every((value) => Number.isSafeInteger(value) && value > 0) ? numbers : undefined;
}

/** The axes before those of a page as t, z and c; letters that mean something else take what is free, z first. */
function planeShape({ shape, axes }: Shaped, perPage: number) {
  let rank = shape.length;
  while (rank > 0 && sizeOf(shape.slice(rank - 1)) <= perPage) rank--;
  if (sizeOf(shape.slice(rank)) !== perPage) return undefined;
  const sizes = { t: 1, z: 1, c: 1 };
  const long = [...shape.entries()].slice(0, rank).filter(([, length]) => length > 1);
  const stated = long.map(([axis]) => axes?.[axis] ?? '');
  const named = stated.map((letter, i) => letter in sizes && stated.indexOf(letter) === i);
  const free = ['z', 't', 'c'].filter((letter) => !stated.includes(letter));
  const unnamed = named.filter((is) => !is).length;
  if (unnamed > free.length) return undefined;
  const given = free.slice(0, unnamed);
  const slowestFirst = ['t', 'c', 'z'].filter((letter) => given.includes(letter));
  const order = stated.map((letter, i) => (named[i] ? letter : (slowestFirst.shift() ?? '')));
  for (const [i, [, length]] of long.entries()) sizes[order[i] as 't'] = length;
  const rest = ['t', 'z', 'c'].filter((letter) => !order.includes(letter));
  return { sizes, order: [...rest, ...order].join('') };
}
