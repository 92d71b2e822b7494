import { SamError } from '../errors.js';

/**
 * What this library asks of ONNX Runtime, and no more: the same few calls are answered by onnxruntime-web (wasm, WebGPU)
 * and onnxruntime-node. Provider order, threads and the like are settled by whoever makes the runtime; models only see
 * this interface. A session runs one request at a time: callers serialise (`MaskDecoder` and `ImageEncoder` do).
 */
export interface OrtRuntime {
  /** e.g. 'onnxruntime-web 1.30.0'. */
  readonly name: string;
  /** Execution provider in use, e.g. 'wasm (simd, 1 thread)', 'cpu (2 threads)', 'webgpu'. */
  readonly provider: string;
  /** Why a faster provider is not used, if so; a sentence for people. */
  readonly note?: string;
  /** Calls back once its device is gone, with the reason, at once if it is; returns what takes the listener off. */
  readonly whenLost?: (listener: (reason: string) => void) => () => void;
  /**
   * It runs on processors, where attention is faster as one operator of ONNX Runtime's own (fuse-attention.ts), and half
   * precision is converted by it (half-casts.ts).
   */
  readonly onProcessor?: boolean;
  /** A request that takes longer, in milliseconds, will never be answered; absent if it always is. */
  readonly patience?: number;
  /** Rejects with whatever the runtime throws when the bytes are not a model it can run; callers add the plain words. */
  createSession(bytes: Uint8Array, options?: SessionOptions): Promise<OrtSession>;
  /** Wraps, does not copy. */
  tensor<T extends OrtType>(type: T, data: OrtData[T], dims: readonly number[]): OrtTensor;
}

export interface SessionOptions {
  /** It runs again and again: keep its working memory between runs, where that is a choice, instead of asking for it anew. */
  readonly frequent?: boolean;
  /**
   * Weights come in as inputs, as in training: what ONNX Runtime fuses where they are constant (a convolution with what is
   * added to it) is left apart, which is up to a tenth faster then.
   */
  readonly weightsAsInputs?: boolean;
}

export interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * @param feeds one tensor for every input
   * @param fetches outputs to compute and return; all if absent
   * @returns tensors whose `data` is in main memory and belongs to the caller
   */
  run(
    feeds: Readonly<Record<string, OrtTensor>>,
    fetches?: readonly string[],
  ): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

export interface OrtTensor {
  readonly type: string;
  /** Row-major shape. */
  readonly dims: readonly number[];
  readonly data: OrtData[OrtType] | readonly string[];
}

/** Element types that SAM exports use, and the arrays that hold them. */
export interface OrtData {
  float32: Float32Array;
  /** Bit patterns (ndimage/half.ts). */
  float16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint8: Uint8Array;
}

export type OrtType = keyof OrtData;

/** The data of a float32 output. @throws SamError `model_unavailable` if the tensor is of another type */
export function float32Of(tensor: OrtTensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw wrongType('float32', tensor);
}

/** The bit patterns of a tensor in half precision; some runtimes give a `Float16Array`. */
export function halvesOf(tensor: OrtTensor): Uint16Array {
  const { data, type } = tensor;
  if (data instanceof Uint16Array) return data;
  if (type === 'float16' && ArrayBuffer.isView(data))
    return new Uint16Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 2);
  throw wrongType('float16', tensor);
}

function wrongType(expected: OrtType, { type, dims }: OrtTensor): SamError {
  return new SamError(
    'model_unavailable',
    `The model gives ${type} [${dims.join(', ')}] where ${expected} is expected; its files are not those of this kind of model.`,
  );
}
