import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, memoryBytes, readAll } from '../bytes.js';
import { PickleArray, type PickleValue, readPickle } from './pickle.js';

/**
 * The masks in a `_seg.npy` of Cellpose: an array of one Python dictionary, whose `masks` are numbers of objects, [y, x] or
 * [z, y, x]. As a plain .npy in memory, which is what other readers take.
 *
 * @param offset where the pickle begins, after the header of the .npy
 * @throws SamError `unsupported` if it holds other objects
 */
export async function cellposeMasks(source: ByteSource, offset: number, task: TaskOptions = {}): Promise<ByteSource> {
  const { name } = source;
  const value = readPickle((await readAll(source, task)).subarray(offset), name);
  const masks = dictionaryOf(value)?.get('masks');
  if (!(masks instanceof PickleArray) || !(masks.data instanceof Uint8Array))
    throw new SamError(
      'unsupported',
      `${name} holds Python objects${/_seg\.npy$/i.test(name) ? ' without Cellpose masks' : ''}, which are not read; save an array of plain numbers. From Cellpose, save the masks as PNG or TIFF.`,
    );
  return memoryBytes(npyOf(masks, masks.data), name);
}

/** An array of objects is pickled as the list of them. */
function dictionaryOf(value: PickleValue): Map<PickleValue, PickleValue> | undefined {
  const [inner] = value instanceof PickleArray && Array.isArray(value.data) ? value.data : [value];
  return inner instanceof Map ? inner : undefined;
}

function npyOf({ dtype, shape, fortran }: PickleArray, data: Uint8Array): Uint8Array {
  const order = fortran ? 'True' : 'False';
  const header = `{'descr': '${dtype}', 'fortran_order': ${order}, 'shape': (${shape.map((length) => `${length},`).join(' ')}), }`;
  const text = new TextEncoder().encode(`${header}\n`);
  const file = new Uint8Array(10 + text.length + data.length);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  file.set(text, 10);
  file.set(data, 10 + text.length);
  return file;
}
