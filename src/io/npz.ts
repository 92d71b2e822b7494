import { unzipSync } from 'fflate';
import { SamError } from '../errors.js';
import { type ByteSource, memoryBytes, readAll } from './bytes.js';
import type { ImageSource } from './image.js';
import { openNpy } from './npy.js';
import type { OpenOptions } from './open.js';
import { asImageErrors, checkBlockSize, checkPlausible } from './region.js';
import { rootOfKeys } from './zarr-keys.js';

/** Zip archives that hold an image: NumPy's .npz (choose the array by `key`), and zipped zarrs. */
export async function openZip(source: ByteSource, options: OpenOptions = {}): Promise<ImageSource> {
  const { name } = source;
  const bytes = await readAll(source, options);
  const members = new Map<string, { readonly size: number; readonly originalSize: number }>();
  await asImageErrors(name, async () =>
    unzipSync(bytes, {
      filter({ name: member, size, originalSize }) {
        members.set(member, { size, originalSize });
        return false;
      },
    }),
  );
  if ([...members.keys()].some((member) => /(^|\/)(zarr\.json|\.zarray|\.zgroup)$/.test(member)))
    return openZippedZarr(bytes, name, [...members.keys()], options);
  const arrays = [...members.keys()].filter((member) => member.endsWith('.npy'));
  const wanted = options.key === undefined ? arrays[0] : arrays.find((member) => member === `${options.key}.npy`);
  if (wanted === undefined)
    throw new SamError(
      options.key === undefined ? 'unsupported' : 'not_found',
      `${name} holds ${arrays.length === 0 ? 'no NumPy array and no zarr' : `the arrays ${arrays.map((a) => a.replace(/\.npy$/, '')).join(', ')}`}${options.key === undefined ? '; unpack it and open the image inside.' : `, not "${options.key}".`}`,
    );
  const { size, originalSize } = members.get(wanted) ?? { size: 0, originalSize: 0 };
  checkBlockSize(name, `an array "${wanted}"`, [originalSize], 1);
  checkPlausible(name, originalSize, size * 1032 + 1024, size);
  const array = await asImageErrors(name, async () => unzipSync(bytes, { filter: (member) => member.name === wanted }));
  const image = await openNpy(memoryBytes(array[wanted], name), options);
  return { ...image, images: arrays.map((member) => member.replace(/\.npy$/, '')) };
}

async function openZippedZarr(
  bytes: Uint8Array,
  name: string,
  members: readonly string[],
  options: OpenOptions,
): Promise<ImageSource> {
  const { zipStore } = await import('./stores/zip.js');
  const { prefixStore } = await import('./stores/prefix.js');
  const { openZarr } = await import('./zarr.js');
  const store = await zipStore(bytes, name);
  const root = rootOfKeys(members) ?? '';
  return openZarr(root === '' ? store : prefixStore(store, root), { name, ...options });
}
