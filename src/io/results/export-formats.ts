/** What a user can choose to save objects as; how each is written is in `export.ts` and `export-recording.ts`. */
export const EXPORT_FORMATS = [
  'tiff',
  'ome-tiff',
  'png',
  'geojson',
  'coco',
  'imagej-roi',
  'csv',
  'ome-zarr',
  'ome-zarr-0.4',
  'ctc',
  'napari-tracks',
  'geff',
  'zip',
] as const;

export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Those that have both time and depth, or a column for the time. */
export const RECORDING_FORMATS = ['tiff', 'ome-tiff', 'ome-zarr', 'ome-zarr-0.4', 'csv'] as const;

export type RecordingFormat = (typeof RECORDING_FORMATS)[number];
