import assert from 'node:assert/strict';
import type { Size, Tensor } from '../../../src/ndimage/array.js';
import type { Mask } from '../../../src/ndimage/mask.js';
import { EMPTY_MASK, fullMask, maskFromBitmap } from '../../../src/ndimage/rle.js';
import { contrastOf, surroundingsOf } from '../../../src/segmentation/volume/contrast.js';
import { seededRandom } from '../../support/random.js';

const SIZE: Size = [90, 110];

function disk(y: number, x: number, radius: number, [height, width]: Size = SIZE): Mask {
  const inside = (_: unknown, p: number) => Number(Math.hypot(Math.floor(p / width) - y, (p % width) - x) <= radius);
  return maskFromBitmap(Uint8Array.from({ length: height * width }, inside), [height, width]);
}

/** The part of an image that is asked for. */
function measured(mask: Mask, value: (y: number, x: number) => readonly number[], size: Size = SIZE): number[] {
  const box = surroundingsOf(mask, size);
  const pixels: number[] = [];
  for (let y = box[0]; y < box[2]; y++) for (let x = box[1]; x < box[3]; x++) pixels.push(...value(y, x));
  const shape = [box[2] - box[0], box[3] - box[1], value(0, 0).length];
  return contrastOf({ data: Float32Array.from(pixels), shape } as Tensor, mask, box);
}

describe('contrast of an object', () => {
  it('is the difference to what is around it, in standard deviations, per channel', () => {
    const random = seededRandom(7);
    const noise = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const object = disk(40, 50, 15);
    const [bright, dark] = measured(object, (y, x) => {
      const inside = Math.hypot(y - 40, x - 50) <= 15;
      return [(inside ? 120 : 100) + 10 * noise(), (inside ? 300 : 400) + 80 * noise()];
    });
    assert.ok(Math.abs(bright - 2) < 0.25, `${bright}`);
    assert.ok(Math.abs(dark + 1.25) < 0.25, `${dark}`);
    const [elsewhere] = measured(disk(40, 50, 15), () => [100 + 10 * noise()]);
    assert.ok(Math.abs(elsewhere) < 0.25, `${elsewhere}`);
  });

  it('does not depend on the unit of the pixels, and looks at the surroundings only', () => {
    const object = disk(30, 30, 10);
    const value = (y: number, x: number) => (Math.hypot(y - 30, x - 30) <= 10 ? 5 : 3) + ((3 * y + 5 * x) % 4);
    const [plain] = measured(object, (y, x) => [value(y, x)]);
    const [scaled] = measured(object, (y, x) => [1000 * value(y, x) - 70]);
    const [far] = measured(object, (y, x) => [Math.hypot(y - 30, x - 30) > 16 ? 999 : value(y, x)]);
    assert.ok(Math.abs(plain - scaled) < 1e-3 && Math.abs(plain - far) < 1e-9, `${plain}, ${scaled}, ${far}`);
    assert.ok(plain > 0.8 && plain < 3);
  });

  it('stays within what can be told, also without noise, at the border, of large objects and of nothing', () => {
    assert.deepEqual(
      measured(disk(3, 3, 8), (y, x) => [Math.hypot(y - 3, x - 3) <= 8 ? 1 : 0]),
      [3],
    );
    assert.deepEqual(
      measured(disk(20, 20, 5), () => [7]),
      [0],
    );
    assert.deepEqual(
      measured(fullMask(SIZE), (y) => [y]),
      [0],
    );
    assert.deepEqual(
      measured(EMPTY_MASK, () => [1]),
      [0],
    );
    assert.deepEqual(
      measured(disk(20, 20, 5), () => [Number.NaN]),
      [0],
    );
    const size: Size = [700, 900];
    const large = disk(350, 450, 300, size);
    const [all] = measured(
      large,
      (y, x) => [(Math.hypot(y - 350, x - 450) <= 300 ? 2 : 0) + ((y * 7 + x * 3) % 5)],
      size,
    );
    assert.ok(Math.abs(all - 2 / Math.SQRT2) < 0.05, `${all}`);
  });
});
