import type { Array as AnyArray, DataType, Readable } from 'zarrita';
import { SamError } from '../errors.js';
import { files } from '../io/parts.js';
import type { Store } from '../io/store.js';
import { v3Metadata, writeArrayMetadata, type ZarrArray } from '../io/zarr/writer.js';
import { type Tensor, tensor } from '../ndimage/array.js';
import { fromHalf, toHalf } from '../ndimage/half.js';
import { planeArray, readPlane, writePlane } from './plane-array.js';

/**
 * One zarr array of features, [1, 256, 64, 64] or [planes, 1, 256, 64, 64], one chunk per plane. Ours are raw with a
 * checksum and read here; arrays of other writers (v2, or other codecs) are read through zarrita and never written.
 */
export interface FeatureArray {
  /** [1, 256, 64, 64]; `undefined` if missing or damaged. */
  get(plane: number): Promise<Tensor<Float32Array> | undefined>;
  /** Does nothing if another program wrote the array. */
  set(plane: number, features: Tensor<Float32Array>): Promise<void>;
}

const FEATURES = [1, 256, 64, 64] as const;
const COUNT = 256 * 64 * 64;

export async function createFeatureArray(
  store: Store,
  path: string,
  {
    planes,
    half,
    attributes,
  }: { planes: number | undefined; half: boolean; attributes: Readonly<Record<string, unknown>> },
): Promise<FeatureArray> {
  const array = ourArray(planes, half);
  await writeArrayMetadata(store, path, { ...array, attributes });
  return rawArray(store, path, array);
}

/** `undefined` if there is no array of the wanted shape at `path`, or its metadata cannot be read. */
export async function openFeatureArray(
  store: Store,
  path: string,
  planes: number | undefined,
): Promise<FeatureArray | undefined> {
  const bytes = await store.get(`${path}/zarr.json`);
  for (const half of [false, true]) {
    const array = ourArray(planes, half);
    if (bytes && isOurs(bytes, array)) return rawArray(store, path, array);
  }
  if (!bytes && !(await store.get(`${path}/.zarray`))) return undefined;
  return foreignArray(store, path, planes);
}

function ourArray(planes: number | undefined, half: boolean): ZarrArray {
  return planeArray(FEATURES, planes, half ? 'float16' : 'float32');
}

/** Whether metadata say what we would write, but for attributes. */
function isOurs(bytes: Uint8Array, array: ZarrArray): boolean {
  const withoutAttributes = (metadata: object) => JSON.stringify({ ...metadata, attributes: {} });
  try {
    return withoutAttributes(JSON.parse(new TextDecoder().decode(bytes))) === withoutAttributes(v3Metadata(array));
  } catch {
    return false;
  }
}

function rawArray(store: Store, path: string, array: ZarrArray): FeatureArray {
  const half = array.dtype === 'float16';
  return {
    async get(plane) {
      const data = await readPlane(store, path, array, plane);
      return data && tensor(half ? fromHalf(new Uint16Array(data)) : new Float32Array(data), FEATURES);
    },
    async set(plane, { data, shape }) {
      if (data.length !== COUNT)
        throw new SamError('unsupported', `Embeddings of shape [${shape}] cannot be stored; expected [${FEATURES}].`);
      await writePlane(store, path, array, plane, half ? toHalf(data) : data);
    },
  };
}

async function foreignArray(store: Store, path: string, planes: number | undefined): Promise<FeatureArray | undefined> {
  const { openArray } = await files();
  let array: AnyArray<DataType, Readable>;
  try {
    array = await openArray(store, path);
  } catch (error) {
    if (error instanceof SamError) throw error;
    return undefined;
  }
  const shape = planes === undefined ? FEATURES : [planes, ...FEATURES];
  const chunks = planes === undefined ? FEATURES : [1, ...FEATURES];
  if (`${array.shape}` !== `${shape}` || `${array.chunks}` !== `${chunks}` || !/^float(16|32)$/.test(array.dtype))
    throw new SamError(
      'unsupported',
      `The embeddings "${path}" in ${store.name} are ${array.dtype} [${array.shape}] in chunks of [${array.chunks}]; expected float32 [${shape}] in chunks of [${chunks}].`,
    );
  return {
    async get(plane) {
      const data = await decodedChunk(array, planes === undefined ? [0, 0, 0, 0] : [plane, 0, 0, 0, 0]);
      // A missing chunk reads as zeros, which no encoder gives; a cut one comes out short.
      if (!data || data.length !== COUNT || data.every((value) => value === 0)) return undefined;
      return tensor(data, FEATURES);
    },
    async set() {},
  };
}

async function decodedChunk(array: AnyArray<DataType, Readable>, index: number[]): Promise<Float32Array | undefined> {
  try {
    const { data } = await array.getChunk(index);
    return data instanceof Float32Array ? data : Float32Array.from(data as Iterable<number>);
  } catch (error) {
    // The store's own troubles are the caller's; a codec that stumbles means a damaged chunk.
    if (error instanceof SamError || (error instanceof Error && error.name === 'AbortError')) throw error;
    return undefined;
  }
}
