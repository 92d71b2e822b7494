/**
 * An ONNX file as plain data (onnx.proto3, the parts that inference graphs use). Everything not modelled here — doc
 * strings, metadata, functions — is kept in `rest` as it was read and written back, so that reading and writing loses
 * nothing. Tensor contents stay views of the file's bytes.
 */
export interface OnnxModel {
  irVersion: number;
  producer: string;
  /** '' is the standard operator set. */
  opsets: OnnxOpset[];
  graph: OnnxGraph;
  rest?: Uint8Array[];
}

export interface OnnxOpset {
  domain: string;
  version: number;
}

/** Where ONNX Runtime's own operators are. */
export const MICROSOFT = 'com.microsoft';

export interface OnnxGraph {
  name: string;
  /** In topological order. */
  nodes: OnnxNode[];
  initializers: OnnxTensor[];
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  /** Declared shapes of inner tensors. */
  values: OnnxValue[];
  rest?: Uint8Array[];
}

export interface OnnxNode {
  name: string;
  op: string;
  domain: string;
  /** Tensor names; '' is an optional input that is left out. */
  inputs: string[];
  outputs: string[];
  attributes: OnnxAttribute[];
  rest?: Uint8Array[];
}

type Int = number | bigint;

export type OnnxAttribute = { readonly name: string } & (
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: Int }
  | { readonly type: 'string'; readonly value: Uint8Array }
  | { readonly type: 'tensor'; readonly value: OnnxTensor }
  | { readonly type: 'graph'; readonly value: OnnxGraph }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly Int[] }
  /** Lists of strings, tensors and graphs, sparse tensors, types: the attribute as it was read. */
  | { readonly type: 'other'; readonly value: Uint8Array }
);

/** Element types by their ONNX number. */
export const FLOAT = 1;
export const INT64 = 7;
export const FLOAT16 = 10;

export interface OnnxTensor {
  name: string;
  dims: number[];
  type: number;
  /** Little-endian elements; for tensors that hold theirs in typed fields (old exporters), absent. */
  raw?: Uint8Array;
  /** Instead of `raw`: elements that are made when the file is written (write-parts.ts). */
  later?: LaterBytes;
  /** Instead of `raw`: where in a file beside the model the elements are. */
  external?: { readonly location: string; readonly offset: number; readonly length: number };
  floats?: number[];
  int32s?: Int[];
  int64s?: Int[];
  rest?: Uint8Array[];
}

/** Bytes of which only the number is known yet. */
export interface LaterBytes {
  readonly length: number;
  load(): Promise<Uint8Array>;
}

/** A graph input or output, or the declared shape of an inner tensor. */
export interface OnnxValue {
  name: string;
  /** Element type and shape (a number, a symbol, or '' for unknown); absent where the type is not a tensor or untold. */
  tensor?: { type: number; shape?: (number | string)[] };
  /** Type fields as read; written instead of `tensor` when present, so that nothing is lost. */
  rest?: Uint8Array[];
}
