import assert from 'node:assert/strict';
import { paintPixels } from '../../plugin/viewer/layers/image-pixels.js';

/** Pictures larger than what is painted at once, against each pixel worked out by itself. */
describe('pixels of an image layer', () => {
  const [width, height] = [700, 301];
  const values = (components: number) =>
    new Uint8Array(width * height * components).map((_, i) => (i * 73 + (i >> 9)) % 256);

  const { ImageData: ofThisPlatform } = globalThis;
  after(() => {
    globalThis.ImageData = ofThisPlatform;
  });

  before(() => {
    globalThis.ImageData = class {
      readonly data: Uint8ClampedArray;
      constructor(
        readonly width: number,
        readonly height: number,
      ) {
        this.data = new Uint8ClampedArray(4 * width * height);
      }
    } as unknown as typeof ImageData;
  });

  for (const [title, components, limits] of [
    ['colours as they are', 3, [0, 255]],
    ['colours between limits', 3, [40, 200]],
    ['colours with their opacity', 4, [0, 255]],
    ['one channel between limits', 1, [30, 90]],
  ] as const)
    it(title, () => {
      const picture = new Uint8ClampedArray(4 * width * height);
      const pixels = { width, height, components, values: values(components), finished: true };
      paintPixels(pixels, limits, canvasInto(picture));
      const [low, high] = limits;
      const expected = new Uint8ClampedArray(picture.length);
      for (let p = 0; p < width * height; p++) {
        for (let c = 0; c < 3; c++)
          expected[4 * p + c] =
            ((pixels.values[p * components + (components > 1 ? c : 0)]! - low) * 255) / (high - low);
        expected[4 * p + 3] = components === 4 ? pixels.values[4 * p + 3]! : 255;
      }
      assert.ok(picture.every((value, i) => Math.abs(value - expected[i]!) <= (low === 0 ? 0 : 1)));
    });

  /** What a canvas does with the pixels it is given. */
  function canvasInto(picture: Uint8ClampedArray): HTMLCanvasElement {
    const putImageData = (image: ImageData, x: number, y: number, left: number, top: number, w: number, h: number) => {
      for (let row = top; row < top + h; row++) {
        const from = 4 * (row * image.width + left);
        picture.set(image.data.subarray(from, from + 4 * w), 4 * ((y + row) * width + x + left));
      }
    };
    return { width, height, getContext: () => ({ putImageData }) } as unknown as HTMLCanvasElement;
  }
});
