import assert from 'node:assert/strict';
import { paintPixels, readPixels } from '../../plugin/viewer/layers/image-pixels.js';

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

  it('are read of arrays, as a finished picture only if they are colours of 8 bits', async () => {
    const array = (_rdtype: string, data: Uint8Array | Uint16Array, _rshape: number[]) =>
      readPixels({ _rtype: 'ndarray', _rdtype, _rvalue: data.buffer, _rshape });
    const grey = await array('uint16', Uint16Array.of(1, 2, 3, 4, 5, 600), [2, 3]);
    assert.deepEqual(grey, {
      ...{ width: 3, height: 2, components: 1, finished: false },
      values: Uint16Array.of(1, 2, 3, 4, 5, 600),
    });
    const colours = Uint8Array.of(1, 0, 1, 0, 1, 1);
    const finished = async (dtype: string) => (await array(dtype, colours, [1, 2, 3])).finished;
    assert.deepEqual([await finished('uint8'), await finished('bool'), await finished('int8')], [true, false, false]);
    await assert.rejects(array('uint8', colours, [1, 1, 6]), {
      message: /\[H, W, 3\] or \[H, W, 4\]; got \[1,1,6\]/,
    });
    await assert.rejects(array('uint8', colours, [2, 2]), { message: /6 values, which do not fill its shape/ });
    await assert.rejects(readPixels({}), { message: /got none of these/ });
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
