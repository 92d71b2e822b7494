/**
 * Writes src/model/self-test-vectors.json: features of the untouched encoder, computed by ONNX Runtime's wasm build.
 *
 *   npx esbuild tests/support/make-self-test-vectors.ts --bundle --packages=external --platform=node --format=esm --outfile=dist/vectors.mjs && node dist/vectors.mjs
 */
import { writeFileSync } from 'node:fs';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import { selfTestImage, selfTestPositions } from '../../src/model/self-test.js';

const model = resolveModel('vit_t');
const runtime = await createNodeRuntime({ wasm: true });
const encoder = await ImageEncoder.create(runtime, await fetchBytesInNode(model.encoder.url), model.encoderInput);
const { features } = await encoder.encode(selfTestImage());
writeFileSync(
  'src/model/self-test-vectors.json',
  `${JSON.stringify({
    model: model.name,
    runtime: runtime.name,
    features: selfTestPositions().map((position) => Number(features.data[position].toPrecision(6))),
  })}\n`,
);
