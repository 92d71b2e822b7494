import { float32Of, type OrtRuntime, type OrtSession, type OrtTensor } from '../../model/runtime.js';
import { removeDeadCode } from '../../onnx/graph.js';
import { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { writeModel } from '../../onnx/write.js';
import { GradientSession } from '../gradient-session.js';
import type { Parameter, Weights } from '../parameters.js';
import { type EncoderStage, emitStage, type StageOutput, type TrainableEncoder } from './trainable-encoder.js';

/** What the stages give, or the gradients of a loss by it; flat, of the shapes `STAGE_OUTPUTS`. */
export type StageValues = Readonly<Partial<Record<StageOutput, Float32Array>>>;

/**
 * The encoder with weights that change: forward to what its stages give, and back from the gradients of a loss by that. The
 * two are runs of their own, since prompts depend on the embedding. Only what the stages give is kept from one to the other;
 * going back, each stage computes its forward part once more (Chen et al. 2016, arXiv 1604.06174), and its working memory is
 * given back before the next begins.
 */
export class EncoderSession {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly stages: readonly StageSession[],
    /** Of the first stage with weights that change; what comes before it has nothing to learn. */
    private readonly first: number,
  ) {}

  static async create(runtime: OrtRuntime, { stages }: TrainableEncoder): Promise<EncoderSession> {
    const sessions: StageSession[] = [];
    const first = stages.findIndex(({ parameters }) => parameters.length > 0);
    for (const [index, stage] of stages.entries()) {
      const forwards = await runtime.createSession(forwardGraph(stage));
      if (index < first) {
        sessions.push({ stage, forwards });
        continue;
      }
      // Nobody asks how the image should change.
      const parameters = index === first ? stage.parameters : [...stage.parameters, parameterOf(stage)];
      const options = { frequent: false };
      const backwards = await GradientSession.create(runtime, parameters, (g) => emitProduct(g, stage), options);
      sessions.push({ stage, forwards, backwards });
    }
    return new EncoderSession(runtime, sessions, first);
  }

  /** @param input what the first stage takes @returns what each stage gives */
  async forward(input: Float32Array, weights: Weights): Promise<StageValues & { readonly emb: Float32Array }> {
    const found: Partial<Record<StageOutput, Float32Array>> = {};
    let from = input;
    for (const { stage, forwards } of this.stages) {
      const feeds: Record<string, OrtTensor> = {};
      for (const { name, shape } of stage.parameters)
        feeds[name] = this.runtime.tensor('float32', weights.get(name) as Float32Array, shape);
      feeds[stage.input.name] = this.runtime.tensor('float32', from, stage.input.shape);
      from = float32Of((await forwards.run(feeds))[RESULT]);
      found[stage.gives] = from;
    }
    return { ...found, emb: from };
  }

  /**
   * @param given by `forward`, of the same input and weights
   * @param by the gradients of a loss by what the stages give; what is absent has none
   * @returns its gradients by the weights
   */
  async gradients(
    input: Float32Array,
    given: StageValues,
    by: StageValues,
    weights: Weights,
  ): Promise<Map<string, Float32Array>> {
    const all = new Map<string, Float32Array>();
    let later: Float32Array | undefined;
    for (const [index, { stage, backwards }] of [...this.stages.entries()].slice(this.first).reverse()) {
      const gradient = summed(by[stage.gives], later);
      if (!gradient || !backwards) continue;
      const from = index === 0 ? input : (given[this.stages[index - 1].stage.gives] as Float32Array);
      const { gradients } = await backwards.run(weights, {
        [stage.input.name]: this.runtime.tensor('float32', from, stage.input.shape),
        [GRADIENT]: this.runtime.tensor('float32', gradient, stage.output.shape),
      });
      for (const { name } of stage.parameters) all.set(name, gradients.get(name) as Float32Array);
      later = gradients.get(stage.input.name);
    }
    return all;
  }

  async release(): Promise<void> {
    for (const { forwards, backwards } of this.stages) {
      await forwards.release();
      await backwards?.release();
    }
  }
}

interface StageSession {
  readonly stage: EncoderStage;
  readonly forwards: OrtSession;
  readonly backwards?: GradientSession;
}

const RESULT = 'result';
const GRADIENT = 'gradient by the result';

function forwardGraph(stage: EncoderStage): Uint8Array {
  const g = new ShapedBuilder();
  for (const { name, shape } of stage.parameters) g.input(name, [...shape]);
  g.output(RESULT, emitStage(g, stage));
  const model = g.finish('stage of the encoder');
  removeDeadCode(model.graph);
  return writeModel(model);
}

/** What a stage takes, to have the gradient by it too. */
function parameterOf({ input: { name, shape } }: EncoderStage): Parameter {
  return { name, shape, start: { constant: 0 } };
}

/** A loss whose gradient by the result is the one that is given. */
function emitProduct(g: ShapedBuilder, stage: EncoderStage): { loss: string } {
  const result = emitStage(g, stage);
  return { loss: g.total(g.mul(result, g.input(GRADIENT, [...stage.output.shape]))) };
}

function summed(a?: Float32Array, b?: Float32Array): Float32Array | undefined {
  return a && b ? a.map((value, i) => value + b[i]) : (a ?? b);
}
