import { SamError } from '../errors.js';
import { BYTES, WireError, WireReader, WireWriter } from './wire.js';

/**
 * Weights that an ONNX file leaves in other files. ONNX Runtime, given a model as bytes, would look for them below the
 * working directory of the process, so a model could read any file there; they are put into the model instead, and only
 * the caller knows which files it reads for that. Everywhere a tensor may stand is looked at: initializers, attributes,
 * nested graphs, functions, training graphs.
 *
 * @param read bytes of the file that the model names; throws for one that it may not name
 * @returns `bytes` itself for a model that is whole
 * @throws SamError `model_unavailable` for what is not an ONNX file, or asks for bytes that its files do not have
 */
export async function withExternalData(
  bytes: Uint8Array,
  read: (location: string) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  try {
    const needed = new Map<string, Uint8Array>();
    for (const location of filesOfWeights(bytes)) needed.set(location, await read(location));
    if (needed.size === 0) return bytes;
    const written = rewrite('model', bytes, (part) => cut(needed.get(part.location) ?? EMPTY, part));
    if (written.length <= LARGEST) return written.finish();
    throw new WireError(
      `with the weights from its other files it has ${written.length} bytes, at most ${LARGEST} can be opened`,
    );
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new SamError('model_unavailable', `The file is truncated, damaged or not an ONNX model: ${error.message}.`, {
      cause: error,
    });
  }
}

/** The other files that a model names for its weights, as it names them. @throws for what is not an ONNX file */
export function filesOfWeights(bytes: Uint8Array): Set<string> {
  const locations = new Set<string>();
  walk('model', bytes, 0, ({ location }) => locations.add(location));
  return locations;
}

const EMPTY = new Uint8Array(0);
/** The limit of protocol buffers. */
const LARGEST = 2 ** 31 - 1;
const MAX_DEPTH = 64;

/** Where a tensor's bytes lie. */
interface External {
  readonly location: string;
  readonly offset: number;
  readonly length?: number;
}

type Kind = keyof typeof FIELDS;

/** Messages of onnx.proto that lead to tensors: field number → what it holds. */
const FIELDS = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
} as const satisfies Record<string, Readonly<Record<number, string>>>;

const EXTERNAL_DATA = 13;
const DATA_LOCATION = 14;
const RAW_DATA = 9;

function kindOf(parent: Kind, field: number, type: number): Kind | undefined {
  return type === BYTES ? (FIELDS[parent] as Readonly<Record<number, Kind>>)[field] : undefined;
}

/** Calls `found` for every tensor that has its bytes elsewhere. */
function walk(kind: Kind, bytes: Uint8Array, depth: number, found: (part: External) => void): void {
  if (depth > MAX_DEPTH) throw new WireError('graphs are nested too deeply');
  if (kind === 'tensor') {
    const part = externalOf(bytes);
    if (part) found(part);
    return;
  }
  for (const reader = new WireReader(bytes); !reader.done; ) {
    const { field, type } = reader.tag();
    const inner = kindOf(kind, field, type);
    if (inner) walk(inner, reader.view8(), depth + 1, found);
    else reader.skip(type);
  }
}

function externalOf(tensor: Uint8Array): External | undefined {
  const entries = new Map<string, string>();
  let elsewhere = false;
  for (const reader = new WireReader(tensor); !reader.done; ) {
    const { field, type } = reader.tag();
    if (field === EXTERNAL_DATA && type === BYTES) {
      entries.set(...entryOf(reader.view8()));
      elsewhere = true;
    } else if (field === DATA_LOCATION && type !== BYTES) elsewhere = reader.int() !== 0 || elsewhere;
    else reader.skip(type);
  }
  if (!elsewhere) return undefined;
  const length = entries.get('length');
  return {
    location: entries.get('location') ?? '',
    offset: count(entries.get('offset') ?? '0'),
    ...(length !== undefined && { length: count(length) }),
  };
}

function entryOf(bytes: Uint8Array): [key: string, value: string] {
  const entry: [string, string] = ['', ''];
  for (const reader = new WireReader(bytes); !reader.done; ) {
    const { field, type } = reader.tag();
    if ((field === 1 || field === 2) && type === BYTES) entry[field - 1] = reader.text();
    else reader.skip(type);
  }
  return entry;
}

function count(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new WireError(`a tensor lies at "${text.slice(0, 40)}" of its file, expected a number of bytes`);
}

function cut(file: Uint8Array, { location, offset, length = file.length - offset }: External): Uint8Array {
  if (length >= 0 && offset + length <= file.length) return file.subarray(offset, offset + length);
  throw new WireError(`a tensor needs bytes ${offset} to ${offset + length} of ${location}, which has ${file.length}`);
}

/** The same message with every such tensor's bytes inside. */
function rewrite(kind: Kind, bytes: Uint8Array, bytesOf: (part: External) => Uint8Array): WireWriter {
  const writer = new WireWriter();
  const part = kind === 'tensor' ? externalOf(bytes) : undefined;
  for (const reader = new WireReader(bytes); !reader.done; ) {
    const start = reader.position;
    const { field, type } = reader.tag();
    const inner = kindOf(kind, field, type);
    if (inner) writer.nested(field, rewrite(inner, reader.view8(), bytesOf));
    else {
      reader.skip(type);
      const dropped = part && [EXTERNAL_DATA, DATA_LOCATION, RAW_DATA].includes(field);
      if (!dropped) writer.raw(bytes.subarray(start, reader.position));
    }
  }
  if (part) writer.bytes(RAW_DATA, bytesOf(part));
  return writer;
}
