import { zipSync } from 'fflate';

/** Checkpoints as `torch.save` writes them, small, without Python: dictionaries, text, numbers and tensors. */

export type Saved = string | number | null | SavedTensor | SavedObject | ReadonlyMap<string, Saved>;

export class SavedTensor {
  constructor(
    readonly shape: readonly number[],
    /** Little-endian elements of the whole storage; tensors that share one give the same array. */
    readonly storage: Uint8Array,
    readonly type: 'Float' | 'Half' | 'BFloat16' | 'Double' | 'Long' = 'Float',
    readonly offset = 0,
    readonly strides: readonly number[] = naturalStrides(shape),
  ) {}
}

/** An object of a class that nobody has, or a call: `torch.nn.Module` with its state, or something hostile. */
export class SavedObject {
  constructor(
    readonly module: string,
    readonly name: string,
    readonly args: readonly Saved[] = [],
    readonly state: Saved = null,
  ) {}
}

const SIZES = { Float: 4, Half: 2, BFloat16: 2, Double: 8, Long: 8 } as const;

export function floatTensor(shape: readonly number[], data: Float32Array): SavedTensor {
  return new SavedTensor(shape, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

export function naturalStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
}

/** PyTorch 1.6 and later. */
export function torchZip(value: Saved, folder = 'archive'): Uint8Array {
  const storages: Uint8Array[] = [];
  const files: Record<string, Uint8Array> = { [`${folder}/data.pkl`]: pickle(value, storages, false) };
  files[`${folder}/byteorder`] = text('little');
  storages.forEach((storage, key) => {
    files[`${folder}/data/${key}`] = storage;
  });
  files[`${folder}/version`] = text('3\n');
  return zipSync(files, { level: 0 });
}

/** Before PyTorch 1.6. */
export function torchLegacy(value: Saved): Uint8Array {
  const storages: Uint8Array[] = [];
  const object = pickle(value, storages, true);
  const sizes = storageTypes(value, new Map());
  const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
  const version = [0x80, 2, 0x4d, 0xe9, 3, 0x2e];
  const system = [0x80, 2, 0x7d, 0x2e];
  const keys = [0x80, 2, 0x5d, 0x28, ...storages.flatMap((_, key) => [...textItem(String(key))]), 0x65, 0x2e];
  const parts = storages.flatMap((storage) => {
    const count = new Uint8Array(new BigUint64Array([BigInt(storage.length / (sizes.get(storage) ?? 4))]).buffer);
    return [...count, ...storage];
  });
  return Uint8Array.from([...magic, ...version, ...system, ...object, ...keys, ...parts]);
}

function storageTypes(value: Saved, sizes: Map<Uint8Array, number>): Map<Uint8Array, number> {
  if (value instanceof SavedTensor) sizes.set(value.storage, SIZES[value.type]);
  if (value instanceof Map) for (const inner of value.values()) storageTypes(inner, sizes);
  return sizes;
}

const text = (value: string) => new TextEncoder().encode(value);

function textItem(value: string): number[] {
  const bytes = text(value);
  return [0x58, ...new Uint8Array(Uint32Array.of(bytes.length).buffer), ...bytes];
}

function numberItem(value: number): number[] {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31)
    return [0x4a, ...new Uint8Array(Int32Array.of(value).buffer)];
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return [0x47, ...bytes];
}

/** Protocol 2. */
function pickle(value: Saved, storages: Uint8Array[], legacy: boolean): Uint8Array {
  const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
  const global = (module: string, name: string) => [0x63, ...text(`${module}\n${name}\n`)];
  const numbers = (values: readonly number[]) => tuple(...values.map(numberItem));
  const item = (value: Saved): number[] => {
    if (value === null) return [0x4e];
    if (typeof value === 'string') return textItem(value);
    if (typeof value === 'number') return numberItem(value);
    if (value instanceof SavedTensor) {
      if (!storages.includes(value.storage)) storages.push(value.storage);
      const { type, storage, shape, strides, offset } = value;
      const count = numberItem(storage.length / SIZES[type]);
      const parts = [
        textItem('storage'),
        global('torch', `${type}Storage`),
        textItem(String(storages.indexOf(storage))),
      ];
      const reference = [...tuple(...parts, textItem('cpu'), count, ...(legacy ? [[0x4e]] : [])), 0x51];
      const hooks = [...global('collections', 'OrderedDict'), 0x29, 0x52];
      const args = tuple(reference, numberItem(offset), numbers(shape), numbers(strides), [0x89], hooks);
      return [...global('torch._utils', '_rebuild_tensor_v2'), ...args, 0x52];
    }
    if (value instanceof SavedObject) {
      const made = [...global(value.module, value.name), ...tuple(...value.args.map(item)), 0x52];
      return value.state === null ? made : [...made, ...item(value.state), 0x62];
    }
    const entries = [...value].flatMap(([key, inner]) => [...textItem(key), ...item(inner)]);
    return [...global('collections', 'OrderedDict'), 0x29, 0x52, 0x28, ...entries, 0x75];
  };
  return Uint8Array.from([0x80, 2, ...item(value), 0x2e]);
}
