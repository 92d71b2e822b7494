import { asSamError } from '../../src/errors.js';
import { pack, type Size, type Tensor } from '../../src/ndimage/array.js';
import { threeAxes } from '../../src/ndimage/label.js';
import type { PlaneRenderer } from '../../src/presenter/viewer.js';
import type { Hand } from '../remote-functions.js';
import type { Extent } from '../viewer/coordinates.js';
import { within } from './callbacks.js';
import { extentToBox } from './geometry.js';
import type { KaibuWindow } from './window.js';

/** An RGB plane [H, W, 3] in the form that Kaibu's 2d-image layers take without a detour over PNG. */
function itkStyle({ data, shape }: Tensor<Uint8Array>): object {
  const [height, width, components] = shape;
  return {
    imageType: { dimension: 2, pixelType: 1, componentType: 'uint8_t', components },
    size: [width, height],
    data: pack(data),
  };
}

/** What Kaibu asks of a remote layer. */
interface RenderRequest {
  readonly extent: Extent;
  readonly size: readonly [width: number, height: number];
}

const OUTSIDE = 20;

/** Config of a `remote` layer that shows what `render` gives for the visible part of an image of `size`. */
export function remoteConfig(name: string, size: Size, render: PlaneRenderer, hand: Hand, index?: number): object {
  return hand({
    type: 'remote',
    name,
    size: [size[1], size[0]],
    ...(index !== undefined && { index }),
    render: async (request: RenderRequest) => ({
      data: await renderView(request, size, render).catch(nothingIfOvertaken),
      mime: 'image/bmp',
    }),
  });
}

/** Whoever asks for another part of the image no longer waits for this one; as an error it would only be logged. */
function nothingIfOvertaken(error: unknown): ArrayBuffer {
  if (asSamError(error).code === 'cancelled') return new ArrayBuffer(0);
  throw error;
}

async function renderView({ extent, size: screen }: RenderRequest, size: Size, render: PlaneRenderer) {
  const [y0, x0, , x1] = extentToBox(extent, size[0]);
  const [width, height] = [Math.max(1, Math.round(screen[0])), Math.max(1, Math.round(screen[1]))];
  const canvas = new Uint8Array(width * height * 3).fill(OUTSIDE);
  const scale = width / (x1 - x0);
  // Whole screen pixels inside the image.
  const left = Math.max(0, Math.ceil(-x0 * scale));
  const top = Math.max(0, Math.ceil(-y0 * scale));
  const right = Math.min(width, Math.floor((size[1] - x0) * scale));
  const bottom = Math.min(height, Math.floor((size[0] - y0) * scale));
  if (left < right && top < bottom) {
    const box = [y0 + top / scale, x0 + left / scale, y0 + bottom / scale, x0 + right / scale] as const;
    const shape: Size = [bottom - top, right - left];
    const { data } = await render(box, shape);
    for (let row = 0; row < shape[0]; row++)
      canvas.set(data.subarray(row * shape[1] * 3, (row + 1) * shape[1] * 3), ((top + row) * width + left) * 3);
  }
  return encodeBmp(canvas, width, height);
}

/** 24-bit BMP: what every browser reads, and nothing to compute. */
export function encodeBmp(rgb: Uint8Array, width: number, height: number): ArrayBuffer {
  const stride = Math.ceil((width * 3) / 4) * 4;
  const bytes = new Uint8Array(54 + stride * height);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x424d);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y++) {
    let out = 54 + (height - 1 - y) * stride;
    for (let i = y * width * 3; i < (y + 1) * width * 3; i += 3, out += 3) {
      bytes[out] = rgb[i + 2]!;
      bytes[out + 1] = rgb[i + 1]!;
      bytes[out + 2] = rgb[i]!;
    }
  }
  return bytes.buffer;
}

/** A renderer over a plane that is in memory: nearest pixel. */
export function planeRenderer({ data, shape }: Tensor<Uint8Array>): PlaneRenderer {
  const [height, width] = threeAxes(shape);
  return async ([y0, x0, y1, x1], [rows, columns]) => {
    const out = new Uint8Array(rows * columns * 3);
    for (let j = 0, k = 0; j < rows; j++) {
      const row = Math.min(height - 1, Math.floor(y0 + ((j + 0.5) * (y1 - y0)) / rows)) * width;
      for (let i = 0; i < columns; i++) {
        const at = 3 * (row + Math.min(width - 1, Math.floor(x0 + ((i + 0.5) * (x1 - x0)) / columns)));
        out[k++] = data[at]!;
        out[k++] = data[at + 1]!;
        out[k++] = data[at + 2]!;
      }
    }
    return { data: out, shape: [rows, columns, 3] };
  };
}

/** The image layer of one scene. */
export interface ImageOnScreen {
  /** Other pixels of the same size, the view staying where it is. */
  update(pixels: Tensor<Uint8Array>): Promise<void>;
}

/** Sets up the image and returns how to change it: `set_image` where there is one, else Kaibu's remote layer. */
export async function showPlane(
  window: KaibuWindow,
  name: string,
  pixels: Tensor<Uint8Array>,
  canSetImage: boolean,
  repaint: () => Promise<void>,
  hand: Hand,
): Promise<ImageOnScreen> {
  await within(window.view_image(itkStyle(pixels), { type: '2d-image', name }), 'view_image');
  if (canSetImage) {
    const layer = (await within(window.get_layer(name), 'get_layer')) as { set_image(data: object): Promise<unknown> };
    return { update: async (changed) => void (await within(layer.set_image(itkStyle(changed)), 'set_image')) };
  }
  // A 2d-image cannot be changed and adding another resets the view; a remote layer above it can.
  let render = planeRenderer(pixels);
  let remote = false;
  const [height, width] = threeAxes(pixels.shape);
  const size: Size = [height, width];
  return {
    async update(changed) {
      render = planeRenderer(changed);
      if (!remote) {
        remote = true;
        const config = remoteConfig(`${name} (current)`, size, (box, shape) => render(box, shape), hand, 1);
        // Answers with OpenLayers' own object, which may take long to send; the layer is there before that.
        await within(window.add_layer(config), 'add_layer', 3000).catch(() => undefined);
      }
      await repaint();
    },
  };
}
