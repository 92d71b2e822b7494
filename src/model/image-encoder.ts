import { SamError } from '../errors.js';
import type { Tensor } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import type { EncoderInput } from './model-spec.js';
import { float32Of, type OrtRuntime, type OrtSession } from './runtime.js';
import type { Embedding } from './sam-tensors.js';
import { encoderTensor } from './transforms.js';

const FEATURES = [1, 256, 64, 64];

/** The image encoder of a SAM export: 8-bit RGB in, embedding out. */
export class ImageEncoder {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    private readonly input: EncoderInput & { readonly name: string },
    private readonly output: string,
  ) {}

  /** @throws SamError `model_unavailable` if the bytes are not an encoder that `input` describes */
  static async create(runtime: OrtRuntime, bytes: Uint8Array, input: EncoderInput): Promise<ImageEncoder> {
    let session: OrtSession;
    try {
      session = await runtime.createSession(bytes);
    } catch (error) {
      throw new SamError(
        'model_unavailable',
        `The encoder cannot be opened; the file is truncated, damaged or not an ONNX model (${String(error)}).`,
        { cause: error },
      );
    }
    const name = input.name ?? only(session.inputNames, /image|input|pixel/i);
    const output = input.output ?? only(session.outputNames, /embed|output|feature/i);
    if (name !== undefined && session.inputNames.includes(name) && output && session.outputNames.includes(output))
      return new ImageEncoder(runtime, session, { ...input, name }, output);
    await session.release();
    throw new SamError(
      'model_unavailable',
      `This is not a SAM image encoder: it takes ${list(session.inputNames)} and gives ${list(session.outputNames)}, expected one image in and one embedding out.`,
      { details: { inputs: [...session.inputNames], outputs: [...session.outputNames] } },
    );
  }

  /** @param image [H, W, 3] uint8 */
  async encode(image: Tensor<Uint8Array>, { signal }: TaskOptions = {}): Promise<Embedding> {
    const { data, dims, inputSize } = encoderTensor(image, this.input);
    signal?.throwIfAborted();
    const feeds = { [this.input.name]: this.runtime.tensor('float32', data, dims) };
    const outputs = await this.session.run(feeds, [this.output]);
    signal?.throwIfAborted();
    const features = outputs[this.output];
    if (String(features.dims) !== String(FEATURES))
      throw new SamError(
        'model_unavailable',
        `The encoder gives an embedding of shape [${features.dims}], expected [${FEATURES}]: it is not a SAM v1 model.`,
      );
    return {
      features: { data: float32Of(features), shape: FEATURES },
      inputSize,
      originalSize: [image.shape[0], image.shape[1]],
      id: uniqueId(),
    };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** The only name, or the first that looks right. */
function only(names: readonly string[], pattern: RegExp): string | undefined {
  return names.length === 1 ? names[0] : names.find((name) => pattern.test(name));
}

function list(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ') || 'nothing';
}

function uniqueId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
