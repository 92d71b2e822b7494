import { SamError } from '../errors.js';
import type { TaskOptions } from '../task.js';
import type { StoredTensor, Tensors } from './tensor.js';

/**
 * Low-rank adaptation (LoRA), folded: micro-sam (models/peft_sam.py, 1.8) keeps the weights as they were and adds
 * B (A x) to what they give. Here B A is added to the weights, so that the network has its usual form again.
 *
 * In the attention of a block, `qkv` becomes `qkv.qkv_proj`, with `w_a_linear_q` [rank, D] and `w_b_linear_q` [D, rank],
 * the same for k and v, each for its third of the rows; the MLP becomes `mlp.mlp_layer`, with pairs 1 and 2.
 */
export function foldLora(tensors: Tensors): Tensors {
  const folded = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    if (/\.w_[ab]_linear_/.test(name)) continue;
    const plain = name.replace('.qkv.qkv_proj.', '.qkv.').replace('.mlp.mlp_layer.', '.mlp.');
    folded.set(plain, plain === name || !name.endsWith('.weight') ? tensor : adapted(name, tensor, tensors));
  }
  return folded;
}

interface Update {
  /** First row of the weights that it is added to. */
  readonly row: (rows: number) => number;
  readonly a: StoredTensor;
  readonly b: StoredTensor;
}

function adapted(name: string, tensor: StoredTensor, tensors: Tensors): StoredTensor {
  const updates: Update[] = [];
  const add = (base: string, suffix: string, row: Update['row']) => {
    const part = (letter: 'a' | 'b') => tensors.get(`${base}.w_${letter}_linear_${suffix}.weight`);
    const [a, b] = [part('a'), part('b')];
    if (a && b) updates.push({ row, a, b });
  };
  const attention = name.indexOf('.qkv_proj.weight');
  if (attention >= 0) {
    const base = name.slice(0, attention);
    add(base, 'q', () => 0);
    add(base, 'k', (rows) => rows / 3);
    add(base, 'v', (rows) => (2 * rows) / 3);
  } else {
    const base = name.slice(0, name.indexOf('.mlp_layer.'));
    add(base, name.endsWith('lin1.weight') ? '1' : '2', () => 0);
  }
  return { shape: tensor.shape, read: (options) => withUpdates(tensor, updates, options) };
}

/** W + B A, the product summed in double precision. */
async function withUpdates(tensor: StoredTensor, updates: readonly Update[], options?: TaskOptions) {
  const weights = await tensor.read(options);
  const [rows, columns] = matrixOf(tensor);
  for (const { row, a, b } of updates) {
    const [down, up] = [await a.read(options), await b.read(options)];
    const [rank, width] = matrixOf(a);
    const [height, inner] = matrixOf(b);
    const first = row(rows);
    if (width !== columns || inner !== rank || first + height > rows)
      throw new SamError(
        'model_unavailable',
        `A LoRA update of [${b.shape}] times [${a.shape}] does not fit weights of [${tensor.shape}]; get a complete copy of the checkpoint.`,
      );
    const sums = new Float64Array(columns);
    for (let r = 0; r < height; r++) {
      sums.fill(0);
      for (let k = 0; k < rank; k++) {
        const factor = up[r * rank + k]!;
        for (let c = 0; c < columns; c++) sums[c]! += factor * down[k * columns + c]!;
      }
      for (let c = 0; c < columns; c++) weights[(first + r) * columns + c]! += sums[c]!;
    }
  }
  return weights;
}

function matrixOf({ shape }: StoredTensor): [rows: number, columns: number] {
  const [rows, columns, ...more] = shape;
  if (rows !== undefined && columns !== undefined && more.length === 0) return [rows, columns];
  throw new SamError('model_unavailable', `A LoRA update is of [${shape}]; matrices were expected.`);
}
