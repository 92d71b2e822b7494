/** What reads and writes files, as one part of the program: loaded when the first file is opened or saved. */
export { partsOfSets } from './folder/file-sets.js';
export { openFile } from './open-file.js';
export { readCtc, tracksToLineages } from './results/ctc.js';
export { exportLabels } from './results/export.js';
export { exportRecording } from './results/export-recording.js';
export { labelsToGeoJson } from './results/geojson.js';
export { parseNapariTracks } from './results/napari-tracks.js';
export { httpStore } from './stores/http.js';
export { zipFiles } from './stores/zip.js';
export { zarrOfFiles } from './zarr/files.js';
export { openArray } from './zarr/open-array.js';
export { plateFields } from './zarr/plate.js';
export { openZipArchive } from './zip-archive.js';
