import { SamError } from '../../errors.js';
import { earlyFeature } from '../../model/early-features.js';
import type { ModelSpec } from '../../model/model-spec.js';
import { constantOf, removeDeadCode } from '../../onnx/graph.js';
import { FLOAT, type OnnxGraph, type OnnxModel } from '../../onnx/model.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { elementCount } from '../../onnx/tensor-info.js';
import type { Parameter, Weights } from '../parameters.js';

/**
 * The late part of MobileSAM's encoder (TinyViT): the merging of patches after its third stage, the last stage (two blocks
 * of attention in windows of 7 x 7 cells) and the neck; 3.3 of 5.7 million weights and a third of the work. What comes before
 * stays as it is, so that a picture goes through it once.
 */
export interface LateStage {
  readonly graph: OnnxGraph;
  /** The tensor of shape `STAGE` that it begins with. */
  readonly input: string;
  /** The embedding, [1, 256, 64, 64]. */
  readonly output: string;
  readonly parameters: readonly Parameter[];
  /** As they are in the encoder. */
  readonly weights: Weights;
}

/** Early features (model/early-features.ts) that the late part builds on, and their shape. */
export const STAGE_NAME = 's2';
export const STAGE = [1, 160, 64, 64] as const;
export const EMBEDDING = [1, 256, 64, 64] as const;

/** @throws SamError `unsupported` if the encoder is no TinyViT of MobileSAM's size */
export function lateStage(encoder: OnnxModel, declared: ModelSpec['earlyFeatures'] = {}): LateStage {
  const input = earlyFeature(encoder, STAGE_NAME, declared[STAGE_NAME]);
  const { nodes, inputs, outputs } = encoder.graph;
  const output = outputs[0].name;
  const graph: OnnxGraph = {
    ...encoder.graph,
    nodes: nodes.filter((node) => !node.outputs.includes(input)),
    inputs: [...inputs, { name: input, tensor: { type: FLOAT, shape: [...STAGE] } }],
    outputs: [{ name: output }],
  };
  removeDeadCode(graph);
  const isCut = graph.inputs.length === 1 && graph.inputs[0].name === input;
  if (!isCut)
    throw new SamError('unsupported', 'The last stage of this encoder depends on more than the one before it.');
  const weights = new Map<string, Float32Array>();
  const parameters: Parameter[] = [];
  for (const tensor of graph.initializers) {
    if (tensor.type !== FLOAT || elementCount(tensor.dims) < 2) continue;
    const constant = constantOf(tensor);
    if (!constant) throw new SamError('unsupported', `The weights ${tensor.name} are kept outside of the file.`);
    weights.set(tensor.name, constant.data.slice());
    parameters.push({ name: tensor.name, shape: tensor.dims, start: { constant: 0 } });
  }
  return { graph, input, output, parameters, weights };
}

/** Emits the late part over an input of its name; parameters that are inputs here already stay inputs. */
export function emitLateStage(g: ShapedBuilder, { graph, input, output }: LateStage): string {
  g.take(graph, { [input]: STAGE }, [output]);
  return output;
}
