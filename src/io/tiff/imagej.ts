import type { ImageSource } from '../image.js';
import { pixelSizeFrom } from '../pixel-size-of.js';
import { TAG, type TiffFile } from './container.js';
import type { TiffPage } from './page.js';
import { channelsOf, hyperstack, listPlanes, type PlaneList, type TiffImage } from './planes.js';

/**
 * ImageJ's stacks and hyperstacks (also SCIFIO's): `key=value` lines in the description of the first page count images,
 * channels, slices and frames; any of them may be left out. Files above 4 GB have one directory for all planes. Where the
 * text and the pages differ, the pages count.
 */
type Fields = ReadonlyMap<string, string>;
type Sizes = TiffImage['sizes'];

export async function imageJImages(file: TiffFile, first: TiffPage): Promise<TiffImage[] | undefined> {
  const fields = imageJFields(first.description);
  if (!fields) return undefined;
  const count = (key: string) => Math.max(1, Math.floor(Number(fields.get(key))) || 1);
  const images = fields.has('images') ? count('images') : undefined;
  let sizes = { c: count('channels'), z: count('slices'), t: count('frames') };
  // Samples of a page that are counted as channels too.
  const pages = images ?? file.directories.length;
  if (sizes.c === first.samples && pages === sizes.z * sizes.t) sizes = { ...sizes, c: 1 };
  const stated = sizes.c * sizes.z * sizes.t;
  const planes = await withoutExtras(await listPlanes(file, first, Math.max(stated, images ?? 1)), stated);
  const fitted = fitSizes(sizes, planes.count, images, fields);
  const contradiction = `The ImageJ text of ${file.source.name} states ${sizes.t} frames x ${sizes.z} slices x ${sizes.c} channels, but the file holds ${planes.count} planes; it is read as ${fitted.t} x ${fitted.z} x ${fitted.c}.`;
  const grows = fitted.t * fitted.z * fitted.c !== stated;
  const silent = (['channels', 'slices', 'frames'] as const).some((key) => !fields.has(key)) && stated < planes.count;
  const plain = channelsOf(first, fitted.c);
  const [channel, ...more] = plain;
  const [low, high] = [Number(fields.get('min')), Number(fields.get('max'))];
  return [
    hyperstack({
      name: file.source.name,
      first,
      planes,
      sizes: fitted,
      order: planeOrder(fields.get('order')),
      channels: channel && more.length === 0 && low < high ? [{ ...channel, limits: [low, high] }] : plain,
      pixelSize: await pixelSizeOf(first, fields),
      notices: grows && !silent ? [contradiction] : [],
    }),
  ];
}

function imageJFields(description: string | undefined): Fields | undefined {
  if (!description || !/^(ImageJ|SCIFIO)=/.test(description)) return undefined;
  return new Map(
    description.split(/[\r\n]+/).map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }),
  );
}

/** Pages beyond those that are counted belong to the stack if they look like the first. */
async function withoutExtras(planes: PlaneList, stated: number): Promise<PlaneList> {
  if (planes.count <= stated || stated === 1) return planes;
  const alike = await planes.at(planes.count - 1).then(
    () => true,
    () => false,
  );
  return alike ? planes : { ...planes, count: stated };
}

/** The sizes that fit `count` planes, or larger ones where the text and its number of images announce more. */
function fitSizes(stated: Sizes, count: number, images: number | undefined, fields: Fields): Sizes {
  const { c, z, t } = stated;
  const total = c * z * t;
  if (total === count) return stated;
  const stack = { c: 1, z: count, t: 1 };
  if (total > count) return images === count || count === 1 ? stack : stated;
  // An axis that is not mentioned has the rest.
  if (!fields.has('slices') && count % (c * t) === 0) return { c, z: count / (c * t), t };
  if (!fields.has('frames') && count % (c * z) === 0) return { c, z, t: count / (c * z) };
  if (!fields.has('channels') && count % (z * t) === 0) return { c: count / (z * t), z, t };
  return count % (c * z) === 0 ? { c, z, t: count / (c * z) } : stack;
}

/** ImageJ's order names the fastest axis first, and is 'czt' unless it says otherwise. */
function planeOrder(order: string | undefined): string {
  const letters = order?.toLowerCase() ?? '';
  const known = /^[czt]{3}$/.test(letters) && new Set(letters).size === 3;
  return [...(known ? letters : 'czt')].reverse().join('');
}

async function pixelSizeOf(page: TiffPage, fields: Fields): Promise<ImageSource['pixelSize']> {
  const unit = fields.get('unit') ?? '';
  const perUnit = async (tag: number) => 1 / (await page.directory.number(tag, 0));
  return pixelSizeFrom({
    z: { length: Number(fields.get('spacing') ?? Number.NaN), unit: fields.get('zunit') || unit },
    y: { length: await perUnit(TAG.yResolution), unit: fields.get('yunit') || unit },
    x: { length: await perUnit(TAG.xResolution), unit },
  });
}
