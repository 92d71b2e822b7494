import {
  EXPORT_FORMATS,
  type ExportFormat,
  RECORDING_FORMATS,
  type RecordingFormat,
} from '../../src/io/results/export-formats.js';
import { make } from './dom.js';
import { menuList, Sheet } from './menu.js';

/** What each format is good for, in the words of somebody who has to choose. */
const WORDS: Readonly<Record<ExportFormat, readonly [title: string, detail: string]>> = {
  tiff: ['Label image, TIFF', 'Fiji, napari, CellProfiler: every object has its number as grey value'],
  'ome-tiff': ['Label image, OME-TIFF', 'QuPath, OMERO: with pixel size'],
  png: ['Label image, 16-bit PNG', 'Python and most image programs'],
  geojson: ['Outlines, GeoJSON', 'QuPath: objects as polygons'],
  coco: ['Outlines, COCO', 'Training of other models: run lengths and boxes, JSON'],
  'imagej-roi': ['ROIs, ImageJ', 'Fiji: opens in the ROI Manager'],
  csv: ['Table, CSV', 'Area, centre, shape and scores of each object, in physical units where known'],
  'ome-zarr': ['Label image, OME-Zarr 0.5', 'Cloud viewers and recent tools; a folder, in a zip'],
  'ome-zarr-0.4': ['Label image, OME-Zarr 0.4', 'napari and older tools; a folder, in a zip'],
  ctc: ['Tracks, Cell Tracking Challenge', 'res_track.txt and a mask per frame, for a time series'],
  'napari-tracks': ['Tracks, napari', 'A table of centroids and the graph of divisions, for a time series'],
  geff: ['Tracks, GEFF', 'Objects and divisions as a graph, for napari and Mastodon; a folder, in a zip'],
  zip: ['Everything, ZIP', 'All formats in one file'],
};

/** @param saveAll all time points of a recording in one file, where a time point is open */
export function saveSheet(save: (format: ExportFormat) => void, saveAll?: (format: RecordingFormat) => void): Sheet {
  const entry = <Format extends ExportFormat>(format: Format, choose: (format: Format) => void) => {
    const [title, detail] = WORDS[format];
    return { title, detail, choose: () => choose(format) };
  };
  const close = () => sheet.close();
  const here = menuList(
    EXPORT_FORMATS.map((format) => entry(format, save)),
    close,
  );
  const content = saveAll
    ? [
        make('h3', {}, 'All time points'),
        menuList(
          RECORDING_FORMATS.map((format) => entry(format, saveAll)),
          close,
        ),
        make('h3', {}, 'This time point'),
        here,
      ]
    : [here];
  const sheet: Sheet = new Sheet('Save objects', ...content);
  return sheet;
}
