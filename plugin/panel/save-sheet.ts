import { EXPORT_FORMATS, type ExportFormat } from '../../src/io/export.js';
import { menuList, Sheet } from './menu.js';

/** What each format is good for, in words for who has to choose. Formats without words are offered by their name. */
const WORDS: Partial<Record<ExportFormat, readonly [title: string, detail: string]>> = {
  tiff: ['Label image, TIFF', 'Fiji, napari, CellProfiler: every object has its number as grey value'],
  'ome-tiff': ['Label image, OME-TIFF', 'QuPath, OMERO: with pixel size'],
  png: ['Label image, 16-bit PNG', 'Python and most image programs'],
  geojson: ['Outlines, GeoJSON', 'QuPath: objects as polygons'],
  ctc: ['Tracks, Cell Tracking Challenge', 'res_track.txt and a mask per frame, for a time series'],
  zip: ['Everything, ZIP', 'All formats in one file'],
};

export function saveSheet(save: (format: ExportFormat) => void): Sheet {
  const items = EXPORT_FORMATS.map((format) => {
    const [title, detail] = WORDS[format] ?? [format, ''];
    return { title, detail, choose: () => save(format) };
  });
  const sheet: Sheet = new Sheet(
    'Save objects',
    menuList(items, () => sheet.close()),
  );
  return sheet;
}
