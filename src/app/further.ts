/** What a window needs for more than one image and its objects: scripts, series, training, tracks and models from files. */
export { declarationInJson, declarationOf } from '../service/model-declaration.js';
export { createService } from '../service/service.js';
export { allAnnotated } from './annotated-images.js';
export { Improver } from './improver.js';
export { beginWithObjects, takeTracks } from './load-objects.js';
export { PageSeries, plateImages, seriesOfFiles } from './series.js';
