import { fixRange, PERCENTILE_1_99, toImage } from '../../src/model/intensity.js';
import { allocate, dtypeOf, type Tensor } from '../../src/ndimage/array.js';

/**
 * A plane as the viewer shows it, [H, W, 3] RGB, each channel from its 1st to its 99th percentile. Made in strips with
 * pauses, so that the page answers while a large plane is converted; percentiles are taken of a sample of pixels.
 */
export async function pictureOf(pixels: Tensor, signal?: AbortSignal): Promise<Tensor<Uint8Array>> {
  const [height, width, channels = 1] = pixels.shape;
  const policy = fixRange(sample(pixels), PERCENTILE_1_99);
  const picture = new Uint8Array(height * width * 3);
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let top = 0; top < height; top += rows) {
    const bottom = Math.min(height, top + rows);
    const data = pixels.data.subarray(top * width * channels, bottom * width * channels);
    picture.set(toImage({ data, shape: [bottom - top, ...pixels.shape.slice(1)] }, policy).data, top * width * 3);
    if (bottom < height) await new Promise((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
  }
  return { data: picture, shape: [height, width, 3] };
}

const STRIP_PIXELS = 1 << 20;
const SAMPLE_PIXELS = 1 << 17;

/** Every n-th pixel, so many that percentiles are right to a fraction of a percent. */
function sample({ data, shape }: Tensor): Tensor {
  const [height, width, channels = 1] = shape;
  const pixels = height * width;
  // Odd, so that columns of an even width are not sampled alone.
  const step = Math.max(1, Math.floor(pixels / SAMPLE_PIXELS)) | 1;
  const count = Math.ceil(pixels / step);
  const out = allocate(dtypeOf(data), count * channels);
  for (let i = 0; i < count; i++)
    for (let c = 0; c < channels; c++) out[i * channels + c] = data[i * step * channels + c];
  return { data: out, shape: [count, 1, channels] };
}
