import assert from 'node:assert/strict';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { composite } from '../../src/presenter/image/composite.js';
import { ImageDisplay } from '../../src/presenter/image/image-display.js';

/** An image as the eye sees it, against numbers worked out by hand. */
describe('image display', () => {
  const display = async (input: Parameters<typeof openImage>[0], store = memoryStore(), onChanged = () => {}) =>
    ImageDisplay.open(await openImage(input), { signature: 'sampled:1', store, onChanged });

  it('adds channels up in their colours between their limits', () => {
    const pixels = { data: Float32Array.of(0, 10, 5, 20, 10, Number.NaN), shape: [1, 3, 2] };
    const { data, shape } = composite(pixels, [
      { at: 0, limits: [0, 10], color: '#ff0000' },
      { at: 1, limits: [10, 20], color: '#ff8000' },
    ]);
    assert.deepEqual(shape, [1, 3, 3]);
    assert.deepEqual([...data], [0, 0, 0, 255, 128, 0, 255, 0, 0]);
  });

  it('paints large grey planes as it paints each of their pixels', () => {
    const stored = Array.from({ length: 300 * 256 }, (_, i) => (i * 31 + (i >> 8)) % 256);
    for (const data of [Uint8Array.from(stored), Uint16Array.from(stored), Float32Array.from(stored)]) {
      const channel = { at: 0, limits: [17, 68], color: '#ffffff' } as const;
      const whole = composite({ data, shape: [300, 256] }, [channel]).data;
      const row = composite({ data: data.subarray(0, 256), shape: [1, 256] }, [channel]).data;
      assert.deepEqual(whole.subarray(0, row.length), row);
      const grey = stored.map((value) => Math.min(255, Math.max(0, (value - 17) * 5)));
      assert.equal(whole.length, 3 * grey.length);
      assert.ok(whole.every((value, i) => value === grey[Math.floor(i / 3)]));
    }
  });

  it('shows grey from the 1st to the 99th percentile, and 8-bit colours as they are', async () => {
    const ramp = Uint16Array.from({ length: 1000 * 10 }, (_, i) => i % 1000);
    const grey = await display({ data: ramp, shape: [10, 1000] });
    const [{ limits, color }] = grey.channels();
    assert.ok(Math.abs(limits[0] - 10) <= 1 && Math.abs(limits[1] - 989) <= 1, `${limits}`);
    assert.equal(color, undefined);
    const colours = Uint8Array.from({ length: 5 * 7 * 3 }, (_, i) => (i * 37) % 256);
    const rgb = await display({ data: colours, shape: [5, 7, 3], axes: 'yxs' });
    assert.deepEqual((await rgb.picture(0)).data, colours);
  });

  it('stretches grey that was saved as colours', async () => {
    const dark = Uint8Array.from({ length: 41 * 3 }, (_, i) => 10 + Math.floor(i / 3));
    const rgb = await display({ data: dark, shape: [1, 41, 3], axes: 'yxs' });
    assert.equal(rgb.channels().length, 1);
    assert.deepEqual(rgb.channels()[0].limits, [10, 50]);
    const { data } = await rgb.picture(0);
    assert.deepEqual(
      [...data.subarray(0, 3), ...data.subarray(60, 63), ...data.subarray(120)],
      [0, 0, 0, 128, 128, 128, 255, 255, 255],
    );
    const tinted = dark.with(1, 11);
    const colours = await display({ data: tinted, shape: [1, 41, 3], axes: 'yxs' });
    assert.deepEqual(colours.channels()[0].limits, [0, 255]);
  });

  it('paints the same part of the image at every zoom, from an overview where too much would have to be read', async () => {
    const [height, width] = [4200, 4400];
    const data = new Uint8Array(height * width);
    for (let end = width; end <= data.length; end += width) data.fill(255, end - width / 2, end);
    let changed = () => {};
    const settled = new Promise<void>((resolve) => {
      changed = resolve;
    });
    const large = await display({ data, shape: [height, width] }, memoryStore(), () => changed());
    const render = large.renderer(0);
    const near = await render([100, 2190, 120, 2210], [20, 20]);
    assert.deepEqual(
      [...near.data.subarray(0, 60)].map((v) => v > 127),
      Array.from({ length: 60 }, (_, i) => i >= 30),
    );
    await render([0, 0, height, width], [42, 44]);
    await settled;
    const far = await render([0, 0, height, width], [42, 44]);
    for (let row = 0; row < 42; row++)
      for (let column = 0; column < 44; column++)
        assert.equal(far.data[(row * 44 + column) * 3] > 127, column >= 22, `row ${row}, column ${column}`);
    await large.close();
  });

  it('remembers colours, limits and visibility, and tells when the picture changed', async () => {
    const store = memoryStore();
    const image = { data: Uint16Array.from({ length: 2 * 64 }, (_, i) => i), shape: [2, 8, 8], axes: 'cyx' };
    let told = 0;
    const first = await display(image, store, () => told++);
    await first.change({ index: 1, limits: [3, 9], color: '#123456' }, 0);
    await first.change({ index: 0, visible: false }, 0);
    assert.equal(told, 2);
    await first.close();
    const values = await first.values.at(0, [7, 5]);
    assert.deepEqual(
      values.map(({ value }) => value),
      [61, 125],
      'as the file has them, hidden or not',
    );
    const [hidden, chosen] = (await display(image, store)).channels();
    assert.equal(hidden.visible, false);
    assert.deepEqual([chosen.limits, chosen.color], [[3, 9], '#123456']);
  });
});
