import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.js';
import { WireWriter } from './wire.js';

/** The bytes of an ONNX file, fields in the order of their numbers, as protobuf's own writers do. */
export function writeModel(model: OnnxModel): Uint8Array {
  return modelWriter(model).finish();
}

/** The same, not yet joined. */
export function modelWriter(model: OnnxModel): WireWriter {
  const writer = new WireWriter();
  writer.int(1, model.irVersion);
  if (model.producer) writer.text(2, model.producer);
  // Of the fields we do not model, those with lower numbers come before the graph.
  const [before, after] = split(model.rest, 7);
  for (const field of before) writer.raw(field);
  writer.message(7, (inner) => writeGraph(inner, model.graph));
  for (const { domain, version } of model.opsets)
    writer.message(8, (inner) => {
      if (domain) inner.text(1, domain);
      inner.int(2, version);
    });
  for (const field of after) writer.raw(field);
  return writer;
}

/** Fields kept as read, those numbered below `number` and the others. */
function split(rest: readonly Uint8Array[] | undefined, number: number): [Uint8Array[], Uint8Array[]] {
  const all = rest ?? [];
  const isBefore = (field: Uint8Array) => field[0] < 0x80 && field[0] >> 3 < number;
  return [all.filter(isBefore), all.filter((field) => !isBefore(field))];
}

function writeGraph(writer: WireWriter, graph: OnnxGraph): void {
  for (const node of graph.nodes) writer.message(1, (inner) => writeNode(inner, node));
  if (graph.name) writer.text(2, graph.name);
  for (const tensor of graph.initializers) writer.message(5, (inner) => writeTensor(inner, tensor));
  const [before, after] = split(graph.rest, 11);
  for (const field of before) writer.raw(field);
  for (const value of graph.inputs) writer.message(11, (inner) => writeValue(inner, value));
  for (const value of graph.outputs) writer.message(12, (inner) => writeValue(inner, value));
  for (const value of graph.values) writer.message(13, (inner) => writeValue(inner, value));
  for (const field of after) writer.raw(field);
}

function writeNode(writer: WireWriter, node: OnnxNode): void {
  for (const name of node.inputs) writer.text(1, name);
  for (const name of node.outputs) writer.text(2, name);
  if (node.name) writer.text(3, node.name);
  writer.text(4, node.op);
  for (const attribute of node.attributes) {
    if (attribute.type === 'other') writer.bytes(5, attribute.value);
    else writer.message(5, (inner) => writeAttribute(inner, attribute));
  }
  const [before, after] = split(node.rest, 7);
  for (const field of before) writer.raw(field);
  if (node.domain) writer.text(7, node.domain);
  for (const field of after) writer.raw(field);
}

const TYPE_NUMBERS = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7 } as const;

function writeAttribute(writer: WireWriter, attribute: Exclude<OnnxAttribute, { type: 'other' }>): void {
  writer.text(1, attribute.name);
  switch (attribute.type) {
    case 'float':
      writer.float32(2, attribute.value);
      break;
    case 'int':
      writer.int(3, attribute.value);
      break;
    case 'string':
      writer.bytes(4, attribute.value);
      break;
    case 'tensor':
      writer.message(5, (inner) => writeTensor(inner, attribute.value));
      break;
    case 'graph':
      writer.message(6, (inner) => writeGraph(inner, attribute.value));
      break;
    case 'floats':
      for (const value of attribute.value) writer.float32(7, value);
      break;
    case 'ints':
      for (const value of attribute.value) writer.int(8, value);
      break;
  }
  writer.int(20, TYPE_NUMBERS[attribute.type]);
}

function writeTensor(writer: WireWriter, tensor: OnnxTensor): void {
  for (const length of tensor.dims) writer.int(1, length);
  writer.int(2, tensor.type);
  // Typed fields are declared packed in ONNX.
  if (tensor.floats) writer.bytes(4, new Uint8Array(Float32Array.from(tensor.floats).buffer));
  if (tensor.int32s) writer.bytes(5, packed(tensor.int32s));
  if (tensor.int64s) writer.bytes(7, packed(tensor.int64s));
  if (tensor.name) writer.text(8, tensor.name);
  const raw = tensor.raw ?? tensor.later;
  if (raw) writer.bytes(9, raw);
  if (tensor.external) writeExternal(writer, tensor.external);
  for (const field of tensor.rest ?? []) writer.raw(field);
}

function writeExternal(writer: WireWriter, external: NonNullable<OnnxTensor['external']>): void {
  for (const [key, value] of Object.entries(external))
    writer.message(13, (entry) => {
      entry.text(1, key);
      entry.text(2, String(value));
    });
  writer.int(14, 1);
}

function packed(values: readonly (number | bigint)[]): Uint8Array {
  const writer = new WireWriter();
  for (const value of values) writer.varint(value);
  return writer.finish();
}

function writeValue(writer: WireWriter, value: OnnxValue): void {
  writer.text(1, value.name);
  if (value.rest) {
    for (const field of value.rest) writer.raw(field);
    return;
  }
  const { tensor } = value;
  if (!tensor) return;
  writer.message(2, (type) =>
    type.message(1, (inner) => {
      inner.int(1, tensor.type);
      const { shape } = tensor;
      if (!shape) return;
      inner.message(2, (list) => {
        for (const length of shape)
          list.message(1, (dimension) => {
            if (typeof length === 'number') dimension.int(1, length);
            else if (length) dimension.text(2, length);
          });
      });
    }),
  );
}
