import * as v from 'valibot';
import { SamError } from '../../errors.js';
import { hasMembers, membersOf } from '../../items.js';
import type { ReadOptions, Store } from '../store.js';
import { readNode } from './array.js';
import { omeAttributes } from './ome-zarr.js';

/** A field of view of a plate: an OME-Zarr image of its own below `key`, e.g. `A/1/0`. */
export interface PlateField {
  readonly key: string;
  /** Row and column of the well, and the field where the well has several: `A1`, `B12 field 3`. */
  readonly name: string;
}

const Paths = v.pipe(v.array(v.looseObject({ path: v.string() })), v.minLength(1));

/**
 * The fields of view of an OME-Zarr plate (0.4 and 0.5), in the order in which its metadata list wells and fields;
 * undefined if the store is no plate. A well that cannot be read is listed with its first field, so that whoever opens
 * it is told.
 *
 * @throws SamError `invalid_image` if it is a plate without wells
 */
export async function plateFields(store: Store, options: ReadOptions = {}): Promise<PlateField[] | undefined> {
  const node = await readNode(store, '', options);
  const plate = node && omeAttributes(node.attributes).plate;
  if (!hasMembers(plate)) return undefined;
  const wells = v.safeParse(Paths, plate.wells);
  if (!wells.success) throw new SamError('invalid_image', `${store.name} is an OME-Zarr plate that lists no wells.`);
  const fields = await Promise.all(wells.output.map(({ path }) => wellFields(store, path, options)));
  return fields.flat();
}

async function wellFields(store: Store, well: string, options: ReadOptions): Promise<PlateField[]> {
  const node = await readNode(store, well, options).catch((error) => {
    options.signal?.throwIfAborted();
    if (error instanceof SamError && error.code === 'invalid_image') return undefined;
    throw error;
  });
  const { images } = membersOf(node && omeAttributes(node.attributes).well);
  const parsed = v.safeParse(Paths, images);
  const paths = parsed.success ? parsed.output.map(({ path }) => path) : ['0'];
  const name = well.replaceAll('/', '');
  return paths.map((path) => ({
    key: `${well}/${path}`,
    name: paths.length === 1 ? name : `${name} field ${path}`,
  }));
}
