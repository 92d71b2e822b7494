import type { ImageInput } from '../../src/io/open.js';
import { cellPhantom } from '../../src/io/phantom.js';

export interface Sample {
  readonly title: string;
  readonly detail: string;
  readonly name: string;
  /** Needs the internet. */
  readonly online: boolean;
  input(): ImageInput;
}

const SKIMAGE = 'https://raw.githubusercontent.com/scikit-image/scikit-image/v0.22.0/skimage/data';

/** Images to try the annotator on. The first is made here and needs no internet. */
export const SAMPLES: readonly Sample[] = [
  {
    title: 'Nuclei',
    detail: 'Generated, with noise and uneven light; works without internet',
    name: 'sample-nuclei',
    online: false,
    input: () => ({ ...cellPhantom().image, name: 'sample-nuclei' }),
  },
  {
    title: 'Cell',
    detail: 'Phase contrast, from scikit-image (internet)',
    name: 'cell.png',
    online: true,
    input: () => `${SKIMAGE}/cell.png`,
  },
  {
    title: 'Immunohistochemistry',
    detail: 'Stained colon tissue, from scikit-image (internet)',
    name: 'ihc.png',
    online: true,
    input: () => `${SKIMAGE}/ihc.png`,
  },
  {
    title: 'Coins',
    detail: 'Not microscopy, but easy to judge; from scikit-image (internet)',
    name: 'coins.png',
    online: true,
    input: () => `${SKIMAGE}/coins.png`,
  },
];
