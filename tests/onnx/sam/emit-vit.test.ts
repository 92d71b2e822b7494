import assert from 'node:assert/strict';
import { emitVit } from '../../../src/onnx/sam/emit-vit.js';
import type { LaterWeight } from '../../../src/onnx/sam/later-weights.js';
import { modelFiles } from '../../../src/onnx/write-parts.js';
import { joinedParts } from '../../support/joined-parts.js';
import { seededRandom } from '../../support/random.js';
import { sharedRuntime } from '../../support/real-worker.js';

/** A ViT of SAM's kind, small: 5 x 5 patches, a block in windows of 3, which stick out, and a global one. */
const [SIDE, WIDTH, HEADS, PATCH, OUT] = [5, 8, 2, 2, 4];
const DEPTH = WIDTH / HEADS;
const WINDOWS = [3, SIDE];

function randomWeights(): Map<string, LaterWeight & { readonly data: Float32Array }> {
  const random = seededRandom(4);
  const weights = new Map<string, LaterWeight & { readonly data: Float32Array }>();
  const add = (name: string, ...shape: number[]) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * random() - 1);
    weights.set(name, { shape, data, read: async () => data.slice() });
  };
  const linear = (name: string, from: number, to: number) => {
    add(`${name}.weight`, to, from);
    add(`${name}.bias`, to);
  };
  add('pos_embed', 1, SIDE, SIDE, WIDTH);
  add('patch_embed.proj.weight', WIDTH, 3, PATCH, PATCH);
  add('patch_embed.proj.bias', WIDTH);
  WINDOWS.forEach((window, i) => {
    for (const norm of ['norm1', 'norm2'])
      for (const part of ['weight', 'bias']) add(`blocks.${i}.${norm}.${part}`, WIDTH);
    linear(`blocks.${i}.attn.qkv`, WIDTH, 3 * WIDTH);
    linear(`blocks.${i}.attn.proj`, WIDTH, WIDTH);
    for (const axis of ['h', 'w']) add(`blocks.${i}.attn.rel_pos_${axis}`, 2 * window - 1, DEPTH);
    linear(`blocks.${i}.mlp.lin1`, WIDTH, 16);
    linear(`blocks.${i}.mlp.lin2`, 16, WIDTH);
  });
  add('neck.0.weight', OUT, WIDTH, 1, 1);
  add('neck.2.weight', OUT, OUT, 3, 3);
  for (const norm of ['neck.1', 'neck.3']) for (const part of ['weight', 'bias']) add(`${norm}.${part}`, OUT);
  return weights;
}

/** The same by its definition, one vector after the other. Returns [OUT, SIDE, SIDE]. */
function reference(weights: ReturnType<typeof randomWeights>, image: Float32Array): number[] {
  const w = (name: string) => (weights.get(name) as { data: Float32Array }).data;
  const linear = (name: string, x: readonly number[]) => {
    const [weight, bias] = [w(`${name}.weight`), w(`${name}.bias`)];
    return Array.from(bias, (b, o) => x.reduce((sum, value, i) => sum + value * weight[o * x.length + i], b));
  };
  const norm = (name: string, x: readonly number[]) => {
    const mean = x.reduce((a, b) => a + b) / x.length;
    const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
    return x.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-6)) * w(`${name}.weight`)[i] + w(`${name}.bias`)[i]);
  };
  const plus = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + b[i]);
  const gelu = (x: number) => {
    // ½ x (1 + erf(x / √2)), erf by its series.
    let [term, sum] = [x / Math.SQRT2, x / Math.SQRT2];
    for (let n = 1; n < 120; n++) {
      term *= (-x * x) / 2 / n;
      sum += term / (2 * n + 1);
    }
    return (x / 2) * (1 + (2 / Math.sqrt(Math.PI)) * sum);
  };
  /** Attention among cells of a square; those of other windows are not given. */
  const attend = (name: string, square: number, cells: readonly (readonly number[])[]) => {
    const qkv = cells.map((cell) => linear(`${name}.qkv`, cell));
    const part = (cell: number, which: number, head: number) =>
      qkv[cell].slice(which * WIDTH + head * DEPTH, which * WIDTH + (head + 1) * DEPTH);
    const dot = (a: readonly number[], b: ArrayLike<number>) => a.reduce((sum, value, i) => sum + value * b[i], 0);
    const row = (table: string, at: number) => w(table).subarray(at * DEPTH, (at + 1) * DEPTH);
    return cells.map((_, a) => {
      const mixed: number[] = [];
      for (let head = 0; head < HEADS; head++) {
        const q = part(a, 0, head);
        const scores = cells.map((_, b) => {
          const dy = Math.floor(a / square) - Math.floor(b / square) + square - 1;
          const dx = (a % square) - (b % square) + square - 1;
          const positions = dot(q, row(`${name}.rel_pos_h`, dy)) + dot(q, row(`${name}.rel_pos_w`, dx));
          return dot(q, part(b, 1, head)) / Math.sqrt(DEPTH) + positions;
        });
        const largest = Math.max(...scores);
        const powers = scores.map((score) => Math.exp(score - largest));
        const total = powers.reduce((x, y) => x + y);
        for (let i = 0; i < DEPTH; i++)
          mixed.push(powers.reduce((sum, power, b) => sum + (power / total) * part(b, 2, head)[i], 0));
      }
      return linear(`${name}.proj`, mixed);
    });
  };
  const zeros = new Array<number>(WIDTH).fill(0);
  let grid = Array.from({ length: SIDE * SIDE }, (_, cell) => {
    const [y, x] = [Math.floor(cell / SIDE), cell % SIDE];
    return Array.from(w('patch_embed.proj.bias'), (bias, o) => {
      let sum = bias + w('pos_embed')[cell * WIDTH + o];
      for (let i = 0; i < 3 * PATCH * PATCH; i++) {
        const [c, dy, dx] = [Math.floor(i / 4), Math.floor(i / 2) % 2, i % 2];
        const pixel = (c * SIDE * PATCH + y * PATCH + dy) * SIDE * PATCH + x * PATCH + dx;
        sum += w('patch_embed.proj.weight')[o * 12 + i] * image[pixel];
      }
      return sum;
    });
  });
  WINDOWS.forEach((window, i) => {
    const name = `blocks.${i}`;
    const normed = grid.map((cell) => norm(`${name}.norm1`, cell));
    const attended: number[][] = [];
    for (let top = 0; top < SIDE; top += window)
      for (let left = 0; left < SIDE; left += window) {
        const places = Array.from({ length: window * window }, (_, k) => [
          top + Math.floor(k / window),
          left + (k % window),
        ]);
        const inside = ([y, x]: number[]) => y < SIDE && x < SIDE;
        const cells = places.map((place) => (inside(place) ? normed[place[0] * SIDE + place[1]] : zeros));
        attend(`${name}.attn`, window, cells).forEach((result, k) => {
          if (inside(places[k])) attended[places[k][0] * SIDE + places[k][1]] = result;
        });
      }
    grid = grid.map((cell, k) => {
      const sum = plus(cell, attended[k]);
      const hidden = linear(`${name}.mlp.lin1`, norm(`${name}.norm2`, sum)).map(gelu);
      return plus(sum, linear(`${name}.mlp.lin2`, hidden));
    });
  });
  const mixed = grid.map((cell) =>
    norm(
      'neck.1',
      Array.from({ length: OUT }, (_, o) => cell.reduce((s, v, i) => s + v * w('neck.0.weight')[o * WIDTH + i], 0)),
    ),
  );
  const last = grid.map((_, cell) => {
    const sums = new Array<number>(OUT).fill(0);
    for (let o = 0; o < OUT; o++)
      for (let k = 0; k < 9; k++) {
        const [y, x] = [Math.floor(cell / SIDE) + Math.floor(k / 3) - 1, (cell % SIDE) + (k % 3) - 1];
        if (y < 0 || x < 0 || y >= SIDE || x >= SIDE) continue;
        for (let i = 0; i < OUT; i++) sums[o] += w('neck.2.weight')[(o * OUT + i) * 9 + k] * mixed[y * SIDE + x][i];
      }
    return norm('neck.3', sums);
  });
  return Array.from({ length: OUT }, (_, o) => last.map((cell) => cell[o])).flat();
}

describe('the image encoder ViT', () => {
  for (const [how, manyCells] of [
    ['all heads at once', 1024],
    ['head by head', 1],
  ] as const)
    it(`is what its definition says, ${how}: windows that stick out, relative positions, global attention, neck`, async () => {
      const weights = randomWeights();
      const random = seededRandom(9);
      const image = Float32Array.from({ length: 3 * (SIDE * PATCH) ** 2 }, () => 2 * random() - 1);
      const runtime = await sharedRuntime();
      const [file] = modelFiles(emitVit(weights, manyCells), 'encoder.onnx');
      const session = await runtime.createSession(await joinedParts(file));
      const { image_embeddings: output } = await session.run({
        image: runtime.tensor('float32', image, [1, 3, SIDE * PATCH, SIDE * PATCH]),
      });
      await session.release();
      assert.deepEqual([...output.dims], [1, OUT, SIDE, SIDE]);
      const expected = reference(weights, image);
      (output.data as Float32Array).forEach((value, i) => {
        assert.ok(Math.abs(value - expected[i]) < 2e-5, `${i}: ${value}, expected ${expected[i]}`);
      });
    });

  it('with weights missing or of another network is refused, by name', () => {
    const weights = randomWeights();
    weights.delete('blocks.1.mlp.lin2.bias');
    assert.throws(() => emitVit(weights), { code: 'model_unavailable', message: /lacks 'blocks.1.mlp.lin2.bias'/ });
  });
});
