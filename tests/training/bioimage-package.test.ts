import assert from 'node:assert/strict';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { InstanceDecoder } from '../../src/model/instance-decoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import { tensor } from '../../src/ndimage/array.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { bioimageFiles } from '../../src/training/bioimage-package.js';
import { EARLY } from '../../src/training/instances/feature-cache.js';
import { lightDecoderModel, weightsOfLightDecoder } from '../../src/training/instances/light-decoder.js';
import type { Weights } from '../../src/training/parameters.js';

describe('package of bioimage.io', () => {
  it('holds a graph that gives the maps of encoder and instance decoder, and the hashes of its files (thorough)', async function () {
    this.timeout(300_000);
    const runtime = await createNodeRuntime({ threads: 1 });
    const model = resolveModel('vit_t');
    const file = await fetchBytesInNode(model.encoder.url);
    const instances = weightsOfLightDecoder(readModel(await fetchBytesInNode(model.instances?.url ?? ''))) as Weights;
    const files = await bioimageFiles(runtime, { model, encoder: readModel(file), instances });
    const description = new TextDecoder().decode(files.get('rdf.yaml'));
    for (const [name, bytes] of files)
      if (/onnx|npy/.test(name))
        assert.ok(description.includes(`source: "${name}"`) && description.includes(bytesToHex(sha256(bytes))), name);
    const [input, output] = ['test_input.npy', 'test_output.npy'].map((name) => files.get(name)?.slice(128));
    assert.equal(input?.length, 3 * 1024 * 1024);
    const image = tensor(new Uint8Array(3 * 1024 * 1024), [1024, 1024, 3]);
    for (const [i, value] of (input as Uint8Array).entries())
      image.data[3 * (i % 1024 ** 2) + Math.floor(i / 1024 ** 2)] = value;

    const { bytes, outputs } = encoderWithEarlyFeatures(file, EARLY);
    const encoder = await ImageEncoder.create(runtime, bytes, model.encoderInput, outputs);
    const decoder = await InstanceDecoder.create(runtime, writeModel(lightDecoderModel(instances)));
    const expected = (await decoder.run(await encoder.encode(image, { early: true }), image)).maps;
    await encoder.release();
    await decoder.release();
    const found = new Float32Array(output?.buffer as ArrayBuffer);
    assert.equal(found.length, expected.data.length);
    // Early features pass the instance decoder in half precision.
    for (const [i, value] of expected.data.entries())
      if (Math.abs(found[i] - value) > 0.01) assert.fail(`element ${i} is ${found[i]}, expected ${value}`);
  });
});
