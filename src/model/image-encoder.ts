import { SamError } from '../errors.js';
import { type Tensor, tensor } from '../ndimage/array.js';
import { toHalf } from '../ndimage/half.js';
import type { TaskOptions } from '../task.js';
import { type EncoderInput, FRAME } from './model-spec.js';
import { float32Of, halvesOf, type OrtRuntime, type OrtSession, type OrtTensor } from './runtime.js';
import type { Embedding } from './sam-tensors.js';
import { encoderTensor, resizedSize } from './transforms.js';

const FEATURES = [1, 256, 64, 64];

/** Bytes of a file up to which its working memory is kept from run to run; that of ViT-B and larger ones would be gigabytes. */
const MEMORY_KEPT_UP_TO = 100e6;

export interface EncodeOptions {
  /** Also give what the model's instance decoder takes besides the embedding, if it takes anything. */
  readonly early?: boolean;
}

/** The image encoder of a SAM export: 8-bit RGB in, embedding out. */
export class ImageEncoder {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    private readonly input: EncoderInput & { readonly name: string },
    private readonly output: string,
    private readonly early: Readonly<Record<string, string>>,
    private readonly levels: readonly string[],
  ) {}

  /**
   * @param early names of early features and the graph's outputs that hold them
   * @param levels outputs that go to the mask decoder beside the embedding
   * @throws SamError `model_unavailable` if the bytes are not an encoder that `input` describes
   */
  static async create(
    runtime: OrtRuntime,
    bytes: Uint8Array,
    input: EncoderInput,
    early: Readonly<Record<string, string>> = {},
    levels: readonly string[] = [],
  ): Promise<ImageEncoder> {
    let session: OrtSession;
    try {
      session = await runtime.createSession(bytes, { frequent: bytes.length <= MEMORY_KEPT_UP_TO });
    } catch (error) {
      throw new SamError(
        'model_unavailable',
        `The encoder cannot be opened; the file is truncated, damaged or not an ONNX model (${String(error)}).`,
        { cause: error },
      );
    }
    const name = input.name ?? only(session.inputNames, /image|input|pixel/i);
    const others = [...Object.values(early), ...levels];
    const own = session.outputNames.filter((output) => !others.includes(output));
    const output = input.output ?? only(own, /embed|output|feature/i);
    const isWhole = output !== undefined && [output, ...levels].every((each) => session.outputNames.includes(each));
    if (name !== undefined && session.inputNames.includes(name) && isWhole)
      return new ImageEncoder(runtime, session, { ...input, name }, output, early, levels);
    await session.release();
    throw new SamError(
      'model_unavailable',
      `This is not a SAM image encoder: it takes ${list(session.inputNames)} and gives ${list(session.outputNames)}, expected one image in and ${levels.length > 0 ? `${list(levels)} and one embedding` : 'one embedding'} out.`,
      { details: { inputs: [...session.inputNames], outputs: [...session.outputNames] } },
    );
  }

  /** @param image [H, W, 3] uint8 */
  async encode(image: Tensor<Uint8Array>, options: EncodeOptions & TaskOptions = {}): Promise<Embedding> {
    const { signal } = options;
    const { data, dims } = encoderTensor(image, this.input);
    signal?.throwIfAborted();
    const feeds = { [this.input.name]: this.runtime.tensor('float32', data, dims) };
    const early = options.early ? Object.entries(this.early) : [];
    const wanted = [this.output, ...this.levels, ...early.map(([, output]) => output)];
    const outputs = await this.session.run(feeds, wanted);
    signal?.throwIfAborted();
    const originalSize = [image.shape[0], image.shape[1]] as const;
    const features = outputs[this.output];
    if (String(features.dims) !== String(FEATURES))
      throw new SamError(
        'model_unavailable',
        `The encoder gives an embedding of shape [${features.dims}], expected [${FEATURES}]: it is not a model with SAM's inputs and outputs.`,
      );
    return {
      features: { data: float32Of(features), shape: FEATURES },
      ...(early.length > 0 && {
        early: Object.fromEntries(early.map(([name, output]) => [name, inHalf(outputs[output])])),
      }),
      ...(this.levels.length > 0 && { levels: this.levels.map((output) => inHalf(outputs[output])) }),
      inputSize: resizedSize(originalSize, FRAME, this.input.resize),
      originalSize,
      id: uniqueId(),
    };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

function inHalf(output: OrtTensor): Tensor<Uint16Array> {
  return tensor(output.type === 'float16' ? halvesOf(output) : toHalf(float32Of(output)), output.dims);
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
