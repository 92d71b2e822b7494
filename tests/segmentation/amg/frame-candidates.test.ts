import assert from 'node:assert/strict';
import type { YXYX } from '../../../src/ndimage/array.js';
import { nonMaximumSuppression } from '../../../src/ndimage/boxes.js';
import { FrameCandidates } from '../../../src/segmentation/amg/frame-candidates.js';
import type { AmgCandidate } from '../../../src/segmentation/amg/state.js';
import { seededRandom } from '../../support/random.js';

const LOGITS = { crop: [0, 0, 0, 0], signs: new Uint16Array(), values: new Float32Array() } as const;

describe('candidates of a frame', () => {
  const random = seededRandom(5);
  const side = () => Math.floor(random() * 3);
  const all = Array.from({ length: 400 }, (_, i): AmgCandidate => {
    const [y, x] = [4 * side(), 4 * side()];
    const box: YXYX = [y, x, y + 6 + side(), x + 6 + side()];
    return {
      prompt: i,
      token: 1 + (i % 3),
      predictedIou: 0.6 + random() * 0.4,
      stability: random(),
      box,
      logits: LOGITS,
    };
  });
  const frame = new FrameCandidates();
  for (let i = 0; i < all.length; i += 50) frame.add(all.slice(i, i + 50));

  it('are the same after any thresholds and suppression, though fewer are kept', () => {
    assert.ok(frame.list().length < all.length / 2, `${frame.list().length} kept`);
    for (let i = 0; i < 200; i++) {
      const [iou, stability, nms] = [0.6 + random() * 0.4, random(), random() * 0.99];
      const survivors = (candidates: readonly AmgCandidate[]) => {
        const kept = candidates.filter((c) => c.predictedIou > iou && c.stability >= stability);
        const order = nonMaximumSuppression(
          kept.map(({ box }) => box),
          kept.map((c) => c.predictedIou),
          nms,
        );
        return order.map((at) => kept[at].prompt);
      };
      assert.deepEqual(survivors(frame.list()), survivors(all), `thresholds ${iou}, ${stability}, ${nms}`);
    }
  });

  it('stay one array while nothing is added', () => {
    const before = frame.list();
    assert.equal(frame.list(), before);
    frame.add([{ ...all[0], prompt: 400, predictedIou: 1, stability: 1 }]);
    assert.deepEqual(
      frame.list().filter(({ box }) => String(box) === String(all[0].box)),
      [frame.list().at(-1)],
    );
  });
});
