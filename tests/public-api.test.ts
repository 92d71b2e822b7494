import assert from 'node:assert/strict';
import * as library from '../src/index.js';

/** Scripts import these names: removing or renaming one is a breaking change, and adding one a promise. */
const NAMES = [
  'AMG_THRESHOLDS',
  'ERROR_CODES',
  'EXPORT_FORMATS',
  'MIN_MAX',
  'PERCENTILE_1_99',
  'PROJECTION_NAMES',
  'STANDARD_SETTINGS',
  'SamError',
  'automaticSegmentation',
  'automaticVolume',
  'chooseTiling',
  'connectWorker',
  'createNodeWorker',
  'ctcScores',
  'evaluateIteratively',
  'evaluatePrompts',
  'exportLabels',
  'folderStore',
  'generateLabels',
  'generateMasks',
  'gridSearch',
  'initializeAmg',
  'maskFromBitmap',
  'maskToBitmap',
  'masksFromLabels',
  'memoryStore',
  'mergeSlices',
  'modelNames',
  'openEmbeddings',
  'openFile',
  'openImage',
  'paintMask',
  'planeCount',
  'poolWorker',
  'precomputeEmbeddings',
  'projectThroughVolume',
  'promptFromObject',
  'readPlane',
  'registerModel',
  'reportToHtml',
  'resolveModel',
  'scoreSegmentation',
  'scoresToCsv',
  'segmentBatch',
  'segmentFromBox',
  'segmentFromBoxAndPoints',
  'segmentFromMask',
  'segmentFromPoints',
  'startNodeWorker',
  'toImage',
  'trackAcrossFrames',
];

describe('public API', () => {
  it('exports exactly the pinned names', () => {
    assert.deepEqual(Object.keys(library).sort(), NAMES);
  });
});
