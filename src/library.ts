/**
 * What the library offers wherever JavaScript runs; `index.ts` adds what needs Node, `browser.ts` what needs a browser. Every
 * name here is stable API, pinned by tests/public-api.test.ts. Coordinates are (y, x) image pixels, arrays are C order.
 */

export type { EmbeddingSource } from './embeddings/embedding-source.js';
export { type ImageEmbeddings, openEmbeddings } from './embeddings/image-embeddings.js';
export type { EmbeddingOptions } from './embeddings/options.js';
export { precomputeEmbeddings } from './embeddings/precompute.js';
export { chooseTiling, type TileChoice } from './embeddings/tiling.js';
export { ERROR_CODES, type ErrorCode, SamError } from './errors.js';
export { type CtcSequence, type CtcTrack, ctcScores } from './evaluation/ctc.js';
export { gridSearch } from './evaluation/grid-search.js';
export { evaluateIteratively, evaluatePrompts } from './evaluation/iterative-prompting.js';
export { promptFromObject, STANDARD_SETTINGS } from './evaluation/prompts-from-ground-truth.js';
export { reportToHtml, scoresToCsv } from './evaluation/report.js';
export { type SegmentationScores, scoreSegmentation } from './evaluation/segmentation-accuracy.js';
export { type ImageSource, planeCount, readPlane } from './io/image.js';
export { openImage } from './io/open.js';
export { exportLabels } from './io/results/export.js';
export { EXPORT_FORMATS, type ExportFormat } from './io/results/export-formats.js';
export type { Store } from './io/store.js';
export { memoryStore } from './io/stores/memory.js';
export { addLabelsToImage } from './io/zarr/ome-zarr-writer.js';
export { type IntensityPolicy, MIN_MAX, PERCENTILE_1_99, toImage } from './model/intensity.js';
export type { ModelSpec } from './model/model-spec.js';
export { modelNames, registerModel, resolveModel } from './model/registry.js';
export type { LabelImage, Size, Tensor, YX, YXYX } from './ndimage/array.js';
export type { Mask } from './ndimage/mask.js';
export { fromNdarray, toNdarray } from './ndimage/ndarray.js';
export { maskFromBitmap, masksFromLabels, maskToBitmap, paintMask } from './ndimage/rle.js';
export { type AmgResult, generateLabels, generateMasks } from './segmentation/amg/generate.js';
export { deepenAmg, initializeAmg } from './segmentation/amg/initialize.js';
export { AMG_THRESHOLDS, type AmgState, type AmgThresholds } from './segmentation/amg/state.js';
export {
  type AutomaticState,
  automaticSegmentation,
  automaticVolume,
  generateAutomatic,
} from './segmentation/automatic.js';
export type { AutomaticMode } from './segmentation/automatic-settings.js';
export type { SegmentContext } from './segmentation/context.js';
export {
  segmentBatch,
  segmentFromBox,
  segmentFromBoxAndPoints,
  segmentFromMask,
  segmentFromPoints,
} from './segmentation/from-prompts.js';
export type { TrackGraph } from './segmentation/tracking/lineage.js';
export { trackAcrossFrames } from './segmentation/tracking/track.js';
export { mergeSlices } from './segmentation/volume/merge.js';
export { projectThroughVolume } from './segmentation/volume/project.js';
export { PROJECTION_NAMES } from './segmentation/volume/projection.js';
export type { MicroSamService } from './service/service.js';
export type { Progress, TaskOptions } from './task.js';
export { VERSION } from './version.js';
export { connectWorker } from './worker/connect.js';
export { poolWorker } from './worker/pool.js';
export type { SamWorker, WorkerInfo } from './worker/sam-worker.js';
