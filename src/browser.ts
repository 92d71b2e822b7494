/**
 * micro-sam as a library in a browser: the same functions as in Node, with images from files that the user picked or from
 * addresses, and the model in a web worker.
 *
 * @example
 * import { createWebWorker, openEmbeddings, openImage, resolveModel, segmentFromPoints } from 'micro-sam-imjoy';
 *
 * const source = await openImage(file); // of an <input type="file">
 * const worker = await createWebWorker('/micro-sam/plugin/worker.js'); // the package's folder `dist`, served by you
 * const model = resolveModel('msi_lm');
 * const embeddings = await openEmbeddings({ source, worker, model });
 * const context = { worker, model: model.name, embeddings, plane: 0 };
 * const { mask } = await segmentFromPoints(context, [{ at: [120, 84], positive: true }]);
 */
export { openService } from './app/script-service.js';
export { indexedDbStore } from './io/stores/indexeddb.js';
export { opfsStore } from './io/stores/opfs.js';
export * from './library.js';
export { createWebWorker } from './worker/create-web-worker.js';
