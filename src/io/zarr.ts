import { SamError } from '../errors.js';
import type { ImageSource } from './image.js';
import type { OpenOptions } from './open.js';
import type { Store } from './store.js';

export async function openZarr(store: Store, _options: OpenOptions): Promise<ImageSource> {
  throw new SamError('unsupported', `${store.name}: zarr is not read yet.`);
}
