import type { TaskOptions } from '../../task.js';
import type { TiffFile } from './container.js';
import { imageJImages } from './imagej.js';
import { lsmImages } from './lsm.js';
import { metaMorphImages } from './metamorph.js';
import { readPage } from './page.js';
import { readablePages, type TiffImage } from './planes.js';
import { scanImageOf } from './scanimage.js';
import { shapedImages } from './shaped.js';
import { groupedImages } from './stacks.js';

/**
 * The images of a TIFF that is no OME-TIFF (ome.ts). Programs that say which page is which plane each do so in their own
 * way; other files are read as stacks of the pages that look alike (stacks.ts).
 */
const DIALECTS = [lsmImages, metaMorphImages, scanImageOf, imageJImages, shapedImages];

export async function plainImages(file: TiffFile, options: TaskOptions): Promise<TiffImage[]> {
  const first = await readPage(file, file.directories[0]);
  for (const read of DIALECTS) {
    const images = await read(file, first, options);
    if (images) return images;
  }
  return groupedImages(file.source.name, await readablePages(file, 0, options));
}
