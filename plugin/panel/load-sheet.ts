import { make } from './dom.js';
import { Sheet } from './menu.js';

/** Which label image to go on from. */
export function loadSheet(committed: number, load: (file: File) => void): Sheet {
  const picker = make('input', { type: 'file', className: 'file' });
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
      committed === 0
        ? 'Its objects become the committed ones. The tool Select takes one up again to correct it.'
        : `Its objects take the place of the ${committed} committed ones. Undo brings those back.`,
    ),
  );
  picker.addEventListener('change', () => {
    sheet.close();
    const [file] = picker.files ?? [];
    if (file) load(file);
  });
  return sheet;
}
