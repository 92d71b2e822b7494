/**
 * micro-sam as a library in Node, without a page: open images, embed them, segment from prompts or automatically, follow
 * objects through volumes and time, score, export. Coordinates are (y, x) image pixels, arrays are C order.
 *
 * @example
 * import { createNodeWorker, openEmbeddings, openFile, resolveModel, segmentFromPoints } from 'micro-sam-imjoy';
 *
 * const source = await openFile('cells.tif');
 * const worker = await createNodeWorker();
 * const model = resolveModel('msi_lm');
 * const embeddings = await openEmbeddings({ source, worker, model });
 * const context = { worker, model: model.name, embeddings, plane: 0 };
 * const { mask } = await segmentFromPoints(context, [{ at: [120, 84], positive: true }]);
 */
export { openService, trainSam } from './cli/train/train-sam.js';
export { openFile } from './io/node-open.js';
export { folderStore } from './io/stores/fs.js';
export * from './library.js';
export { createNodeWorker, startNodeWorker } from './worker/hosts/node-worker.js';
