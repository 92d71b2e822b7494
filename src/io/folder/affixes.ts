import { stemOf } from './file-names.js';

/**
 * What people and programs add to the name of an image to name its labels, and to the name of a sample to name its image:
 * `cells_labels`, `cells_cp_masks` (Cellpose), `cells_Simple Segmentation` (ilastik), `man_seg003` (Cell Tracking
 * Challenge, of `t003`), `mask_7` of `img_7`.
 */
const LABEL_WORDS = [
  'labels?',
  'lbls?',
  '(?:cp[_-]?)?masks?',
  'seg(?:mentation|mented|_?masks?)?s?',
  'gt',
  'ground[_-]?truths?',
  'instances?(?:[_-](?:labels?|masks?|segmentation))?',
  'annotat(?:ions?|ed)',
  'objects?',
  '(?:simple|multicut)[_ -]segmentation',
  'object[_ -](?:identities|predictions)',
  'tracking[_ -]result',
  'pred(?:iction)?s?',
  'results?',
].join('|');
const IMAGE_WORDS = 'images?|imgs?|im|raw|inputs?';

const LABEL_SUFFIX = new RegExp(`(?:^|[_\\-. ])(?:${LABEL_WORDS})(?:_v04)?$`, 'i');
const LABEL_PREFIX = new RegExp(
  `^(?:${LABEL_WORDS}|man_seg|man_track)[_\\-. ]|^(?:masks?|labels?|gt|man_seg|man_track)(?=\\d)`,
  'i',
);
const IMAGE_SUFFIX = new RegExp(`(?:^|[_\\-. ])(?:${IMAGE_WORDS})$`, 'i');
const IMAGE_PREFIX = new RegExp(`^(?:${IMAGE_WORDS})(?:[_\\-. ]|(?=\\d))|^t(?=\\d+$)`, 'i');

/** The sample that a label image is of, by its stem; undefined if the stem does not say that it is of labels. */
export function sampleOfLabels(stem: string): string | undefined {
  return without(stem, LABEL_SUFFIX) ?? without(stem, LABEL_PREFIX);
}

/** The sample that an image is of, by a stem that says that it is an image; undefined for all other stems. */
export function sampleOfImage(stem: string): string | undefined {
  return without(stem, IMAGE_SUFFIX) ?? without(stem, IMAGE_PREFIX);
}

function without(stem: string, affix: RegExp): string | undefined {
  return affix.test(stem) ? stem.replace(affix, '') : undefined;
}

/** The sample of which another program keeps numbers in this image, e.g. the flows of Cellpose or the probabilities of ilastik. */
export function sampleOfByproduct(path: string): string | undefined {
  return without(
    stemOf(path),
    /_(?:(?:cp_)?(?:flows|dP|cellprob|cp_output|outlines(?:_cp_output)?)(?:_cp)?|(?:object[ -])?probabilities|uncertainty|features)$/i,
  );
}

/** Without the words that say what lies in a folder: `sample1/images` → `sample1`. */
export function sampleFolder(folder: string): string {
  return folder
    .split('/')
    .filter((name) => name !== '' && sampleOfLabels(name) !== '' && sampleOfImage(name) !== '')
    .join('/');
}
