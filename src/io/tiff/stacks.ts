import { itemAt } from '../../items.js';
import type { ImageSource } from '../image.js';
import { groupBy } from '../region.js';
import { TAG } from './container.js';
import type { TiffPage } from './page.js';
import { hyperstack, type PlaneList, type TiffImage } from './planes.js';

/** Pages of which nothing says what they are: stacks of those that look alike, pyramids where smaller ones follow. */

type Pages = readonly [first: TiffPage, ...more: TiffPage[]];

/** Pages that look alike as stacks, in the order of the first of each. */
export async function groupedImages(name: string, pages: readonly TiffPage[]): Promise<TiffImage[]> {
  const groups = [...groupBy(pages, shapeOf).values()].flatMap(([first, ...more]): Pages[] =>
    first ? [[first, ...more]] : [],
  );
  const taken = new Set<Pages>();
  const images: TiffImage[] = [];
  for (const group of groups) {
    if (taken.has(group)) continue;
    const lower = groups.filter((other) => other !== group && !taken.has(other) && isLowerLevel(other, group));
    lower.sort((a, b) => b[0].width - a[0].width);
    for (const other of lower) taken.add(other);
    images.push(await stack(name, [group, ...lower]));
  }
  return images;
}

function shapeOf(page: TiffPage): string {
  return [page.height, page.width, page.samples, page.dtype, page.photometric, page.planar].join();
}

function isLowerLevel(pages: Pages, full: Pages): boolean {
  const [small] = pages;
  const [large] = full;
  if (pages.length !== full.length || small.samples !== large.samples || small.dtype !== large.dtype) return false;
  if (!(small.reduced || (small.tiled && large.tiled)) || small.width >= large.width) return false;
  const factor = large.width / small.width;
  return Math.abs(large.height / factor - small.height) <= 2;
}

async function stack(name: string, levels: readonly [full: Pages, ...lower: Pages[]]): Promise<TiffImage> {
  const [pages] = levels;
  const [first] = pages;
  const planes: PlaneList = { count: pages.length, at: async (index) => itemAt(pages, index) };
  const whole = hyperstack({
    name,
    first,
    planes,
    sizes: { t: 1, c: 1, z: pages.length },
    order: 'tcz',
    pixelSize: aperio(first.description) ?? (await centimetres(first)),
  });
  return {
    ...whole,
    levels: levels.map(([page]) => [page.height, page.width]),
    page: async (_t, z, _c, level) => levels[level]?.[z],
  };
}

/** Pixels per centimetre are a measurement; pixels per inch are what drawing programs put into every file. */
export async function centimetres(page: TiffPage): Promise<ImageSource['pixelSize']> {
  if ((await page.directory.number(TAG.resolutionUnit, 2)) !== 3) return undefined;
  const x = await page.directory.number(TAG.xResolution, 0);
  const y = await page.directory.number(TAG.yResolution, 0);
  return x > 0 && y > 0 && Number.isFinite(x * y) ? { y: 1e4 / y, x: 1e4 / x, unit: 'µm' } : undefined;
}

/** Aperio's slide scanners write micrometres per pixel into the description: `|MPP = 0.4990|`. */
function aperio(description: string | undefined): ImageSource['pixelSize'] {
  if (!description?.startsWith('Aperio ')) return undefined;
  const size = Number(/\|\s*MPP\s*=\s*([\d.]+)/i.exec(description)?.[1] ?? Number.NaN);
  return size > 0 && Number.isFinite(size) ? { y: size, x: size, unit: 'µm' } : undefined;
}
