/** The readers, as one part of the program that is loaded when the first image is opened. */
export { partsOfSets } from './folder/file-sets.js';
export { openJpeg } from './formats/jpeg.js';
export { openNifti } from './formats/nifti.js';
export { openNpy } from './formats/npy.js';
export { openZip } from './formats/npz.js';
export { openPng } from './formats/png.js';
export { openWebp } from './formats/webp.js';
export { findSuperblock } from './hdf5/fields.js';
export { openHdf5 } from './hdf5/hdf5.js';
export { httpStore } from './stores/http.js';
export { openCompanion, openTiff } from './tiff/tiff.js';
export { zarrOfFiles } from './zarr/files.js';
export { openZarr } from './zarr/zarr.js';
