import { float32Of, type OrtRuntime, type OrtSession, type OrtTensor } from '../../model/runtime.js';
import { removeDeadCode } from '../../onnx/graph.js';
import { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { writeModel } from '../../onnx/write.js';
import { GradientSession } from '../gradient-session.js';
import type { Weights } from '../parameters.js';
import { EMBEDDING, emitLateStage, type LateStage, STAGE } from './late-stage.js';

/**
 * The late part with weights that change: forward to the embedding, and back from the gradient of a loss by the embedding.
 * The two are runs of their own, since prompts depend on the embedding; going back, forward is computed once more. Working memory is given
 * back after each run: kept, it would be 1.5 GB.
 */
export class LateSession {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly late: LateStage,
    private readonly forwards: OrtSession,
    private readonly backwards: GradientSession,
  ) {}

  static async create(runtime: OrtRuntime, late: LateStage): Promise<LateSession> {
    const forwards = await runtime.createSession(forwardGraph(late));
    const backwards = await GradientSession.create(runtime, late.parameters, (g) => emitProduct(g, late), {
      frequent: false,
    });
    return new LateSession(runtime, late, forwards, backwards);
  }

  /** @param stage of shape `STAGE` @returns [1, 256, 64, 64] */
  async embed(stage: Float32Array, weights: Weights): Promise<Float32Array> {
    const feeds: Record<string, OrtTensor> = { [this.late.input]: this.runtime.tensor('float32', stage, STAGE) };
    for (const { name, shape } of this.late.parameters)
      feeds[name] = this.runtime.tensor('float32', weights.get(name) as Float32Array, shape);
    return float32Of((await this.forwards.run(feeds)).embedding);
  }

  /** @param gradient of a loss by the embedding @returns its gradients by the weights */
  async gradients(
    stage: Float32Array,
    gradient: Float32Array,
    weights: Weights,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const { gradients } = await this.backwards.run(weights, {
      [this.late.input]: this.runtime.tensor('float32', stage, STAGE),
      [GRADIENT]: this.runtime.tensor('float32', gradient, EMBEDDING),
    });
    return gradients;
  }

  async release(): Promise<void> {
    await this.forwards.release();
    await this.backwards.release();
  }
}

function forwardGraph(late: LateStage): Uint8Array {
  const g = new ShapedBuilder();
  for (const { name, shape } of late.parameters) g.input(name, [...shape]);
  g.output('embedding', emitLateStage(g, late));
  const model = g.finish('late part of the encoder');
  removeDeadCode(model.graph);
  return writeModel(model);
}

const GRADIENT = 'gradient by the embedding';

/** A loss whose gradient by the embedding is the one that is given. */
function emitProduct(g: ShapedBuilder, late: LateStage): { loss: string } {
  const embedding = emitLateStage(g, late);
  return { loss: g.total(g.mul(embedding, g.input(GRADIENT, [...EMBEDDING]))) };
}
