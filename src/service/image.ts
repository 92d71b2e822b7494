import * as v from 'valibot';
import { memoryBytes } from '../io/bytes.js';
import { nameOfUrl } from '../io/http.js';
import type { ImageInput } from '../io/open.js';
import { fromRpcArray, isArrayLike } from '../io/rpc-array.js';
import type { Tensor } from '../ndimage/array.js';
import { type EmbeddingsHandle, isHandle } from './handle.js';
import { fromNestedList, isNestedList } from './ndarray.js';

/** Images as callers hand them over: an array in memory or lists in lists, an address, a file, or the bytes of one. */
export type ServiceImage = Tensor | string | Blob | Uint8Array;

export const tensorSchema = v.union(
  [
    v.pipe(
      v.custom<unknown>(isArrayLike),
      v.transform((value) => fromRpcArray(value)),
    ),
    v.pipe(
      v.custom<readonly unknown[]>(isNestedList),
      v.transform((value) => fromNestedList(value)),
    ),
  ],
  'expected an ndarray, or lists of numbers in lists',
);

export const bytesSchema = v.union([
  v.instance(Uint8Array),
  v.pipe(
    v.instance(ArrayBuffer),
    v.transform((buffer) => new Uint8Array(buffer)),
  ),
]);

export const imageSchema = v.union(
  [tensorSchema, v.pipe(v.string(), v.nonEmpty()), v.instance(Blob), bytesSchema],
  'expected an ndarray, a URL, a File or bytes',
);

/** An image, or what `precompute_image_embeddings` made of one. */
export const imageOrHandleSchema = v.union(
  [v.custom<EmbeddingsHandle>(isHandle), imageSchema],
  'expected an ndarray, a URL, a File or bytes, or what precompute_image_embeddings gave',
);

/** For `openImage`, which does not know what an array is called. */
export function imageInput(
  image: ServiceImage,
  { name, axes }: { readonly name?: string; readonly axes?: string } = {},
): ImageInput {
  if (image instanceof Uint8Array) return memoryBytes(image, name);
  if (typeof image === 'string' || image instanceof Blob) return image;
  return { ...image, axes, name };
}

/** What it is called by itself; arrays and bytes have no name. */
export function imageName(image: ServiceImage): string | undefined {
  if (typeof image === 'string') return /^(data|blob):/i.test(image) ? undefined : nameOfUrl(image);
  return 'name' in image && typeof image.name === 'string' ? image.name : undefined;
}
