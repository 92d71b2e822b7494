import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type ImageEmbeddings, openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { precomputeEmbeddings } from '../../src/embeddings/precompute.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { HASH_MODEL, hashEncoder } from '../support/hash-encoder.js';
import { noiseVolume } from '../support/labels.js';
import { FORMAT_PACKAGES, hasPython, pythonVenv, runPython, withPython } from '../support/python.js';

const sha1 = (...parts: Float32Array[]) => {
  const hash = createHash('sha1');
  for (const { buffer, byteOffset, byteLength } of parts) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
};

describe('embeddings, exchanged with zarr-python', function () {
  this.timeout(900_000);
  let python: string;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'embeddings-'));
    if (hasPython) python = await pythonVenv(FORMAT_PACKAGES);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function featuresOf(embeddings: ImageEmbeddings, tile?: number): Promise<Float32Array[]> {
    const all: Float32Array[] = [];
    for (let plane = 0; plane < embeddings.planes; plane++) {
      const { features } = await embeddings.embedding({ plane, ...(tile !== undefined && { tile }) });
      all.push(features.data);
    }
    return all;
  }

  for (const [kind, image, tiling, half] of [
    ['a plane', { ...noiseVolume(1), shape: [24, 32], axes: 'yx' }, 'none', false],
    ['a stack', noiseVolume(3), 'none', false],
    ['a stack in half precision', noiseVolume(2), 'none', true],
    ['a tiled plane', { ...noiseVolume(1), shape: [24, 32], axes: 'yx' }, { tileShape: [16, 16], halo: [4, 4] }, false],
    ['a tiled stack', noiseVolume(2), { tileShape: [16, 32], halo: [4, 4] }, false],
  ] as const)
    withPython(`of ${kind} open there with shapes, attributes and values`, async () => {
      const place = path.join(folder, kind);
      const options = { source: openNdarray(image), worker: hashEncoder(), model: HASH_MODEL, tiling, half };
      const embeddings = await openEmbeddings({ ...options, store: folderStore(place) });
      await precomputeEmbeddings(embeddings);
      const { attrs, group, arrays } = JSON.parse(runPython(python, 'embeddings_zarr.py', 'read', place));
      const tiled = tiling !== 'none';
      const { micro_sam_version, ...signature } = embeddings.signature;
      assert.deepEqual(attrs, {
        ...signature,
        micro_sam_version,
        input_size: tiled ? null : [768, 1024],
        original_size: tiled ? null : [24, 32],
      });
      assert.equal(attrs.data_signature, createHash('sha1').update(image.data).digest('hex'));
      if (tiled) assert.deepEqual(group, { shape: [24, 32], tile_shape: tiling.tileShape, halo: tiling.halo });
      const isStack = image.axes === 'zyx';
      const names = tiled ? embeddings.tiling!.tiles.map((_, i) => String(i)) : [''];
      assert.deepEqual(Object.keys(arrays), names);
      // Read through the cache, as half precision rounds.
      const stored = await openEmbeddings({ ...options, store: folderStore(place) });
      for (const [i, name] of names.entries()) {
        const { shape, chunks, dtype, attrs: own, sha1: found } = arrays[name];
        assert.deepEqual(shape, isStack ? [embeddings.planes, 1, 256, 64, 64] : [1, 256, 64, 64]);
        assert.deepEqual(chunks, isStack ? [1, 1, 256, 64, 64] : [1, 256, 64, 64]);
        assert.equal(dtype, half ? 'float16' : 'float32');
        if (tiled) assert.ok(own.original_size.length === 2 && own.input_size.length === 2);
        assert.equal(found, sha1(...(await featuresOf(stored, tiled ? i : undefined))));
      }
    });

  for (const format of [2, 3])
    for (const kind of ['whole', 'tiled'])
      withPython(`written there as zarr v${format}, ${kind}, are used here without encoding`, async () => {
        const place = path.join(folder, `theirs-${format}-${kind}`);
        const written = JSON.parse(runPython(python, 'embeddings_zarr.py', 'write', place, String(format), kind));
        const worker = hashEncoder();
        const source = openNdarray({ data: Uint8Array.from(written.image), shape: [2, 24, 32], axes: 'zyx' });
        const embeddings = await openEmbeddings({ source, worker, model: HASH_MODEL, store: folderStore(place) });
        assert.equal(embeddings.tiling?.tiles.length, kind === 'tiled' ? 2 : undefined);
        for (const [tile, planes] of written.sha1.entries()) {
          const all = await featuresOf(embeddings, kind === 'tiled' ? tile : undefined);
          assert.deepEqual(
            all.map((features) => sha1(features)),
            planes,
          );
        }
        assert.equal(worker.encoded.length, 0);
      });
});
