import { menuList, Sheet } from './menu.js';

/** Several files can be many images or one: only who chose them knows. */
export function severalFilesSheet(count: number, open: { series(): void; one(): void }): Sheet {
  const sheet: Sheet = new Sheet(
    `${count} files`,
    menuList(
      [
        {
          title: 'One after the other',
          detail: 'A series of images: N goes to the next one, all work is kept',
          choose: open.series,
        },
        {
          title: 'As one image',
          detail: 'Frames of a time series in the order of their names, or the parts of one OME-TIFF',
          choose: open.one,
        },
      ],
      () => sheet.close(),
    ),
  );
  return sheet;
}
