import { type MenuItem, menuList, Sheet } from './menu.js';

/** A file that holds several images (HDF5, .npz, OME-TIFF, a group of a zarr) does not say which one is meant. */
export function whichImageSheet(names: readonly string[], choose: (index: number) => void): Sheet {
  const items = names.map((title, index): MenuItem => ({ title, choose: () => choose(index) }));
  const sheet: Sheet = new Sheet(
    'Which image?',
    menuList(items, () => sheet.close()),
  );
  return sheet;
}
