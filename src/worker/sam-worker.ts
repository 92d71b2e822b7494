import type { EncodeOptions } from '../model/image-encoder.js';
import type { ModelSpec } from '../model/model-spec.js';
import type {
  DecodedMasks,
  DecodeOptions,
  Embedding,
  InstanceMaps,
  MaskCandidates,
  SamPrompts,
} from '../model/sam-tensors.js';
import type { Tensor } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';

/** Version of `SamWorker` and of the messages between the ends of a connection, which must agree on it. */
export const PROTOCOL = 3;

/**
 * Where models run: in this thread, a web worker, a Node process behind a WebSocket, or several of them. Every
 * implementation passes tests/contracts/worker.ts. All arguments and results are plain data; errors are SamErrors.
 */
export interface SamWorker {
  info(): Promise<WorkerInfo>;
  /** Fetches, checks and opens the model; loading one that is loaded is free. Progress counts bytes. */
  load(model: ModelSpec, options?: TaskOptions): Promise<void>;
  /** `image` is [H, W, 3] uint8 RGB, as toImage() of model/transforms.ts makes it; resizing and normalising happen here. */
  encode(model: string, image: Tensor<Uint8Array>, options?: EncodeOptions & TaskOptions): Promise<Embedding>;
  decode(
    model: string,
    embedding: Embedding,
    prompts: SamPrompts,
    options?: DecodeOptions & TaskOptions,
  ): Promise<DecodedMasks>;
  /** Point prompts → scored, cropped masks: what automatic mask generation needs, without shipping full logits. */
  decodeCandidates(
    model: string,
    embedding: Embedding,
    prompts: SamPrompts,
    options: CandidateOptions & TaskOptions,
  ): Promise<MaskCandidates>;
  /**
   * The maps of the model's instance decoder. Rejects with `unsupported` if the model has none, and with `no_embedding` if
   * the decoder takes early features and the embedding was made without: encode again with `early`.
   *
   * @param image what the embedding was made of, as for `encode`
   */
  instanceMaps(
    model: string,
    embedding: Embedding,
    image: Tensor<Uint8Array>,
    options?: TaskOptions,
  ): Promise<InstanceMaps>;
  /** How many requests it works on at the same time, as far as it is several workers; now, since they come and go. Default 1. */
  readonly atOnce?: number;
  close(): Promise<void>;
}

export interface CandidateOptions {
  /** Candidates below either floor are dropped. */
  readonly iouFloor: number;
  readonly stabilityFloor: number;
}

export interface WorkerInfo {
  readonly name: string;
  /** Version of this interface. */
  readonly protocol: number;
  /** e.g. 'onnxruntime-web 1.30.0'. */
  readonly runtime: string;
  /** Execution provider in use, e.g. 'wasm (simd, 2 threads)', 'webgpu', 'cpu'. */
  readonly provider: string;
  /** Why a faster provider was not used, if so. */
  readonly note?: string;
  readonly loaded: readonly string[];
}
