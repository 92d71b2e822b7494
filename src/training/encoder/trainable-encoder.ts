import { SamError } from '../../errors.js';
import { entryOf, keysOf } from '../../items.js';
import { earlyFeature } from '../../model/early-features.js';
import { type EncoderInput, type ModelSpec, SAM_ENCODER_INPUT } from '../../model/model-spec.js';
import { fuseGelus } from '../../onnx/fuse-gelu.js';
import { fuseNorms } from '../../onnx/fuse-norms.js';
import { constantOf, removeDeadCode } from '../../onnx/graph.js';
import { FLOAT, type OnnxGraph, type OnnxModel } from '../../onnx/model.js';
import { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { elementCount } from '../../onnx/tensor-info.js';
import { unrollInParts } from '../../onnx/unroll.js';
import { CACHED } from '../instances/feature-cache.js';
import type { Parameter, Weights } from '../parameters.js';

/**
 * MobileSAM's encoder (TinyViT, 5.7 million weights) as stages to train, one after the other; each takes what the one before
 * gives, and nothing else. What the stages give is what others take of the encoder: the early features
 * (model/early-features.ts) and the embedding.
 */
export interface TrainableEncoder {
  /**
   * What its weights are called in a training of several networks: 'late' begins with 's2', 'encoder' with the image, and so
   * does 'lora', of which only small changes beside the weights learn (low-rank.ts).
   */
  readonly part: 'late' | 'encoder' | 'lora';
  /** How it takes images. */
  readonly encoderInput: EncoderInput;
  readonly stages: readonly EncoderStage[];
  readonly parameters: readonly Parameter[];
  /** What it begins with: as they are in the encoder's file, unless they are none of its own. */
  readonly weights: Weights;
  /** What the weights of the encoder's file are by those that learn; these themselves if absent. */
  readonly ofFile?: (weights: Weights) => Weights;
}

export interface EncoderStage {
  readonly gives: StageOutput;
  readonly graph: OnnxGraph;
  readonly input: Port;
  readonly output: Port;
  readonly parameters: readonly Parameter[];
}

/** A tensor of the encoder's graph. */
interface Port {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What the stages give, in their order. */
export const STAGE_OUTPUTS = {
  s0: [1, CACHED.s0.channels, CACHED.s0.side, CACHED.s0.side],
  s1: [1, CACHED.s1.channels, CACHED.s1.side, CACHED.s1.side],
  s2: [1, 160, 64, 64],
  emb: [1, CACHED.emb.channels, CACHED.emb.side, CACHED.emb.side],
} as const satisfies Record<string, readonly number[]>;
export type StageOutput = keyof typeof STAGE_OUTPUTS;

const ORDER = keysOf(STAGE_OUTPUTS);

export type EncoderTraits = Partial<Pick<ModelSpec, 'earlyFeatures' | 'encoderInput'>>;

/**
 * The whole encoder.
 *
 * @throws SamError `unsupported` or `model_unavailable` if the encoder is no TinyViT of MobileSAM's size
 */
export function wholeEncoder(encoder: OnnxModel, traits: EncoderTraits = {}): TrainableEncoder {
  const { layout, side } = traits.encoderInput ?? SAM_ENCODER_INPUT;
  const shape = layout === 'nchw' ? [1, 3, side, side] : [side, side, 3];
  const image = { name: encoder.graph.inputs[0].name, shape };
  return stagesOf('encoder', encoder, image, ORDER, traits);
}

/** What comes after one of the stages, which stays as it is. Throws as `wholeEncoder` does. */
export function encoderAfter(stage: 's2', encoder: OnnxModel, traits: EncoderTraits = {}): TrainableEncoder {
  const input = { name: tensorOf(encoder, stage, traits), shape: STAGE_OUTPUTS[stage] };
  return stagesOf('late', encoder, input, ORDER.slice(ORDER.indexOf(stage) + 1), traits);
}

function tensorOf(encoder: OnnxModel, output: StageOutput, { earlyFeatures }: EncoderTraits): string {
  return output === 'emb' ? encoder.graph.outputs[0].name : earlyFeature(encoder, output, earlyFeatures?.[output]);
}

function stagesOf(
  part: 'late' | 'encoder',
  encoder: OnnxModel,
  input: Port,
  outputs: readonly StageOutput[],
  traits: EncoderTraits,
): TrainableEncoder {
  let from = input;
  const stages = outputs.map((gives) => {
    const output = { name: tensorOf(encoder, gives, traits), shape: STAGE_OUTPUTS[gives] };
    const graph = between(encoder.graph, from, output);
    const stage = { gives, graph, input: from, output, parameters: parametersOf(graph) };
    from = output;
    return stage;
  });
  const parameters = stages.flatMap((stage) => stage.parameters);
  if (new Set(parameters.map(({ name }) => name)).size < parameters.length)
    throw new SamError('unsupported', 'Stages of this encoder share weights.');
  const constants = stages.flatMap(({ graph }) => graph.initializers);
  const values = new Map(constants.map((tensor) => [tensor.name, tensor]));
  const weights = parameters.map(({ name }) => {
    const constant = constantOf(entryOf(values, name));
    if (!constant) throw new SamError('unsupported', `The weights ${name} are kept outside of the file.`);
    return [name, constant.data.slice()] as const;
  });
  return {
    part,
    encoderInput: traits.encoderInput ?? SAM_ENCODER_INPUT,
    stages,
    parameters,
    weights: new Map(weights),
  };
}

/** What of the graph lies between two tensors; norms and GELUs as one operator each, whose gradients take fewer passes. */
function between(whole: OnnxGraph, from: Port, to: Port): OnnxGraph {
  const graph: OnnxGraph = {
    ...whole,
    nodes: whole.nodes.filter((node) => !node.outputs.includes(from.name)),
    inputs: [
      ...whole.inputs.filter(({ name }) => name !== from.name),
      { name: from.name, tensor: { type: FLOAT, shape: [...from.shape] } },
    ],
    outputs: [{ name: to.name }],
  };
  removeDeadCode(graph);
  const { graph: fused } = fuseGelus(fuseNorms({ irVersion: 8, producer: '', opsets: [], graph }).model);
  const g = new ShapedBuilder();
  if (graph.inputs.length === 1 && graph.inputs[0].name === from.name) {
    g.take(fused, { [from.name]: from.shape }, [to.name]);
    if (String(g.shape(to.name)) === String(to.shape)) return fused;
  }
  throw new SamError(
    'unsupported',
    `In this encoder, ${to.name} depends on more than ${from.name}, or is not of the shape [${to.shape}]: it is not a TinyViT of MobileSAM's size.`,
  );
}

function parametersOf({ initializers }: OnnxGraph): Parameter[] {
  return initializers
    .filter(({ type, dims }) => type === FLOAT && elementCount(dims) > 1)
    .map(({ name, dims }) => ({ name, shape: dims, start: { constant: 0 } }));
}

/** Emits a stage over an input of its name, its blocks in parts; parameters that are inputs here already stay inputs. */
export function emitStage(g: ShapedBuilder, { graph, input, output, parameters }: EncoderStage): string {
  const inputs = { [input.name]: input.shape };
  const whole = new ShapedBuilder();
  for (const { name, shape } of parameters) if (g.has(name)) whole.input(name, [...shape]);
  whole.take(graph, inputs, [output.name]);
  const plain = { ...whole.finish(output.name).graph, outputs: [{ name: output.name }] };
  g.take(
    unrollInParts(plain, input.name, (tensor) => whole.shape(tensor)),
    inputs,
    [output.name],
  );
  return output.name;
}
