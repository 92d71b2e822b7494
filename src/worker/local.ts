import { asSamError, messageOf, SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { itemAt, present } from '../items.js';
import { encoderWithDelta } from '../model/encoder-delta.js';
import { findCandidates } from '../model/find-candidates.js';
import { ImageEncoder } from '../model/image-encoder.js';
import { InstanceDecoder } from '../model/instance-decoder.js';
import { createMaskDecoder, type MaskDecoder } from '../model/mask-decoder.js';
import { type FetchBytes, loadModelFile } from '../model/model-file.js';
import { FRAME, type ModelFile, type ModelSpec, sameFiles } from '../model/model-spec.js';
import { resolveModel } from '../model/registry.js';
import { runnableEncoder } from '../model/runnable-encoder.js';
import type { OrtRuntime } from '../model/runtime.js';
import type { TaskOptions } from '../task.js';
import { DeviceLost, isDeviceFault, onDevice } from './device-loss.js';
import { modelName } from './model-argument.js';
import { Queue } from './queue.js';
import { checkRuntime } from './runtime-check.js';
import { PROTOCOL, type SamWorker } from './sam-worker.js';

/**
 * The worker that every other one leads to: models in this thread. Requests run one after the other, decoding before
 * encoding. A model is loaded by `load`, or on first use if the registry knows its name.
 */
export interface LocalWorkerOptions {
  readonly name?: string;
  /** Where downloaded models are kept. */
  readonly store?: Store;
  /** How model files are read; plain `fetch` if absent. */
  readonly fetchBytes?: FetchBytes;
}

interface LoadedModel {
  readonly spec: ModelSpec;
  readonly encoder: ImageEncoder;
  readonly decoder: MaskDecoder;
  /** Absent if the model has none. */
  readonly instances?: InstanceDecoder;
}

/**
 * @param runtimes one runtime, or several in order of preference: each but the last has to pass the self-test before its
 *   results are used
 */
export function createLocalWorker(
  runtimes: OrtRuntime | readonly OrtRuntime[],
  options: LocalWorkerOptions = {},
): SamWorker {
  return new LocalWorker(Array.isArray(runtimes) ? [...runtimes] : [runtimes as OrtRuntime], options);
}

class LocalWorker implements SamWorker {
  private readonly queue = new Queue();
  private readonly models = new Map<string, LoadedModel>();
  /** Of all models that were opened, to open them again on another device. */
  private readonly specs = new Map<string, ModelSpec>();
  private readonly notes: string[] = [];

  constructor(
    /** The first is in use; those that fail are taken off. */
    private readonly runtimes: OrtRuntime[],
    private readonly options: LocalWorkerOptions,
  ) {}

  async info() {
    const { name, provider, note } = itemAt(this.runtimes, 0);
    const decoders = [...this.models.values()].flatMap(({ spec, decoder }) =>
      decoder.note ? [`${spec.name}: ${decoder.note}`] : [],
    );
    return {
      name: this.options.name ?? 'local',
      protocol: PROTOCOL,
      runtime: name,
      provider,
      note: [...this.notes, ...(note ? [note] : []), ...decoders].join(' ') || undefined,
      loaded: [...this.models.keys()],
    };
  }

  load(spec: ModelSpec, options: TaskOptions = {}): Promise<void> {
    return this.submit(options, false, async () => {
      await this.open(spec, options);
    });
  }

  encode(model: string, image: Parameters<SamWorker['encode']>[1], options: TaskOptions = {}) {
    return this.work(model, options, false, async ({ encoder }) => {
      checkImage(image);
      options.onProgress?.({ done: 0, total: 1, message: 'Computing the embedding' });
      const embedding = await encoder.encode(image, options);
      options.onProgress?.({ done: 1, total: 1, message: 'Computed the embedding' });
      return embedding;
    });
  }

  decode(...[model, embedding, prompts, options = {}]: Parameters<SamWorker['decode']>) {
    return this.work(model, options, true, async ({ decoder }) => {
      const decoded = await decoder.decode(embedding, prompts, options);
      options.signal?.throwIfAborted();
      return decoded;
    });
  }

  decodeCandidates(...[model, embedding, prompts, options]: Parameters<SamWorker['decodeCandidates']>) {
    return this.work(model, options, true, ({ decoder }) =>
      findCandidates(decoder, embedding, prompts, { ...options, side: FRAME }),
    );
  }

  instanceMaps(...[model, embedding, image, options = {}]: Parameters<SamWorker['instanceMaps']>) {
    return this.work(model, options, false, async ({ instances }) => {
      checkImage(image);
      if (instances) return instances.run(embedding, image, options);
      throw new SamError(
        'unsupported',
        `The model ${model} has no instance decoder; use automatic mask generation (amg), or add one to the model.`,
      );
    });
  }

  close(): Promise<void> {
    return this.queue.close(async () => {
      const open = [...this.models.values()];
      this.models.clear();
      for (const model of open) await release(model);
    });
  }

  private async submit<T>({ signal }: TaskOptions, urgent: boolean, job: () => Promise<T>): Promise<T> {
    try {
      return await this.queue.run(job, { signal, urgent });
    } catch (error) {
      if (signal?.aborted && !(error instanceof SamError))
        throw new SamError('cancelled', 'Cancelled.', { cause: error });
      throw asSamError(error);
    }
  }

  /** A job with a model; where the device fails in it, it is done again on the next one. */
  private work<T>(
    name: string,
    options: TaskOptions,
    urgent: boolean,
    job: (model: LoadedModel) => Promise<T>,
  ): Promise<T> {
    return this.submit(options, urgent, async () => {
      for (;;) {
        const model = await this.find(name, options);
        options.signal?.throwIfAborted();
        const [, next] = this.runtimes;
        try {
          return await onDevice(itemAt(this.runtimes, 0), job(model));
        } catch (error) {
          if (options.signal?.aborted || next === undefined || !isDeviceFault(error)) throw error;
          this.giveUp(error.message, next);
        }
      }
    });
  }

  /** What is open on a device that failed is not released: that would be asked of the device. */
  private giveUp(reason: string, next: OrtRuntime): void {
    const failed = this.runtimes.shift();
    this.models.clear();
    this.notes.push(`${failed?.provider} failed (${reason}); the work goes on with ${next.provider}.`);
  }

  private async find(model: string, options: TaskOptions): Promise<LoadedModel> {
    const name = modelName(model);
    return this.models.get(name) ?? this.open(this.specs.get(name) ?? resolveModel(name), options);
  }

  private async open(spec: ModelSpec, { signal, onProgress }: TaskOptions): Promise<LoadedModel> {
    const loaded = this.models.get(spec.name);
    if (loaded && sameFiles(loaded.spec, spec)) return loaded;
    const { store, fetchBytes } = this.options;
    const bytes = await loadParts(spec, { store, fetchBytes, signal, onProgress });
    const failed: string[] = [];
    for (const [k, runtime] of this.runtimes.entries()) {
      const last = k === this.runtimes.length - 1;
      const made: Partial<Writable<LoadedModel>> = {};
      try {
        await onDevice(runtime, create(made, runtime, spec, bytes, signal));
        if (!last)
          await onDevice(
            runtime,
            checkRuntime(made as LoadedModel, () => this.onLast(spec, bytes)),
          );
      } catch (error) {
        if (!(error instanceof DeviceLost)) await release(made);
        signal?.throwIfAborted();
        if (last) throw error; // no runtime can use it, so the file is at fault
        failed.push(`${runtime.provider} is not used: ${messageOf(error)}`);
        continue;
      }
      const model = made as LoadedModel;
      if (loaded) await release(loaded);
      this.models.set(spec.name, model);
      this.specs.set(spec.name, spec);
      this.runtimes.splice(0, k);
      this.notes.push(...failed);
      return model;
    }
    throw new SamError('internal', 'There is no runtime.');
  }

  /** The same model on the runtime that always works, to compare with. */
  private async onLast(spec: ModelSpec, bytes: ModelParts): Promise<LoadedModel> {
    const made: Partial<Writable<LoadedModel>> = {};
    await create(made, itemAt(this.runtimes, this.runtimes.length - 1), spec, bytes, undefined);
    return made as LoadedModel;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Fills `model`, so that what was opened before a failure can be released. */
async function create(
  model: Partial<Writable<LoadedModel>>,
  runtime: OrtRuntime,
  spec: ModelSpec,
  parts: ModelParts,
  signal: AbortSignal | undefined,
): Promise<void> {
  model.spec = spec;
  if (parts.instances) model.instances = await InstanceDecoder.create(runtime, parts.instances);
  signal?.throwIfAborted();
  const { bytes, outputs } = runnableEncoder(parts.encoder, runtime, spec, model.instances?.early);
  const levels = spec.decoderLayout.levels?.map(({ output }) => output);
  model.encoder = await ImageEncoder.create(runtime, bytes, spec.encoderInput, outputs, levels);
  signal?.throwIfAborted();
  model.decoder = await createMaskDecoder(runtime, parts.decoder, spec.decoderLayout);
  signal?.throwIfAborted();
}

async function release({ encoder, decoder, instances }: Partial<LoadedModel>): Promise<void> {
  await encoder?.release();
  await decoder?.dispose();
  await instances?.release();
}

/** Bytes of ONNX files. */
interface ModelParts {
  readonly encoder: Uint8Array;
  readonly decoder: Uint8Array;
  readonly instances?: Uint8Array;
}

type LoadOptions = Parameters<typeof loadModelFile>[1] & TaskOptions;

async function loadParts(spec: ModelSpec, options: LoadOptions): Promise<ModelParts> {
  const { encoder, encoderDelta, decoder, instances } = spec;
  const files = [encoder, encoderDelta, decoder, instances];
  const given = files.filter((file) => file !== undefined);
  const loaded = await loadFiles(given, spec.name, options);
  const [whole, delta, ...decoders] = files.map((file) => file && loaded[given.indexOf(file)]);
  return {
    encoder: delta ? encoderWithDelta(present(whole, 'the encoder'), delta) : present(whole, 'the encoder'),
    decoder: present(decoders[0], 'the decoder'),
    instances: decoders[1],
  };
}

/** One after the other, with one progress over their bytes where their sizes are known. */
async function loadFiles(files: readonly ModelFile[], name: string, options: LoadOptions): Promise<Uint8Array[]> {
  const results: Uint8Array[] = [];
  let before = 0;
  const declared = files.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  for (const file of files) {
    const bytes = await loadModelFile(file, {
      ...options,
      onProgress: ({ done, total }) =>
        options.onProgress?.({
          done: before + done,
          total: Math.max(declared, before + total),
          message: `Loading model ${name}`,
        }),
    });
    before += bytes.length;
    options.onProgress?.({ done: before, total: Math.max(declared, before), message: `Loading model ${name}` });
    results.push(bytes);
  }
  return results;
}

function checkImage({ data, shape }: Parameters<SamWorker['encode']>[1]): void {
  const [height = 0, width = 0, channels] = shape;
  if (shape.length === 3 && channels === 3 && height > 0 && width > 0 && data.length === height * width * 3) return;
  throw new SamError(
    'invalid_image',
    `The encoder takes [height, width, 3] bytes, got ${data.length} values of shape [${shape}].`,
    { details: { shape: [...shape], length: data.length } },
  );
}
