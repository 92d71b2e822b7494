import { SamError } from '../errors.js';
import { type Size, type Tensor, tensor, type YX, type YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import { maskToBitmap } from '../ndimage/rle.js';
import { type EncoderInput, FRAME } from './model-spec.js';
import { resizeImage, triangleKernel } from './resize.js';
import type { SamPrompts } from './sam-tensors.js';
import { MaskUpsampler } from './upsample.js';

export * from './intensity.js';

/**
 * Between image pixels and the frame the model works in, exactly as segment-anything's `ResizeLongestSide` and
 * `Sam.preprocess` (segment-anything 1.0). Here, and nowhere above, coordinates turn from (y, x) into
 * the model's (x, y).
 */

/** [h, w] of the image inside the model's square. */
export function resizedSize(
  [height, width]: Size,
  side = FRAME,
  resize: EncoderInput['resize'] = 'longest-side',
): Size {
  if (resize === 'stretch') return [side, side];
  const scale = side / Math.max(height, width);
  return [Math.max(1, Math.floor(height * scale + 0.5)), Math.max(1, Math.floor(width * scale + 0.5))];
}

/** What the encoder's input tensor holds: [1, 3, side, side] for 'nchw', [h, w, 3] (0..255) for 'hwc'. */
export interface EncoderTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  /** [h, w] of the image in it. */
  readonly inputSize: Size;
}

/** @param image [H, W, 3] as `toImage` makes it */
export function encoderTensor(image: Tensor<Uint8Array>, input: EncoderInput): EncoderTensor {
  const [height, width] = image.shape;
  const inputSize = resizedSize([height, width], input.side, input.resize);
  const isGray = input.layout !== 'hwc' && allGray(image.data);
  const resized = resizeImage(isGray ? firstChannel(image) : image, inputSize);
  if (input.layout === 'hwc') return { data: Float32Array.from(resized.data), dims: [...inputSize, 3], inputSize };
  const { side } = input;
  const [rows, columns] = inputSize;
  const data = new Float32Array(3 * side * side); // the padding is 0 after normalising
  const [red, green, blue] = [0, 1, 2].map((channel) =>
    Float32Array.from({ length: 256 }, (_, v) => (v - input.mean[channel]) / input.std[channel]),
  );
  const plane = side * side;
  const [step, second, third] = isGray ? [1, 0, 0] : [3, 1, 2];
  for (let y = 0, from = 0; y < rows; y++) {
    for (let to = y * side, end = to + columns; to < end; to++, from += step) {
      data[to] = red[resized.data[from]];
      data[to + plane] = green[resized.data[from + second]];
      data[to + 2 * plane] = blue[resized.data[from + third]];
    }
  }
  return { data, dims: [1, 3, side, side], inputSize };
}

/** As most micrographs are; one channel is resized in a third of the time. */
export function allGray(rgb: Uint8Array): boolean {
  for (let i = 0; i < rgb.length; i += 3) if (rgb[i] !== rgb[i + 1] || rgb[i] !== rgb[i + 2]) return false;
  return true;
}

/** [H, W, 3] → [H, W, 1] */
export function firstChannel({ data, shape: [height, width] }: Tensor<Uint8Array>): Tensor<Uint8Array> {
  const first = new Uint8Array(height * width);
  for (let i = 0; i < first.length; i++) first[i] = data[3 * i];
  return tensor(first, [height, width, 1]);
}

/** The two sizes that place an image in the model's square; an `Embedding` is one. */
export interface Frame {
  readonly inputSize: Size;
  readonly originalSize: Size;
}

/** (y, x) in image pixels → [x, y] in the model's frame, with a ratio of its own per axis. */
function toModelXY([y, x]: YX, { inputSize, originalSize }: Frame): [x: number, y: number] {
  return [(x * inputSize[1]) / originalSize[1], (y * inputSize[0]) / originalSize[0]];
}

/** One object's prompt in image pixels. */
export interface ObjectPrompt {
  readonly points?: readonly { readonly at: YX; readonly positive: boolean }[];
  readonly box?: YXYX;
  /** 256 x 256 logits, from an earlier prediction or `maskToLogits`. */
  readonly maskLogits?: Float32Array;
}

/** Tokens the prompt takes: points, then either a box's two corners or one padding point. */
function promptLength(prompt: ObjectPrompt): number {
  return (prompt.points?.length ?? 0) + (prompt.box ? 2 : 1);
}

/**
 * One decoder batch. All prompts must have the same length and either all or none a mask, because another padding point
 * is not neutral to the decoder; `groupPrompts` sorts any list into such batches.
 */
export function buildPrompts(prompts: readonly ObjectPrompt[], frame: Frame): SamPrompts {
  const batch = prompts.length;
  const points = batch === 0 ? 0 : promptLength(prompts[0]);
  const withMask = batch > 0 && prompts[0].maskLogits !== undefined;
  const coords = new Float32Array(batch * points * 2);
  const labels = new Float32Array(batch * points);
  const maskInput = withMask ? new Float32Array(batch * 256 * 256) : undefined;
  prompts.forEach((prompt, b) => {
    if (promptLength(prompt) !== points || (prompt.maskLogits !== undefined) !== withMask)
      throw new SamError('invalid_prompt', 'The prompts of one batch must have equal lengths and all or no masks.');
    let token = b * points;
    const put = (at: YX, label: number) => {
      if (!Number.isFinite(at[0]) || !Number.isFinite(at[1]))
        throw new SamError('invalid_prompt', `A prompt coordinate is not a number: (${at[0]}, ${at[1]}).`);
      coords.set(toModelXY(at, frame), token * 2);
      labels[token++] = label;
    };
    for (const { at, positive } of prompt.points ?? []) put(at, positive ? 1 : 0);
    if (prompt.box) {
      put([prompt.box[0], prompt.box[1]], 2);
      put([prompt.box[2], prompt.box[3]], 3);
    } else labels[token] = -1;
    if (prompt.maskLogits) {
      if (prompt.maskLogits.length !== 256 * 256)
        throw new SamError('invalid_prompt', `A mask prompt is 256 x 256 logits, got ${prompt.maskLogits.length}.`);
      maskInput?.set(prompt.maskLogits, b * 256 * 256);
    }
  });
  return { coords, labels, batch, points, maskInput };
}

/** Sorts prompts into batches of one kind, at most `size` each; `indices` says which prompts went in. */
export function groupPrompts(
  prompts: readonly ObjectPrompt[],
  frame: Frame,
  size = 8,
): { prompts: SamPrompts; indices: number[] }[] {
  const kinds = new Map<string, number[]>();
  prompts.forEach((prompt, index) => {
    const kind = `${promptLength(prompt)}${prompt.maskLogits ? 'm' : ''}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), index]);
  });
  return [...kinds.values()].flatMap((all) =>
    Array.from({ length: Math.ceil(all.length / size) }, (_, i) => {
      const indices = all.slice(i * size, (i + 1) * size);
      return {
        prompts: buildPrompts(
          indices.map((index) => prompts[index]),
          frame,
        ),
        indices,
      };
    }),
  );
}

/** 256 x 256 logits → the mask in image pixels. For many masks of one image make a `MaskUpsampler` once. */
export function postprocessMask(logits: Float32Array, inputSize: Size, originalSize: Size, side = 1024): Mask {
  return new MaskUpsampler(inputSize, originalSize, side).mask(logits);
}

const LOGIT = Math.log((1 - 1e-3) / 1e-3);

/**
 * A drawn mask as mask prompt: antialiased to 256 on its longest side, padded with background, +-6.907
 * (`_compute_logits_from_mask` of micro_sam/prompt_based_segmentation.py, micro-sam 1.8).
 *
 * @param originalSize [h, w] of the image the mask lies in
 * @param resize as the encoder's input
 */
export function maskToLogits(mask: Mask, originalSize: Size, resize?: EncoderInput['resize']): Float32Array {
  const [height, width] = resizedSize(originalSize, 256, resize);
  const [top, left, bottom, right] = mask.box;
  const columns = triangleKernel(originalSize[1], width);
  const rows = triangleKernel(originalSize[0], height);
  // How much of each of the 256 columns every row of the box covers.
  const covered = new Float64Array((bottom - top) * width);
  const bitmap = maskToBitmap(mask, [bottom - top, right - left], [top, left]);
  for (let y = 0; y < bottom - top; y++) {
    const line = bitmap.subarray(y * (right - left), (y + 1) * (right - left));
    if (!line.includes(1)) continue;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < columns.count[x]; k++) {
        const from = columns.start[x] + k - left;
        if (from >= 0 && from < line.length && line[from]) sum += columns.weights[x * columns.stride + k];
      }
      covered[y * width + x] = sum;
    }
  }
  const logits = new Float32Array(256 * 256).fill(-LOGIT);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let value = 0;
      for (let k = 0; k < rows.count[y]; k++) {
        const from = rows.start[y] + k - top;
        if (from >= 0 && from < bottom - top) value += rows.weights[y * rows.stride + k] * covered[from * width + x];
      }
      if (value > 0.5) logits[y * 256 + x] = LOGIT;
    }
  }
  return logits;
}
