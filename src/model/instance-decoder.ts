import { SamError } from '../errors.js';
import { type Size, type Tensor, tensor } from '../ndimage/array.js';
import { fromHalf } from '../ndimage/half.js';
import { takeHalf } from '../onnx/half-casts.js';
import { rewriteChannelNorms } from '../onnx/instances/channel-norms.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import type { TaskOptions } from '../task.js';
import { FRAME } from './model-spec.js';
import { resizeImage } from './resize.js';
import { float32Of, type OrtRuntime, type OrtSession, type OrtTensor } from './runtime.js';
import type { Embedding, InstanceMaps } from './sam-tensors.js';
import { allGray, firstChannel } from './transforms.js';

/**
 * From the embedding of an image to maps of its objects in one run, as micro-sam's automatic instance segmentation has it
 * (`DecoderAdapter` of micro_sam/instance_segmentation.py, 1.8). The graph says by its inputs what it takes:
 *
 * - `emb…`, [1, 256, 64, 64]: the embedding. micro-sam's own decoder (UNETR) takes nothing else;
 * - `img…`, [1, 3, 512, 512]: the image as the encoder sees it (below);
 * - anything else: early features of the encoder by that name (early-features.ts).
 *
 * It gives `[1, 3 or 5, side, side]` after the sigmoid (`InstanceMaps`), over the encoder's whole square.
 */
export class InstanceDecoder {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: OrtSession,
    private readonly embedding: string,
    private readonly image: string | undefined,
    /** Names of the early features that it takes. */
    readonly early: readonly string[],
    /** Whether it takes them in half precision. */
    private readonly half: boolean,
  ) {}

  /** @throws SamError `model_unavailable` if the bytes are no instance decoder */
  static async create(runtime: OrtRuntime, bytes: Uint8Array): Promise<InstanceDecoder> {
    const { bytes: file, half } = faster(bytes, runtime);
    let session: OrtSession;
    try {
      session = await runtime.createSession(file, { frequent: bytes.length <= MEMORY_KEPT_UP_TO });
    } catch (cause) {
      throw new SamError(
        'model_unavailable',
        `The instance decoder cannot be opened; the file is truncated, damaged or not an ONNX model (${String(cause)}).`,
        { cause },
      );
    }
    const { inputNames, outputNames } = session;
    const { embedding, image, early } = byRole(inputNames);
    if (embedding !== undefined && outputNames.length === 1 && early.every((name) => /^\w+$/.test(name)))
      return new InstanceDecoder(runtime, session, embedding, image, early, half);
    await session.release();
    throw new SamError(
      'model_unavailable',
      `This is not an instance decoder: it takes ${inputNames.join(', ')} and gives ${outputNames.join(', ')}, expected the embedding (emb) and perhaps the image (img) and early features in, and one output of maps.`,
      { details: { inputs: [...inputNames], outputs: [...outputNames] } },
    );
  }

  /**
   * @param image [H, W, 3], what the embedding was made of
   * @throws SamError `no_embedding` if the embedding lacks early features that are taken
   */
  async run(embedding: Embedding, image: Tensor<Uint8Array>, { signal }: TaskOptions = {}): Promise<InstanceMaps> {
    const { features, inputSize } = embedding;
    const feeds: Record<string, OrtTensor> = {
      [this.embedding]: this.runtime.tensor('float32', features.data, features.shape),
    };
    for (const name of this.early) {
      const bits = embedding.early?.[name];
      if (!bits)
        throw new SamError(
          'no_embedding',
          `The instance decoder takes '${name}', which the embedding was made without.`,
        );
      feeds[name] = this.half
        ? this.runtime.tensor('float16', bits.data, bits.shape)
        : this.runtime.tensor('float32', fromHalf(bits.data), bits.shape);
    }
    if (this.image !== undefined)
      feeds[this.image] = this.runtime.tensor('float32', ...halfSizeImage(image, inputSize, FRAME));
    signal?.throwIfAborted();
    const [output] = Object.values(await this.session.run(feeds));
    signal?.throwIfAborted();
    return validPart(output, inputSize, FRAME);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** Bytes of a file up to which its working memory is kept from run to run: of the light decoder, not of a UNETR. */
const MEMORY_KEPT_UP_TO = 10e6;

/**
 * The same decoder by operators that run faster, if it is one of those that can be rewritten; on processors with early
 * features in half precision, as embeddings keep them.
 */
function faster(bytes: Uint8Array, { onProcessor }: OrtRuntime): { bytes: Uint8Array; half: boolean } {
  try {
    const model = readModel(bytes);
    const stored = new Set(model.graph.initializers.map(({ name }) => name));
    const { early } = byRole(model.graph.inputs.flatMap(({ name }) => (stored.has(name) ? [] : name)));
    const half = onProcessor === true && early.length > 0;
    if (half) takeHalf(model, early);
    return rewriteChannelNorms(model) > 0 || half ? { bytes: writeModel(model), half } : { bytes, half };
  } catch {
    return { bytes, half: false }; // the runtime says better what is wrong with it
  }
}

/** What a decoder's inputs are by their names. */
function byRole(inputs: readonly string[]): { embedding?: string; image?: string; early: string[] } {
  const embedding = inputs.find((name) => /^(image_)?emb/i.test(name));
  const image = inputs.find((name) => /^(img|image)/i.test(name) && name !== embedding);
  return { embedding, image, early: inputs.filter((name) => name !== embedding && name !== image) };
}

/**
 * The image as light instance decoders take it: as for the encoder, x / 255 - 0.45, 0 beyond the image, then the mean of
 * 2 x 2 pixels, times 2.
 *
 * @returns [1, 3, side / 2, side / 2]
 */
export function halfSizeImage(
  image: Tensor<Uint8Array>,
  inputSize: Size,
  side: number,
): [data: Float32Array, dims: readonly number[]] {
  const isGray = allGray(image.data);
  const channels = isGray ? 1 : 3;
  const { data } = resizeImage(isGray ? firstChannel(image) : image, inputSize);
  const [height, width] = inputSize;
  const half = side / 2;
  const plane = half * half;
  const out = new Float32Array(3 * plane);
  // The mean of x / 255 - 0.45 over four pixels, times 2; beyond the image are zeros, not black.
  const scale = 2 / (4 * 255);
  const shift = (2 * 0.45) / 4;
  const row = width * channels;
  for (let y = 0; y < height; y += 2)
    for (let x = 0; x < width; x += 2) {
      const to = (y >> 1) * half + (x >> 1);
      const from = y * row + x * channels;
      const [right, below] = [x + 1 < width ? channels : -1, y + 1 < height ? row : -1];
      const count = (right < 0 ? 1 : 2) * (below < 0 ? 1 : 2);
      for (let c = 0; c < channels; c++) {
        let sum = data[from + c];
        if (right > 0) sum += data[from + c + right];
        if (below > 0) sum += data[from + c + below];
        if (right > 0 && below > 0) sum += data[from + c + below + right];
        out[to + c * plane] = sum * scale - count * shift;
      }
    }
  if (isGray) for (const channel of [1, 2]) out.copyWithin(channel * plane, 0, plane);
  return [out, [1, 3, half, half]];
}

/** Without what lies beyond the image. */
function validPart(output: OrtTensor, inputSize: Size, side: number): InstanceMaps {
  const [batch, channels, height, width] = output.dims;
  const cell = side / height;
  if (output.dims.length !== 4 || batch !== 1 || (channels !== 3 && channels !== 5) || height !== width || !(cell >= 1))
    throw new SamError(
      'model_unavailable',
      `The instance decoder gives maps of shape [${output.dims}], expected [1, 3 or 5, n, n] with n at most ${side}.`,
    );
  const data = float32Of(output);
  const [rows, columns] = inputSize.map((length) => Math.min(height, Math.ceil(length / cell)));
  const maps = new Float32Array(channels * rows * columns);
  for (let c = 0, to = 0; c < channels; c++)
    for (let y = 0; y < rows; y++, to += columns) {
      const from = (c * height + y) * width;
      maps.set(data.subarray(from, from + columns), to);
    }
  return { maps: tensor(maps, [channels, rows, columns]), cell, inputSize };
}
