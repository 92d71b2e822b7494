import { float32Of, type OrtRuntime, type OrtSession, type OrtTensor } from '../../model/runtime.js';
import { removeDeadCode } from '../../onnx/graph.js';
import { FLOAT, type OnnxModel, type OnnxNode } from '../../onnx/model.js';
import { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { writeModel } from '../../onnx/write.js';
import { backward } from '../autodiff/backward.js';
import type { Weights } from '../parameters.js';
import { type EncoderStage, emitStage } from './trainable-encoder.js';

/** What a stage gives, and what of the way there is kept for the way back. */
export interface StageResult {
  readonly result: Float32Array;
  readonly kept: Readonly<Record<string, OrtTensor>>;
}

export interface StageOptions {
  /** Whether it has weights to learn, or anything before it has. */
  readonly learns: boolean;
  /** Whether the gradient by what it takes is wanted, for the stage before. */
  readonly byInput: boolean;
  /**
   * Keep what products and convolutions give: going back, they are not computed once more, only what is quick between them.
   * Of the last stage of TinyViT these are 130 MB, of the first ones ten times as much.
   */
  readonly keeps: boolean;
}

/**
 * A stage of the encoder with weights that change: forward, and back from the gradient of a loss by what it gives. The two are
 * runs of their own, since the loss depends on what comes after.
 */
export class StageSession {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly stage: EncoderStage,
    private readonly forwards: OrtSession,
    private readonly backwards?: OrtSession,
  ) {}

  static async create(runtime: OrtRuntime, stage: EncoderStage, options: StageOptions): Promise<StageSession> {
    const { forwards, backwards } = stageGraphs(stage, options);
    // Other networks run between the two, which would each keep memory that only one of them needs at a time.
    const open = (graph: OnnxModel) => runtime.createSession(writeModel(graph), { weightsAsInputs: true });
    return new StageSession(runtime, stage, await open(forwards), backwards && (await open(backwards)));
  }

  /** @param options.keep whether to go back afterwards */
  async forward(input: Float32Array, weights: Weights, { keep }: { readonly keep: boolean }): Promise<StageResult> {
    const feeds = this.feeds(this.forwards, input, weights);
    const { [RESULT]: result, ...kept } = await this.forwards.run(feeds, keep ? undefined : [RESULT]);
    return { result: float32Of(result), kept };
  }

  /**
   * @param kept by `forward`, of the same input and weights
   * @param gradient of a loss by what the stage gives
   * @returns its gradients by the weights, and by what it takes, under its name, if that was asked for
   */
  async gradients(
    input: Float32Array,
    { kept }: Pick<StageResult, 'kept'>,
    gradient: Float32Array,
    weights: Weights,
  ): Promise<Map<string, Float32Array>> {
    if (!this.backwards) return new Map();
    const given = { ...kept, [GRADIENT]: this.runtime.tensor('float32', gradient, this.stage.output.shape) };
    const outputs = await this.backwards.run(this.feeds(this.backwards, input, weights, given));
    return new Map(Object.entries(outputs).map(([name, tensor]) => [ofGradient(name), float32Of(tensor)]));
  }

  async release(): Promise<void> {
    await this.forwards.release();
    await this.backwards?.release();
  }

  /** What a session takes, of the input, the weights and what is given besides. */
  private feeds(
    { inputNames }: OrtSession,
    input: Float32Array,
    weights: Weights,
    given: Readonly<Record<string, OrtTensor>> = {},
  ): Record<string, OrtTensor> {
    const taken = new Set(inputNames);
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, tensor] of Object.entries(given))
      if (taken.has(name)) feeds[name] = this.runtime.tensor('float32', float32Of(tensor), tensor.dims);
    const own = this.stage.parameters.map(({ name, shape }) => [name, shape, weights.get(name)] as const);
    const all = [...own, [this.stage.input.name, this.stage.input.shape, input] as const];
    for (const [name, shape, values] of all)
      if (taken.has(name)) feeds[name] = this.runtime.tensor('float32', values as Float32Array, shape);
    return feeds;
  }
}

const RESULT = 'result';
const GRADIENT = 'gradient by the result';
const OF_GRADIENT = 'gradient of ';

function ofGradient(output: string): string {
  return output.slice(OF_GRADIENT.length);
}

function stageGraphs(
  stage: EncoderStage,
  { learns, byInput, keeps }: StageOptions,
): { readonly forwards: OnnxModel; readonly backwards?: OnnxModel } {
  const backwards = learns ? backwardGraph(stage, byInput, keeps) : undefined;
  const kept = backwards?.graph.inputs.map(({ name }) => name) ?? [];
  return { forwards: forwardGraph(stage, kept), ...(backwards && { backwards }) };
}

/** @param kept what the way back takes; of it, what is made on the way there is given too */
function forwardGraph(stage: EncoderStage, kept: readonly string[]): OnnxModel {
  const g = new ShapedBuilder();
  for (const { name, shape } of stage.parameters) g.input(name, [...shape]);
  g.output(RESULT, emitStage(g, stage));
  const made = new Set(g.all.flatMap(({ outputs }) => outputs));
  const model = g.finish('stage of the encoder');
  for (const name of kept)
    if (made.has(name)) model.graph.outputs.push({ name, tensor: { type: FLOAT, shape: [...g.shape(name)] } });
  removeDeadCode(model.graph);
  return model;
}

function backwardGraph(stage: EncoderStage, byInput: boolean, keeps: boolean): OnnxModel {
  const g = new ShapedBuilder();
  for (const { name, shape } of stage.parameters) g.input(name, [...shape]);
  const result = emitStage(g, stage);
  const kept = new Set(keeps ? costly(g.all) : []);
  const wanted = [...stage.parameters.map(({ name }) => name), ...(byInput ? [stage.input.name] : [])];
  const gradient = g.input(GRADIENT, [...stage.output.shape]);
  for (const [name, of] of backward(g, result, wanted, gradient)) g.output(`${OF_GRADIENT}${name}`, of);
  const { graph, ...model } = g.finish('gradients of a stage of the encoder');
  graph.nodes = graph.nodes.filter(({ outputs }) => !outputs.some((output) => kept.has(output)));
  for (const name of kept) graph.inputs.push({ name, tensor: { type: FLOAT, shape: [...g.shape(name)] } });
  removeDeadCode(graph);
  return { ...model, graph };
}

const COSTLY = new Set(['MatMul', 'Gemm', 'Conv', 'Softmax']);
const MOVES = new Set(['Concat', 'Reshape', 'Split', 'Transpose']);

/**
 * What products, convolutions and softmax give, with what is added at once, since ONNX Runtime makes one step of both, and
 * where it is only moved afterwards, as it lies then.
 */
function costly(nodes: readonly OnnxNode[]): string[] {
  const users = new Map<string, OnnxNode[]>();
  for (const node of nodes) for (const input of node.inputs) users.set(input, [...(users.get(input) ?? []), node]);
  const usersOf = (tensor: string) => users.get(tensor) ?? [];
  const moved = (tensor: string): string[] => {
    const next = usersOf(tensor);
    return next.length > 0 && next.every(({ op }) => MOVES.has(op))
      ? next.flatMap(({ outputs }) => outputs).flatMap(moved)
      : [tensor];
  };
  return nodes.flatMap(({ op, outputs: [output] }) => {
    if (!COSTLY.has(op)) return [];
    const [next, ...others] = usersOf(output);
    return moved(next?.op === 'Add' && others.length === 0 ? next.outputs[0] : output);
  });
}
