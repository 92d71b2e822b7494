import assert from 'node:assert/strict';
import { makeCanvas, planCanvases } from '../../src/training/canvas.js';
import { madePictures } from '../../src/training/joint/joint-pictures.js';
import { Random } from '../../src/training/random.js';
import { discs } from '../support/discs.js';

describe('pictures that are made at their step', () => {
  it('come each once before one comes again, in the same order after a stop', async () => {
    const canvas = await makeCanvas({ layout: 'whole', sources: [sourceOf(1)], seed: 3 });
    const order = async (positions: readonly number[]) => {
      const asked: number[] = [];
      const pictureOf = async (index: number) => {
        asked.push(index);
        return canvas;
      };
      const pictures = madePictures({ count: 3, seed: 5, pictureOf });
      for (const position of positions) await pictures.draw(position, new Random(1), () => undefined);
      return asked;
    };
    const whole = await order([0, 1, 2, 3, 4, 5]);
    assert.deepEqual([...whole.slice(0, 3)].sort(), [0, 1, 2]);
    assert.deepEqual([...whole.slice(3)].sort(), [0, 1, 2]);
    assert.deepEqual(await order([5]), whole.slice(5));
  });

  it('are as the encoder takes them, with their objects on the grid of the mask decoder', async () => {
    const [plan] = planCanvases([sourceOf(18)], 1, new Random(2));
    const pictures = madePictures({ count: 1, seed: 1, pictureOf: () => makeCanvas({ ...plan, layout: 'whole' }) });
    const { input, objects, features } = await pictures.draw(0, new Random(1), (labels) => {
      assert.deepEqual(labels.shape, [256, 256]);
      assert.ok(labels.data.includes(1));
      return [];
    });
    assert.equal(input.length, 3 * 1024 * 1024);
    assert.deepEqual(objects, []);
    assert.equal(features.img.length, 3 * 512 * 512);
    assert.equal(features.target.length, 4 * 512 * 512);
    assert.equal(features.emb, undefined);
  });
});

function sourceOf(radius: number) {
  return { name: 'discs', kind: 'discs', load: async () => discs(64, radius, 64) };
}
