import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as inBrowser from '../src/browser.js';
import * as inNode from '../src/index.js';

/** Scripts import these names: removing or renaming one is a breaking change, and adding one a promise. */
const EVERYWHERE = [
  'AMG_THRESHOLDS',
  'ERROR_CODES',
  'EXPORT_FORMATS',
  'MIN_MAX',
  'PERCENTILE_1_99',
  'PROJECTION_NAMES',
  'STANDARD_SETTINGS',
  'SamError',
  'VERSION',
  'addLabelsToImage',
  'automaticSegmentation',
  'automaticVolume',
  'chooseTiling',
  'connectWorker',
  'ctcScores',
  'deepenAmg',
  'evaluateIteratively',
  'evaluatePrompts',
  'exportLabels',
  'fromNdarray',
  'generateAutomatic',
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
  'openImage',
  'openService',
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
  'toImage',
  'toNdarray',
  'trackAcrossFrames',
];

const IN_NODE = ['createNodeWorker', 'folderStore', 'openFile', 'startNodeWorker', 'trainSam'];
const IN_BROWSERS = ['createWebWorker', 'indexedDbStore', 'opfsStore'];

describe('public API', () => {
  it('exports exactly the pinned names in Node', () => {
    assert.deepEqual(Object.keys(inNode).sort(), [...EVERYWHERE, ...IN_NODE].sort());
  });

  it('exports exactly the pinned names in browsers', () => {
    assert.deepEqual(Object.keys(inBrowser).sort(), [...EVERYWHERE, ...IN_BROWSERS].sort());
  });

  it('tells one version everywhere', () => {
    const read = (file: string) => readFileSync(file, 'utf8');
    const { version } = JSON.parse(read('package.json'));
    const manifest = JSON.parse(read('manifest.imjoy.json'));
    const launcher = JSON.parse(/<config lang="json">(.*?)<\/config>/s.exec(read('plugin/micro-sam.imjoy.html'))![1]);
    assert.equal(inNode.VERSION, version);
    assert.match(read('docs/bioengine/manifest.yaml'), new RegExp(`^version: ${version}$`, 'm'));
    assert.match(read('docs/bioengine/micro_sam_worker.py'), new RegExp(`^VERSION = "${version}"$`, 'm'));
    assert.deepEqual([manifest.version, manifest.plugins[0].version, launcher.version], [version, version, version]);
  });
});
