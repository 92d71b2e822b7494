import { SamError } from '../../errors.js';
import { entryOf } from '../../items.js';
import { FLOAT, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../../onnx/model.js';
import type { Parameter, Weights } from '../parameters.js';
import { Random } from '../random.js';
import type { EncoderStage, TrainableEncoder } from './trainable-encoder.js';

/**
 * Low-rank adaptation (LoRA; Hu et al. 2021, arXiv 2106.09685) of the encoder: each matrix W of its attention, [in, out],
 * stays as it is and gets a change A B beside it, [in, 4] times [4, out], which alone learns. A begins at random and B at 0,
 * so that the encoder begins as it was. micro-sam adapts ViT in this way (`PEFT_Sam`: of the attention the queries and values,
 * rank 4); here it is all four matrices, as TinyViT keeps queries, keys and values in one.
 *
 * @param encoder the whole one
 * @throws SamError `unsupported` if it has no attention by these names
 */
export function lowRank(encoder: TrainableEncoder): TrainableEncoder {
  const adapted = encoder.stages.flatMap(matricesOf);
  if (adapted.length === 0) throw new SamError('unsupported', 'This encoder has no attention that could be adapted.');
  const random = new Random(SEED);
  const start = new Map(adapted.flatMap((matrix) => startOf(matrix, random)));
  const stages = encoder.stages.map((stage) => adaptedStage(stage, start));
  return {
    ...encoder,
    part: 'lora',
    stages,
    parameters: stages.flatMap(({ parameters }) => parameters),
    weights: start,
    ofFile: (weights) =>
      new Map(adapted.map((matrix) => [matrix.name, sum(encoder.weights.get(matrix.name), product(matrix, weights))])),
  };
}

const RANK = 4;
const SEED = 1;

const left = (matrix: string) => `${matrix}, left`;
const right = (matrix: string) => `${matrix}, right`;

/** [in, out] matrices of attention. */
function matricesOf({ graph, parameters }: EncoderStage): Parameter[] {
  const taken = new Set(
    graph.nodes.filter(({ op, name }) => op === 'MatMul' && name.includes('/attn/')).map(({ inputs }) => inputs[1]),
  );
  return parameters.filter(({ name, shape }) => taken.has(name) && shape.length === 2);
}

function startOf({ name, shape: [rows, columns] }: Parameter, random: Random): [string, Float32Array][] {
  const bound = 1 / Math.sqrt(rows);
  const a = Float32Array.from({ length: rows * RANK }, () => random.uniform(-bound, bound));
  return [
    [left(name), a],
    [right(name), new Float32Array(RANK * columns)],
  ];
}

function adaptedStage(stage: EncoderStage, start: Weights): EncoderStage {
  const matrices = matricesOf(stage);
  const parameters = matrices.flatMap(({ name, shape: [rows, columns] }): Parameter[] => [
    { name: left(name), shape: [rows, RANK], start: { constant: 0 } },
    { name: right(name), shape: [RANK, columns], start: { constant: 0 } },
  ]);
  const initializers = parameters.map(({ name, shape }): OnnxTensor => {
    const values = entryOf(start, name);
    return { name, dims: [...shape], type: FLOAT, raw: new Uint8Array(values.slice().buffer) };
  });
  const changed = new Map(matrices.map(({ name }) => [name, `${name}, adapted`]));
  const graph: OnnxGraph = {
    ...stage.graph,
    initializers: [...stage.graph.initializers, ...initializers],
    nodes: [
      ...matrices.flatMap(({ name }) => adaptation(name, entryOf(changed, name))),
      ...stage.graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((each) => changed.get(each) ?? each) })),
    ],
  };
  return { ...stage, graph, parameters };
}

function adaptation(matrix: string, result: string): OnnxNode[] {
  const change = `${matrix}, change`;
  const node = (op: string, inputs: string[], output: string): OnnxNode => {
    return { name: output, op, domain: '', inputs, outputs: [output], attributes: [] };
  };
  return [node('MatMul', [left(matrix), right(matrix)], change), node('Add', [matrix, change], result)];
}

/** A B of one matrix. */
function product({ name, shape: [rows, columns] }: Parameter, weights: Weights): Float32Array {
  const [a, b] = [entryOf(weights, left(name)), entryOf(weights, right(name))];
  const all = new Float32Array(rows * columns);
  for (let y = 0; y < rows; y++)
    for (let k = 0; k < RANK; k++)
      for (let x = 0; x < columns; x++) all[y * columns + x] += a[y * RANK + k] * b[k * columns + x];
  return all;
}

function sum(a: Float32Array = new Float32Array(), b: Float32Array): Float32Array {
  return b.map((value, i) => a[i] + value);
}
