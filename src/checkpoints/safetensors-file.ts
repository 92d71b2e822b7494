import { SamError } from '../errors.js';
import type { ByteSource } from '../io/bytes.js';
import { membersOf } from '../items.js';
import type { TaskOptions } from '../task.js';
import { bytesOf, type ElementType, rowMajor, type StoredTensor, stridedTensor } from './tensor.js';

/** safetensors (https://github.com/huggingface/safetensors) read by their header; tensors stay in the file. */

const DTYPES: Readonly<Record<string, ElementType | undefined>> = {
  F32: 'float32',
  F64: 'float64',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

/** The limit of the format. */
const MOST_HEADER_BYTES = 100_000_000;

/** @returns undefined if the file is no safetensors file */
export async function readSafetensorsFile(
  source: ByteSource,
  options: TaskOptions = {},
): Promise<ReadonlyMap<string, StoredTensor> | undefined> {
  if (source.size < 10) return undefined;
  const first = await source.read(0, 10, options);
  const length = Number(new DataView(first.buffer, first.byteOffset).getBigUint64(0, true));
  if (first[8] !== 0x7b || length < 2 || length > MOST_HEADER_BYTES) return undefined;
  const start = 8 + length;
  const refuse = (why: string, cause?: unknown) =>
    new SamError('model_unavailable', `${source.name} is a damaged safetensors file: ${why}.`, { cause });
  if (start > source.size) throw refuse(`its header has ${length} bytes, the file ${source.size}`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(await source.read(8, length, options)));
  } catch (cause) {
    if (cause instanceof SamError) throw cause;
    throw refuse('its header is not JSON', cause);
  }
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(membersOf(header))) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets } = membersOf(entry);
    const type = DTYPES[String(dtype)];
    if (!type)
      throw new SamError('unsupported', `Tensor '${name.slice(0, 100)}' is ${String(dtype)}, which is not read.`);
    if (!Array.isArray(shape) || !Array.isArray(data_offsets)) throw refuse(`'${name.slice(0, 100)}' lacks its place`);
    const [from, to] = [Number(data_offsets[0]), Number(data_offsets[1])];
    const sizes = shape.map(Number);
    if (!(from >= 0 && to >= from && start + to <= source.size)) throw refuse(`'${name.slice(0, 100)}' is cut short`);
    const part: ByteSource = {
      name: source.name,
      size: to - from,
      read: (offset, count, task) => source.read(start + from + offset, count, task),
    };
    const view = { name, dtype: type, shape: sizes, strides: rowMajor(sizes), offset: 0 };
    const elements = Math.floor((to - from) / bytesOf(type));
    tensors.set(name, stridedTensor({ ...view, length: elements, source: async () => part }));
  }
  return tensors;
}
