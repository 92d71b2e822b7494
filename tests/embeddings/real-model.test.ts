import assert from 'node:assert/strict';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { resolveModel } from '../../src/model/registry.js';
import { fixRange, toImage } from '../../src/model/transforms.js';
import { tensor } from '../../src/ndimage/array.js';
import { nodeWorker } from '../support/node-engine.js';

describe('embeddings of the real model', function () {
  this.timeout(240_000);

  it('of a tile are those of its outer box, stretched by the range of the whole image, on disk and in memory', async () => {
    const { image } = cellPhantom({ size: [120, 160] });
    const width = image.shape[1];
    const worker = await nodeWorker();
    const model = resolveModel();
    const store = memoryStore();
    const options = { source: openNdarray(image), worker, model, store };
    const tiling = { tileShape: [60, 80], halo: [10, 10] } as const;
    const embeddings = await openEmbeddings({ ...options, tiling });
    const got = await embeddings.embedding({ plane: 0, tile: 3 });
    assert.deepEqual(
      [got.originalSize, got.inputSize],
      [
        [70, 90],
        [796, 1024],
      ],
    );

    const crop = new Uint16Array(70 * 90);
    for (let y = 0; y < 70; y++) {
      const start = (y + 50) * width + 70;
      crop.set(image.data.subarray(start, start + 90), y * 90);
    }
    const expected = await worker.encode(model.name, toImage(tensor(crop, [70, 90]), fixRange(image)));
    let worst = 0;
    got.features.data.forEach((value, i) => {
      worst = Math.max(worst, Math.abs(value - expected.features.data[i]));
    });
    // Threads sum in varying order.
    assert.ok(worst < 1e-4, `largest difference ${worst}`);

    const stored = await (await openEmbeddings(options)).embedding({ plane: 0, tile: 3 });
    // Early features are read from the store only where they are asked for.
    assert.deepEqual({ ...stored, early: undefined }, { ...got, early: undefined });
  });
});
