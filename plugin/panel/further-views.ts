/** The sheets and views that only some of the work needs, as one part of the program. */
export { helpSheet } from './help-sheet.js';
export { ImageSettingsView } from './image-settings.js';
export { improveSheet } from './improve-sheet.js';
export { loadSheet } from './load-sheet.js';
export { ObjectTableView } from './object-table.js';
export { objects3dSheet } from './objects-3d-sheet.js';
export { openSheet } from './open-sheet.js';
export { saveSheet } from './save-sheet.js';
export { SeriesView } from './series.js';
export { severalFilesSheet } from './several-files-sheet.js';
export { TracksView } from './tracking.js';
export { versionsSheet } from './versions-sheet.js';
export { whichImageSheet } from './which-image-sheet.js';
