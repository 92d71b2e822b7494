import { SamError } from '../errors.js';
import { itemAt } from '../items.js';
import type { ByteSource } from './bytes.js';
import { naturalOrder } from './folder/file-names.js';
import { listFolder } from './folder/listing.js';
import type { ImageSource } from './image.js';
import { planeAxes } from './ndarray.js';
import { imageSource } from './region.js';

/**
 * Several files as one image: frames of a time series, one file each, in the natural order of their names (t2 before
 * t10). They must be alike; only the first is opened until another frame is asked for.
 */
type Open = (source: ByteSource, companions: readonly ByteSource[]) => Promise<ImageSource>;

export async function openFrameFiles(files: readonly ByteSource[], open: Open): Promise<ImageSource> {
  const { chosen } = listFolder(files.map(({ name }) => name));
  const images = files.length === 1 ? files : files.filter(({ name }) => chosen.includes(name));
  const sorted = [...images].sort((a, b) => naturalOrder(a.name, b.name));
  const [firstFile] = sorted;
  if (firstFile === undefined)
    throw new SamError(
      'unsupported',
      `None of the ${files.length} files is an image by its name (${files[0]?.name}, ...); choose images, or open one by itself.`,
    );
  const others = files.filter((file) => file !== firstFile);
  const first = await open(firstFile, others);
  // An OME-TIFF that spans the files is the whole image already.
  if (sorted.length === 1) return first;
  if ((first.files?.length ?? 1) > 1)
    return {
      ...first,
      async close() {
        await first.close();
        for (const file of others) await file.close?.();
      },
    };
  if (first.sizes.t > 1)
    throw new SamError(
      'unsupported',
      `${firstFile.name} is a time series itself; ${sorted.length} of them cannot be opened as one image. Open them one by one.`,
    );
  const opened = new Map<number, Promise<ImageSource>>([[0, Promise.resolve(first)]]);
  const frame = (t: number) => {
    let image = opened.get(t);
    if (image === undefined) {
      image = open(itemAt(sorted, t), []).then((other) => alike(other, first));
      opened.set(t, image);
      image.catch(() => opened.delete(t));
    }
    return image;
  };
  const { readRegion: _read, close: _close, images: _images, ...description } = first;
  return imageSource(
    {
      ...description,
      name: commonName(sorted),
      axes: planeAxes(true, first.sizes.z > 1),
      sizes: { ...first.sizes, t: sorted.length },
    },
    async ({ t, z, channels, level, box }, options) => {
      const { data } = await (await frame(t)).readRegion({ z, channels, level, box }, options);
      return data;
    },
    async () => {
      for (const image of opened.values()) await (await image).close();
      for (const [t, file] of sorted.entries()) if (!opened.has(t)) await file.close?.();
    },
  );
}

function alike(image: ImageSource, first: ImageSource): ImageSource {
  const same = (['c', 'z', 'y', 'x'] as const).every((axis) => image.sizes[axis] === first.sizes[axis]);
  if (same && image.dtype === first.dtype && image.sizes.t === 1) return image;
  const { z, y, x, c } = image.sizes;
  const { sizes } = first;
  throw new SamError(
    'invalid_image',
    `${image.name} is ${z} x ${y} x ${x} with ${c} channels (${image.dtype}), but ${first.name} is ${sizes.z} x ${sizes.y} x ${sizes.x} with ${sizes.c} (${first.dtype}); files opened as one time series have to be alike. Open them one by one.`,
  );
}

function commonName(files: readonly ByteSource[]): string {
  const [first, last] = [files.at(0)?.name ?? '', files.at(-1)?.name ?? ''];
  let end = 0;
  while (end < first.length && first[end] === last[end]) end++;
  const stem = first.slice(0, end).replace(/[\d_\-. ]+$/, '');
  return stem || first;
}
