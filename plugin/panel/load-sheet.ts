import { make } from './dom.js';
import { Sheet } from './menu.js';

/** Which label image, or tracks, to go on from. */
export function loadSheet(committed: number, load: (files: readonly File[]) => void): Sheet {
  const picker = make('input', { type: 'file', multiple: true, className: 'file' });
  picker.setAttribute('aria-label', 'A label image');
  const sheet = new Sheet(
    'Load objects',
    make(
      'p',
      { className: 'note' },
      'A label image of the size of the open image, in which each pixel holds the number of its object: TIFF, OME-TIFF, PNG, zipped OME-Zarr, NumPy, HDF5 or NIfTI, as Cellpose, StarDist, Fiji or this annotator write it.',
    ),
    picker,
    make(
      'p',
      { className: 'note' },
      'For a time series also tracks: a zip of a Cell Tracking Challenge result, or the table of napari with its graph.',
    ),
    make(
      'p',
      { className: 'note' },
      committed === 0
        ? 'Its objects become the committed ones. The tool Select takes one up again to correct it.'
        : `Its objects take the place of the ${committed} committed ones. Undo brings those back.`,
    ),
  );
  picker.addEventListener('change', () => {
    sheet.close();
    if (picker.files?.length) load([...picker.files]);
  });
  return sheet;
}
