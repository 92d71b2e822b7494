import type { ByteSource } from './bytes.js';
import type { NdarrayImage } from './ndarray.js';
import type { Store } from './store.js';

/** Anything that holds an image. */
export type ImageInput =
  | ByteSource
  | Uint8Array
  | Blob
  /** A dropped folder, or files chosen together: one zarr, the parts of one OME-TIFF, or frames of a time series. */
  | readonly (Blob | ByteSource)[]
  /** The address of a file or of a zarr group. */
  | string
  | NdarrayImage
  | Store;
