import type { ImageInput } from '../io/open.js';
import { cellPhantom } from '../io/phantom/phantom.js';

export interface Sample {
  readonly title: string;
  readonly detail: string;
  readonly name: string;
  /** Needs the internet. */
  readonly online: boolean;
  input(): ImageInput;
}

/** A fixed commit of scikit-image, whose folder of images is public. */
const SKIMAGE =
  'https://raw.githubusercontent.com/scikit-image/scikit-image/60764df36c34c5202554aae507722836b6108d10/skimage/data';

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
