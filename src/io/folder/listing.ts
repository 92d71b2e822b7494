import { sampleOfByproduct, sampleOfImage, sampleOfLabels } from './affixes.js';
import {
  extensionOf,
  foldedName,
  folderOf,
  isImageName,
  isThumbnailName,
  isUnreadableImageName,
  naturalOrder,
  stemOf,
} from './file-names.js';
import { isHiddenName } from './hidden-names.js';

/** What a folder is opened for: the images in it, or the label images. One folder may hold both. */
export type FolderRole = 'images' | 'labels';

export interface FolderListing {
  /** In natural order. */
  readonly chosen: readonly string[];
  readonly leftOut: readonly LeftOut[];
}

export interface LeftOut {
  readonly name: string;
  /** Ends the sentence 'left out: cells_labels.tif, …'. */
  readonly why: string;
  /** Because it is the other one of an image and its labels. */
  readonly isPartner?: boolean;
}

type Reason = Pick<LeftOut, 'why' | 'isPartner'>;

/**
 * Which files of a folder are images, told from their names alone. Files of formats that cannot be read count: whoever
 * opens them is told what to do. Hidden files, thumbnails, and what is no image are left out, and of images with labels
 * beside them the one or the other.
 *
 * @param names relative to the folder, with slashes
 */
export function listFolder(names: readonly string[], role: FolderRole = 'images'): FolderListing {
  const leftOut: LeftOut[] = [];
  const pass = (list: readonly string[], why: (name: string) => Reason | undefined) =>
    list.filter((name) => {
      const reason = why(name);
      if (reason !== undefined) leftOut.push({ name, ...reason });
      return reason === undefined;
    });
  const visible = pass(names, notAnImage);
  const samples = new Samples(visible);
  const chosen = pass(visible, (name) =>
    role === 'images' ? samples.whyNoImage(name) : (samples.whyNoLabels(name) ?? samples.sameLabels(name)),
  );
  return { chosen: [...chosen].sort(naturalOrder), leftOut: leftOut.sort((a, b) => naturalOrder(a.name, b.name)) };
}

function notAnImage(name: string): Reason | undefined {
  if (isHiddenName(name)) return { why: 'hidden' };
  if (!isImageName(name) && !isUnreadableImageName(name)) return { why: 'not an image by its name' };
  if (isThumbnailName(name)) return { why: 'a thumbnail' };
  return undefined;
}

/** Which of the files of one listing are the labels of which. */
class Samples {
  private readonly images = new Map<string, string>();
  private readonly labels = new Map<string, string[]>();

  constructor(names: readonly string[]) {
    for (const name of names) {
      const sample = sampleOf(name);
      if (sample === undefined) this.images.set(keyOf(name, sampleOfImage(stemOf(name)) ?? stemOf(name)), name);
      else this.labels.set(sample, [...(this.labels.get(sample) ?? []), name]);
    }
    // Of an image that is called `seg1` the labels are `seg1_labels`.
    for (const name of names) this.images.set(keyOf(name, stemOf(name)), name);
  }

  whyNoImage(name: string): Reason | undefined {
    const image = this.imageOf(name);
    if (image !== undefined) return { why: `belongs to ${image}`, isPartner: byproductOf(name) === undefined };
    return isCellposeName(name) ? { why: 'masks of Cellpose' } : undefined;
  }

  whyNoLabels(name: string): Reason | undefined {
    const image = this.imageOf(name);
    if (image !== undefined) return byproductOf(name) === undefined ? undefined : { why: `belongs to ${image}` };
    const stem = stemOf(name);
    const [labels] = [stem, sampleOfImage(stem) ?? stem].flatMap((key) => this.labels.get(keyOf(name, key)) ?? []);
    return labels === undefined || labels === name ? undefined : { why: `the image of ${labels}`, isPartner: true };
  }

  private imageOf(name: string): string | undefined {
    for (const sample of [byproductOf(name), sampleOf(name)]) {
      const image = sample === undefined ? undefined : this.images.get(sample);
      if (image !== undefined && image !== name) return image;
    }
    return undefined;
  }

  /** One of several files that hold the same labels, because one program wrote them in several formats. */
  sameLabels(name: string): Reason | undefined {
    const all = this.labels.get(sampleOf(name) ?? '') ?? [];
    const better = all.find((other) => sameWriter(name, other) && formatRank(other) < formatRank(name));
    return better === undefined ? undefined : { why: `the same labels as ${better}` };
  }
}

/** Folder and name of the sample that labels are of. */
function sampleOf(name: string): string | undefined {
  const sample = isCellposeName(name) ? stemOf(name).slice(0, -'_seg'.length) : sampleOfLabels(stemOf(name));
  return sample === undefined ? undefined : keyOf(name, sample);
}

function byproductOf(name: string): string | undefined {
  const sample = sampleOfByproduct(name);
  return sample === undefined ? undefined : keyOf(name, sample);
}

function keyOf(name: string, sample: string): string {
  return foldedName(folderOf(name) + sample);
}

function isCellposeName(name: string): boolean {
  return /_seg\.npy$/i.test(name);
}

/** Our own `_labels` in several formats, and Cellpose's `_seg.npy` with its `_cp_masks`. */
function sameWriter(a: string, b: string): boolean {
  const kind = (name: string) =>
    isCellposeName(name) || /_cp_masks$/i.test(stemOf(name))
      ? 'cellpose'
      : /_labels(_v04)?$/.exec(stemOf(name)) && 'own';
  return kind(a) !== null && kind(a) === kind(b);
}

const FORMATS = ['.tif', '.ome.tif', '.png', '.zarr', '.npy'];

function formatRank(name: string): number {
  const extension = name.toLowerCase().endsWith('.ome.tif') ? '.ome.tif' : extensionOf(name).toLowerCase();
  const rank = FORMATS.indexOf(extension);
  return (rank < 0 ? FORMATS.length : rank) + (/_v04\b/.test(name) ? 0.5 : 0);
}
