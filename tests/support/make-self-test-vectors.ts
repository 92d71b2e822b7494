/**
 * Writes src/model/self-test-vectors.json: features of the untouched encoder, computed by ONNX Runtime's wasm build.
 *
 *   npx esbuild tests/support/make-self-test-vectors.ts --bundle --packages=external --platform=node --format=esm --outfile=dist/vectors.mjs && node dist/vectors.mjs
 */
import { writeFileSync } from 'node:fs';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import { selfTestVectors } from './self-test-vectors.js';

const { name, encoder } = resolveModel('vit_t');
const vectors = await selfTestVectors(name, await fetchBytesInNode(encoder.url));
writeFileSync('src/model/self-test-vectors.json', `${JSON.stringify(vectors)}\n`);
