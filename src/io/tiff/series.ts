import type { TaskOptions } from '../../task.js';
import type { TiffFile } from './container.js';
import { imageJSeries } from './imagej.js';
import { lsmSeries } from './lsm.js';
import { metaMorphSeries } from './metamorph.js';
import { readPage } from './page.js';
import { readablePages, type TiffSeries } from './planes.js';
import { scanImageSeries } from './scanimage.js';
import { shapedSeries } from './shaped.js';
import { groupedSeries } from './stacks.js';

/**
 * The images of a TIFF that is no OME-TIFF (ome.ts). Programs that say which page is which plane each do so in their own
 * way; other files are read as stacks of the pages that look alike (stacks.ts).
 */
const DIALECTS = [lsmSeries, metaMorphSeries, scanImageSeries, imageJSeries, shapedSeries];

export async function plainSeries(file: TiffFile, options: TaskOptions): Promise<TiffSeries[]> {
  const first = await readPage(file, file.directories[0]);
  for (const read of DIALECTS) {
    const series = await read(file, first, options);
    if (series) return series;
  }
  return groupedSeries(file.source.name, await readablePages(file, 0, options));
}
