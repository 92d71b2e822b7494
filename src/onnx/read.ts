import { SamError } from '../errors.js';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.js';
import { BYTES, WireError, WireReader } from './wire.js';

/** Nested graphs (If, Loop) deeper than this are not models but damage. */
const MAX_DEPTH = 16;

/**
 * Reads an ONNX file. Tensor contents are views of `bytes`.
 *
 * @throws SamError `model_unavailable` saying what the bytes are instead: nothing, a web page, cut short, something else
 */
export function readModel(bytes: Uint8Array): OnnxModel {
  refuseLookalikes(bytes);
  try {
    const model = parseModel(bytes);
    if (model.graph.nodes.length === 0 || model.opsets.length === 0)
      throw new WireError('the file ends before the list of operator sets');
    return model;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new SamError(
      'model_unavailable',
      `Expected an ONNX model, but the ${bytes.length} bytes got cannot be read as one: ${error.message}. ` +
        'The file is cut short or of another kind; fetch it again, or check the address.',
      { cause: error, details: { bytes: bytes.length } },
    );
  }
}

function refuseLookalikes(bytes: Uint8Array): void {
  const refuse = (got: string, advice: string) => {
    throw new SamError('model_unavailable', `Expected an ONNX model, got ${got}. ${advice}`, {
      details: { bytes: bytes.length },
    });
  };
  if (bytes.length === 0) refuse('an empty file', 'Fetch it again, or check the address.');
  const head = String.fromCharCode(...bytes.subarray(0, 256)).trimStart();
  if (/^(\u00ef\u00bb\u00bf)?\s*<(!doctype|html|head|body|\?xml|!--)/i.test(head))
    refuse('a web page', 'The address leads to a page (not found, or a log-in) and not to the file itself.');
  if (head.startsWith('version https://git-lfs'))
    refuse('a Git LFS pointer', 'Use the address of the file itself ("resolve" or "raw", not "blob").');
  if (/^[{[]\s*"/.test(head)) refuse('JSON text', `The server answered: ${head.slice(0, 80)}`);
  if (head.startsWith('PK\u0003\u0004') || head.startsWith('\u0080\u0002'))
    refuse('a PyTorch checkpoint or ZIP file', 'Export it to ONNX first.');
}

/** Calls `field` for every field; those it does not take (returns false) are collected as they are. */
function fields(reader: WireReader, field: (number: number, type: number) => boolean): Uint8Array[] | undefined {
  let rest: Uint8Array[] | undefined;
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.tag();
    if (field(tag.field, tag.type)) continue;
    reader.skip(tag.type);
    rest ??= [];
    rest.push(reader.bytes.subarray(start, reader.position));
  }
  return rest;
}

function parseModel(bytes: Uint8Array): OnnxModel {
  const reader = new WireReader(bytes);
  const model: OnnxModel = {
    irVersion: 0,
    producer: '',
    opsets: [],
    graph: { name: '', nodes: [], initializers: [], inputs: [], outputs: [], values: [] },
  };
  model.rest = fields(reader, (field, type) => {
    if (field === 1 && type !== BYTES) model.irVersion = reader.number();
    else if (field === 2 && type === BYTES) model.producer = reader.text();
    else if (field === 7 && type === BYTES) model.graph = parseGraph(reader.view8(), 0);
    else if (field === 8 && type === BYTES) model.opsets.push(parseOpset(reader.view8()));
    else return false;
    return true;
  });
  return model;
}

function parseOpset(bytes: Uint8Array): { domain: string; version: number } {
  const reader = new WireReader(bytes);
  const opset = { domain: '', version: 0 };
  fields(reader, (field, type) => {
    if (field === 1 && type === BYTES) opset.domain = reader.text();
    else if (field === 2 && type !== BYTES) opset.version = reader.number();
    else return false;
    return true;
  });
  return opset;
}

function parseGraph(bytes: Uint8Array, depth: number): OnnxGraph {
  if (depth > MAX_DEPTH) throw new WireError('graphs are nested too deeply');
  const reader = new WireReader(bytes);
  const graph: OnnxGraph = { name: '', nodes: [], initializers: [], inputs: [], outputs: [], values: [] };
  graph.rest = fields(reader, (field, type) => {
    if (type !== BYTES) return false;
    if (field === 1) graph.nodes.push(parseNode(reader.view8(), depth));
    else if (field === 2) graph.name = reader.text();
    else if (field === 5) graph.initializers.push(parseTensor(reader.view8()));
    else if (field === 11) graph.inputs.push(parseValue(reader.view8()));
    else if (field === 12) graph.outputs.push(parseValue(reader.view8()));
    else if (field === 13) graph.values.push(parseValue(reader.view8()));
    else return false;
    return true;
  });
  return graph;
}

function parseNode(bytes: Uint8Array, depth: number): OnnxNode {
  const reader = new WireReader(bytes);
  const node: OnnxNode = { name: '', op: '', domain: '', inputs: [], outputs: [], attributes: [] };
  node.rest = fields(reader, (field, type) => {
    if (type !== BYTES) return false;
    if (field === 1) node.inputs.push(reader.text());
    else if (field === 2) node.outputs.push(reader.text());
    else if (field === 3) node.name = reader.text();
    else if (field === 4) node.op = reader.text();
    else if (field === 5) node.attributes.push(parseAttribute(reader.view8(), depth));
    else if (field === 7) node.domain = reader.text();
    else return false;
    return true;
  });
  return node;
}

const ATTRIBUTE_TYPES = { 1: 'float', 2: 'int', 3: 'string', 4: 'tensor', 5: 'graph', 6: 'floats', 7: 'ints' } as const;

function parseAttribute(bytes: Uint8Array, depth: number): OnnxAttribute {
  const reader = new WireReader(bytes);
  let name = '';
  let type = 0;
  let float = 0;
  let int: number | bigint = 0;
  let string: Uint8Array = new Uint8Array(0);
  let tensor: OnnxTensor | undefined;
  let graph: OnnxGraph | undefined;
  const floats: number[] = [];
  const ints: (number | bigint)[] = [];
  const rest = fields(reader, (field, wire) => {
    if (field === 1 && wire === BYTES) name = reader.text();
    else if (field === 2 && wire !== BYTES) float = reader.float32();
    else if (field === 3 && wire !== BYTES) int = reader.int();
    else if (field === 4 && wire === BYTES) string = reader.view8();
    else if (field === 5 && wire === BYTES) tensor = parseTensor(reader.view8());
    else if (field === 6 && wire === BYTES) graph = parseGraph(reader.view8(), depth + 1);
    else if (field === 7) repeated(reader, wire, floats, (r) => r.float32());
    else if (field === 8) repeated(reader, wire, ints, (r) => r.int());
    else if (field === 20 && wire !== BYTES) type = reader.number();
    else return false;
    return true;
  });
  const kind = ATTRIBUTE_TYPES[type as keyof typeof ATTRIBUTE_TYPES];
  if (rest !== undefined) return { name, type: 'other', value: bytes };
  if (kind === 'float') return { name, type: kind, value: float };
  if (kind === 'int') return { name, type: kind, value: int };
  if (kind === 'string') return { name, type: kind, value: string };
  if (kind === 'tensor' && tensor) return { name, type: kind, value: tensor };
  if (kind === 'graph' && graph) return { name, type: kind, value: graph };
  if (kind === 'floats') return { name, type: kind, value: floats };
  if (kind === 'ints') return { name, type: kind, value: ints };
  return { name, type: 'other', value: bytes };
}

/** Lists of numbers come one by one or packed into one field. */
function repeated<T>(reader: WireReader, wire: number, into: T[], read: (reader: WireReader) => T): void {
  if (wire !== BYTES) into.push(read(reader));
  else for (const packed = new WireReader(reader.view8()); !packed.done; ) into.push(read(packed));
}

function parseTensor(bytes: Uint8Array): OnnxTensor {
  const reader = new WireReader(bytes);
  const tensor: OnnxTensor = { name: '', dims: [], type: 0 };
  tensor.rest = fields(reader, (field, type) => {
    if (field === 1) repeated(reader, type, tensor.dims, (r) => r.number());
    else if (field === 2 && type !== BYTES) tensor.type = reader.number();
    else if (field === 4) {
      tensor.floats ??= [];
      repeated(reader, type, tensor.floats, (r) => r.float32());
    } else if (field === 5) {
      tensor.int32s ??= [];
      repeated(reader, type, tensor.int32s, (r) => r.int());
    } else if (field === 7) {
      tensor.int64s ??= [];
      repeated(reader, type, tensor.int64s, (r) => r.int());
    } else if (field === 8 && type === BYTES) tensor.name = reader.text();
    else if (field === 9 && type === BYTES) tensor.raw = reader.view8();
    else return false;
    return true;
  });
  return tensor;
}

function parseValue(bytes: Uint8Array): OnnxValue {
  const reader = new WireReader(bytes);
  const value: OnnxValue = { name: '' };
  value.rest = fields(reader, (field, type) => {
    if (field !== 1 || type !== BYTES) {
      if (field === 2 && type === BYTES) {
        const start = reader.position;
        value.tensor = parseType(reader.view8());
        reader.position = start;
      }
      return false;
    }
    value.name = reader.text();
    return true;
  });
  return value;
}

function parseType(bytes: Uint8Array): OnnxValue['tensor'] {
  const reader = new WireReader(bytes);
  let tensor: OnnxValue['tensor'];
  fields(reader, (field, type) => {
    if (field !== 1 || type !== BYTES) return false;
    const inner = new WireReader(reader.view8());
    const found: { type: number; shape?: (number | string)[] } = { type: 0 };
    fields(inner, (f, t) => {
      if (f === 1 && t !== BYTES) found.type = inner.number();
      else if (f === 2 && t === BYTES) found.shape = parseShape(inner.view8());
      else return false;
      return true;
    });
    tensor = found;
    return true;
  });
  return tensor;
}

function parseShape(bytes: Uint8Array): (number | string)[] {
  const reader = new WireReader(bytes);
  const shape: (number | string)[] = [];
  fields(reader, (field, type) => {
    if (field !== 1 || type !== BYTES) return false;
    const inner = new WireReader(reader.view8());
    let length: number | string = '';
    fields(inner, (f, t) => {
      if (f === 1 && t !== BYTES) length = inner.number();
      else if (f === 2 && t === BYTES) length = inner.text();
      else return false;
      return true;
    });
    shape.push(length);
    return true;
  });
  return shape;
}
