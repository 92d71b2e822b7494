import { entryOf } from '../../items.js';
import type { OrtRuntime, OrtTensor } from '../../model/runtime.js';
import type { Weights } from '../parameters.js';
import { StageSession } from './stage-session.js';
import type { EncoderStage, StageOutput, TrainableEncoder } from './trainable-encoder.js';

/** What the stages give, or the gradients of a loss by it; flat, of the shapes `STAGE_OUTPUTS`. */
export type StageValues = Readonly<Partial<Record<StageOutput, Float32Array>>>;

/** What the stages give, and what is kept of the way there, stage by stage. */
export interface Encoded {
  readonly values: StageValues & { readonly emb: Float32Array };
  readonly kept: readonly Readonly<Record<string, OrtTensor>>[];
}

/**
 * The encoder with weights that change: forward to what its stages give, and back from the gradients of a loss by that. The
 * two are runs of their own, since prompts depend on the embedding. The late part, a single stage, keeps for the way back what
 * was costly to compute. Of the whole encoder that would be too much: only what the stages give is kept; going back, each stage
 * computes its forward part once more (Chen et al. 2016, arXiv 1604.06174), and its working memory is given back before the
 * next begins.
 */
export class EncoderSession {
  private constructor(
    private readonly stages: readonly { readonly stage: EncoderStage; readonly session: StageSession }[],
    /** Of the first stage with weights that change; what comes before it has nothing to learn. */
    private readonly first: number,
  ) {}

  static async create(runtime: OrtRuntime, { stages }: TrainableEncoder): Promise<EncoderSession> {
    const first = stages.findIndex(({ parameters }) => parameters.length > 0);
    const sessions: { stage: EncoderStage; session: StageSession }[] = [];
    for (const [index, stage] of stages.entries()) {
      // Nobody asks how the image should change.
      const options = { learns: index >= first, byInput: index > first, keeps: stages.length === 1 };
      sessions.push({ stage, session: await StageSession.create(runtime, stage, options) });
    }
    return new EncoderSession(sessions, first);
  }

  /**
   * @param input what the first stage takes
   * @param options.keep what `gradients` needs, unless only the values are wanted
   */
  async forward(input: Float32Array, weights: Weights, { keep = true } = {}): Promise<Encoded> {
    const values: Partial<Record<StageOutput, Float32Array>> = {};
    const kept: Encoded['kept'][number][] = [];
    let from = input;
    for (const { stage, session } of this.stages) {
      const given = await session.forward(from, weights, { keep });
      from = given.result;
      values[stage.gives] = from;
      kept.push(given.kept);
    }
    return { values: { ...values, emb: from }, kept };
  }

  /**
   * @param encoded by `forward`, of the same input and weights
   * @param by the gradients of a loss by what the stages give; what is absent has none
   * @returns its gradients by the weights
   */
  async gradients(
    input: Float32Array,
    { values, kept }: Encoded,
    by: StageValues,
    weights: Weights,
  ): Promise<Map<string, Float32Array>> {
    const all = new Map<string, Float32Array>();
    let later: Float32Array | undefined;
    for (const [index, { stage, session }] of [...this.stages.entries()].slice(this.first).reverse()) {
      const gradient = summed(by[stage.gives], later);
      if (!gradient) continue;
      const from = index === 0 ? input : (values[this.stages[index - 1].stage.gives] as Float32Array);
      const gradients = await session.gradients(from, { kept: kept[index] }, gradient, weights);
      for (const { name } of stage.parameters) all.set(name, entryOf(gradients, name));
      later = gradients.get(stage.input.name);
    }
    return all;
  }

  async release(): Promise<void> {
    for (const { session } of this.stages) await session.release();
  }
}

function summed(a?: Float32Array, b?: Float32Array): Float32Array | undefined {
  return a && b ? a.map((value, i) => value + b[i]) : (a ?? b);
}
