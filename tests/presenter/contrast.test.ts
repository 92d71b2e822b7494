import assert from 'node:assert/strict';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import type { TypedArray } from '../../src/ndimage/array.js';
import { measureContrast } from '../../src/presenter/image/contrast.js';
import { ImageDisplay } from '../../src/presenter/image/image-display.js';
import { seededRandom } from '../support/random.js';

/** What an image looks like before anybody chose: objects bright, background dark, whatever is brightest in it. */
describe('contrast', () => {
  /** Background of 100 ± 5, and in each plane, as a part of its pixels, what is brighter. */
  function stack(planes: readonly { part: number; value: number }[], pixels = 64 * 64): TypedArray {
    const random = seededRandom(3);
    return Uint16Array.from({ length: planes.length * pixels }, (_, i) => {
      const { part, value } = planes[Math.floor(i / pixels)];
      return (i % pixels) / pixels < part ? value : 95 + Math.floor(random() * 10);
    });
  }
  const limits = async (data: TypedArray, shape: number[], plane?: number) =>
    (await measureContrast(await openImage({ data, shape, axes: 'zyx' }), [0], { plane }))[0].limits;

  it('is taken from the whole stack, not from three planes of it', async () => {
    const planes = Array.from({ length: 25 }, (_, z) => ({
      part: z === 4 || z === 12 ? 0.2 : 0.04,
      value: z === 12 ? 9000 : 400,
    }));
    const [low, high] = await limits(stack(planes), [25, 64, 64]);
    assert.ok(low >= 95 && low <= 96, `${low}`);
    assert.ok(high < 3000, `one bright plane of 25 sets the limit: ${high}`);
    const all = await limits(stack(Array.from({ length: 25 }, () => ({ part: 0.04, value: 400 }))), [25, 64, 64]);
    assert.equal(all[1], 400);
    assert.ok((await limits(stack(planes), [25, 64, 64], 12))[1] === 9000, 'of one plane where that is asked for');
  });

  it('leaves the background dark where objects are less than a hundredth of the image', async () => {
    const [low, high] = await limits(stack([{ part: 0.005, value: 2000 }]), [1, 64, 64]);
    const brightness = (value: number) => (value - low) / (high - low);
    assert.ok(brightness(104) < 0.05, `${low} to ${high}`);
    assert.ok(brightness(700) > 1, `${low} to ${high}`);
  });

  it('is measured where the file states only the extremes, and as the file states where somebody chose', async () => {
    const planes = stack([{ part: 0.04, value: 400 }]);
    planes[0] = 4000;
    const source = await openImage({ data: planes, shape: [1, 64, 64], axes: 'zyx' });
    const shown = async (limits: readonly [number, number]) => {
      const stated = { ...source, channels: source.channels.map((channel) => ({ ...channel, limits })) };
      const display = await ImageDisplay.open(stated, { signature: 'a', store: memoryStore(), onChanged: () => {} });
      return display.channels()[0].limits;
    };
    assert.deepEqual((await shown([95, 4000]))[1], 400);
    assert.deepEqual((await shown([0, 4095]))[1], 400);
    assert.deepEqual(await shown([120, 300]), [120, 300]);
  });
});
