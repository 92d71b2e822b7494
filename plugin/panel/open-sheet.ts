import { make } from './dom.js';
import { type MenuItem, menuList, Sheet } from './menu.js';

export interface OpenActions {
  openFiles(files: readonly File[]): void;
  openUrl(url: string): void;
  readonly samples: readonly MenuItem[];
}

/** Where an image can come from: a file, an address, a sample. */
export function openSheet(actions: OpenActions): Sheet {
  const picker = make('input', { type: 'file', multiple: true, className: 'file' });
  picker.setAttribute('aria-label', 'Image files');
  const folder = make('input', { type: 'file', webkitdirectory: true, className: 'file' });
  folder.setAttribute('aria-label', 'A folder of images');
  const address = make('input', { type: 'url', placeholder: 'https://…', required: true });
  address.setAttribute('aria-label', 'Address of an image');
  const form = make('form', { className: 'address' }, address, make('button', { type: 'submit' }, 'Open'));
  const sheet = new Sheet(
    'Open image',
    make('h3', {}, 'From this computer'),
    picker,
    make(
      'p',
      { className: 'note' },
      'TIFF, OME-TIFF, zipped OME-Zarr, PNG, JPEG, NIfTI, NumPy, HDF5. Files can also be dropped anywhere.',
    ),
    make('h3', {}, 'A folder of images, or an OME-Zarr'),
    folder,
    make('h3', {}, 'From an address'),
    form,
    make('h3', {}, 'Sample images'),
    menuList(actions.samples, () => sheet.close()),
  );
  picker.addEventListener('change', () => {
    sheet.close();
    if (picker.files?.length) actions.openFiles([...picker.files]);
  });
  folder.addEventListener('change', () => {
    sheet.close();
    if (folder.files?.length) actions.openFiles([...folder.files]);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    sheet.close();
    actions.openUrl(address.value.trim());
  });
  return sheet;
}
