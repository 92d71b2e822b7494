/** What annotates volumes and time series, as one part of the program: loaded with the first image of several planes. */
export { Annotator3d } from './annotator-3d.js';
export { AnnotatorTracking } from './annotator-tracking.js';
