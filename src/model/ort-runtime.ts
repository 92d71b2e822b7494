import { SamError } from '../errors.js';
import { withExternalData } from '../onnx/external-data.js';
import type { OrtData, OrtRuntime, OrtSession, OrtTensor, OrtType } from './runtime.js';

/**
 * The common part of onnxruntime-node and onnxruntime-web behind `OrtRuntime`. Their typings differ in detail, so the few
 * members that are used are declared here.
 */
export interface OrtModule {
  readonly env: {
    /** Its device is there once a session is. */
    readonly webgpu?: { readonly device?: Promise<GpuDevice> };
    readonly versions: { readonly web?: string; readonly node?: string };
    readonly wasm: { numThreads?: number; wasmPaths?: string };
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => NativeTensor;
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<NativeSession>;
  };
}

/** ONNX Runtime as it was imported, by either package; CommonJS has it under `default`. */
export function ortModule(imported: object): OrtModule {
  const module = imported as OrtModule & { readonly default?: OrtModule };
  return module.default ?? module;
}

export interface GpuDevice {
  readonly lost: Promise<{ readonly message: string; readonly reason?: string }>;
}

interface NativeTensor extends OrtTensor {
  /** 'cpu', 'gpu-buffer' … */
  readonly location?: string;
  getData?(release?: boolean): Promise<OrtTensor['data']>;
}

interface NativeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, unknown>>, fetches?: readonly string[]): Promise<Record<string, NativeTensor>>;
  release(): Promise<void>;
}

export interface OrtSettings {
  readonly name: string;
  readonly provider: string;
  readonly note?: string;
  /** Options of `InferenceSession.create`. */
  readonly session: Readonly<Record<string, unknown>>;
  /** What differs for sessions that run often. */
  readonly frequent?: Readonly<Record<string, unknown>>;
  readonly whenLost?: OrtRuntime['whenLost'];
  readonly patience?: number;
  readonly onProcessor?: boolean;
}

export function ortRuntime(ort: OrtModule, settings: OrtSettings): OrtRuntime {
  const { name, provider, note, session, frequent } = settings;
  return {
    name,
    provider,
    note,
    whenLost: settings.whenLost,
    patience: settings.patience,
    onProcessor: settings.onProcessor,
    async createSession(bytes, options) {
      // The runtime would look for them below the working directory.
      await withExternalData(bytes, async () => {
        throw new SamError('model_unavailable', 'The model keeps its weights in another file, which is refused.');
      });
      const settings = {
        ...session,
        ...(options?.frequent && frequent),
        ...(options?.weightsAsInputs && { graphOptimizationLevel: 'extended' }),
      };
      return wrap(await ort.InferenceSession.create(bytes, settings));
    },
    tensor: <T extends OrtType>(type: T, data: OrtData[T], dims: readonly number[]) => new ort.Tensor(type, data, dims),
  };
}

function wrap(session: NativeSession): OrtSession {
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds, fetches) {
      const outputs = await (fetches ? session.run(feeds, fetches) : session.run(feeds));
      const results: Record<string, OrtTensor> = {};
      for (const [name, tensor] of Object.entries(outputs)) results[name] = await inMainMemory(tensor);
      return results;
    },
    release: () => session.release(),
  };
}

async function inMainMemory(tensor: NativeTensor): Promise<OrtTensor> {
  const data =
    tensor.location && tensor.location !== 'cpu' && tensor.getData ? await tensor.getData(true) : tensor.data;
  return { type: tensor.type, dims: tensor.dims, data };
}
