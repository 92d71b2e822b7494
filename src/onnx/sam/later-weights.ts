import { SamError } from '../../errors.js';
import { GraphBuilder } from '../builder.js';

/** A weight of known shape whose values are read when the model is written. */
export interface LaterWeight {
  readonly shape: readonly number[];
  /** Row-major. */
  read(): Promise<Float32Array>;
}

/** By PyTorch's names. */
export type LaterWeights = ReadonlyMap<string, LaterWeight>;

/**
 * A graph builder over a state dict. What PyTorch calls a layer gives its parameters, in the form that ONNX wants: only
 * their shapes are looked at here.
 */
export class EncoderBuilder extends GraphBuilder {
  constructor(private readonly weights: LaterWeights) {
    super();
  }

  has(name: string): boolean {
    return this.weights.has(name);
  }

  /** @throws SamError `model_unavailable` if it is missing or has another number of axes */
  shapeOf(name: string, axes?: number): readonly number[] {
    return this.parameter(name, axes).shape;
  }

  /** A parameter as it is. */
  stored(name: string): string {
    const { shape, read } = this.parameter(name);
    return this.later(name, shape, read);
  }

  /** x · Wᵀ + b over the last axis; `change` gets the stored weight [out, in] or bias before it is written. */
  linear(name: string, x: string, change: (values: Float32Array) => Float32Array = (values) => values): string {
    const { shape, read } = this.parameter(`${name}.weight`, 2);
    const [outputs, inputs] = shape;
    const weight = this.later(`${name}.weight`, [inputs, outputs], async () =>
      transposedValues(change(await read()), outputs, inputs),
    );
    const bias = this.parameter(`${name}.bias`, 1);
    return this.add(
      this.matMul(x, weight),
      this.later(`${name}.bias`, bias.shape, async () => change(await bias.read())),
    );
  }

  norm(name: string, x: string, epsilon: number): string {
    return this.layerNorm(x, this.stored(`${name}.weight`), this.stored(`${name}.bias`), epsilon);
  }

  /** Over the channels of [1, C, H, W]. */
  channelNorm(name: string, x: string, epsilon: number): string {
    return this.transpose(this.norm(name, this.transpose(x, 0, 2, 3, 1), epsilon), 0, 3, 1, 2);
  }

  /** With a bias if it has one. */
  convolution(name: string, x: string, stride = 1): string {
    const kernel = this.shapeOf(`${name}.weight`, 4).slice(2);
    const pad = stride === kernel[0] ? 0 : (kernel[0] - 1) / 2;
    const bias = this.has(`${name}.bias`) ? [this.stored(`${name}.bias`)] : [];
    return this.node('Conv', [x, this.stored(`${name}.weight`), ...bias], {
      kernel_shape: kernel,
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    });
  }

  /** The convolution `c` with the batch norm `bn` after it, in one: w γ / √(σ² + ε), β - μ γ / √(σ² + ε). */
  normedConvolution(name: string, x: string, stride = 1): string {
    const weight = this.parameter(`${name}.c.weight`, 4);
    const [outputs, perGroup, ...kernel] = weight.shape;
    const scale = async () => {
      const [gamma, variance] = await Promise.all(
        ['weight', 'running_var'].map((part) => this.values(`${name}.bn.${part}`)),
      );
      return Float64Array.from(gamma, (value, c) => value / Math.sqrt(variance[c] + 1e-5));
    };
    const folded = this.later(`${name}.weight`, weight.shape, async () => {
      const [values, factors] = [await weight.read(), await scale()];
      const each = values.length / outputs;
      return values.map((value, i) => value * factors[Math.floor(i / each)]);
    });
    const bias = this.later(`${name}.bias`, [outputs], async () => {
      const [beta, mean] = [await this.values(`${name}.bn.bias`), await this.values(`${name}.bn.running_mean`)];
      const factors = await scale();
      return beta.map((value, c) => value - mean[c] * factors[c]);
    });
    const pad = (kernel[0] - 1) / 2;
    return this.node('Conv', [x, folded, bias], {
      kernel_shape: kernel,
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      // One channel per group is a depthwise convolution.
      group: perGroup === 1 && outputs > 1 ? outputs : 1,
    });
  }

  private values(name: string): Promise<Float32Array> {
    return this.parameter(name, 1).read();
  }

  private parameter(name: string, axes?: number): LaterWeight {
    const found = this.weights.get(name);
    if (found && (axes === undefined || found.shape.length === axes)) return found;
    const problem = found ? `has '${name}' with shape [${found.shape.join(', ')}]` : `lacks '${name}'`;
    throw new SamError(
      'model_unavailable',
      `The checkpoint ${problem}: it is damaged, or a network that is not known here.`,
      { details: { name } },
    );
  }
}

function transposedValues(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let c = 0; c < columns; c++) for (let r = 0; r < rows; r++) result[c * rows + r] = values[r * columns + c];
  return result;
}
