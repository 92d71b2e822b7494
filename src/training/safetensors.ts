import { SamError } from '../errors.js';

/**
 * Tensors by name in one file, as safetensors (https://github.com/huggingface/safetensors): a JSON header, then the
 * elements. Checkpoints are such files, so that other programs can read them; all is float32.
 */
export interface TensorFile {
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

export function writeSafetensors({ tensors, metadata }: TensorFile): Uint8Array {
  const header: Record<string, Entry | Readonly<Record<string, string>>> = { __metadata__: metadata };
  let size = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [size, size + data.byteLength] };
    size += data.byteLength;
  }
  let text = JSON.stringify(header);
  while (new TextEncoder().encode(text).length % 8 !== 0) text += ' '; // keeps the elements aligned
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  let at = 8 + json.length;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/** @throws SamError `invalid_argument` if the bytes are no safetensors file, `unsupported` for other types than float32 */
export function readSafetensors(bytes: Uint8Array): TensorFile {
  const refuse = (why: string, cause?: unknown): never => {
    throw new SamError('invalid_argument', `This is not a complete safetensors file: ${why}.`, { cause });
  };
  if (bytes.length < 8) return refuse(`it has ${bytes.length} bytes`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const start = 8 + length;
  if (!(start <= bytes.length)) return refuse(`its header has ${length} bytes, the file ${bytes.length}`);
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  } catch (error) {
    return refuse('its header is not JSON', error);
  }
  const { __metadata__: metadata = {}, ...entries } = header as Record<string, Entry>;
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of Object.entries(entries)) {
    if (dtype !== 'F32') throw new SamError('unsupported', `Tensor ${name} is ${dtype}; only F32 is read.`);
    const part = bytes.slice(start + from, start + to);
    if (part.length !== 4 * shape.reduce((n, m) => n * m, 1)) return refuse(`${name} is cut short`);
    tensors.set(name, { shape, data: new Float32Array(part.buffer) });
  }
  return { tensors, metadata: metadata as Record<string, string> };
}
