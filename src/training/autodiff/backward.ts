import { SamError } from '../../errors.js';
import { numberAttribute } from '../../onnx/graph.js';
import { FLOAT } from '../../onnx/model.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { RULES, WITHOUT_GRADIENT } from './vjp.js';

/**
 * Reverse-mode differentiation of a graph into the same graph: forward, loss and backward then run as one ONNX model on
 * any execution provider.
 *
 * @param loss tensor with one element, or any whose gradient is given
 * @param wrt tensors (graph inputs, or inner ones) to differentiate it by
 * @param gradient of what the whole is about by `loss`, of its shape; 1 by default
 * @returns for each the tensor that holds the gradient, of the same shape; those the loss does not depend on are missing
 * @throws SamError `unsupported` for an operator on the way that has no rule
 */
export function backward(
  g: ShapedBuilder,
  loss: string,
  wrt: readonly string[],
  gradient = g.constant('one', g.shape(loss), Float32Array.of(1)),
): Map<string, string> {
  const nodes = [...g.all];
  const active = dependents(g, wrt);
  const gradients = new Gradients(g);
  gradients.add(loss, gradient);
  for (const node of nodes.reverse()) {
    const outputs = node.outputs.map((output) => (output === '' ? undefined : gradients.of(output)));
    if (!outputs.some((gradient) => gradient !== undefined)) continue;
    const wanted = node.inputs.map((input) => active.has(input));
    if (!wanted.includes(true) || WITHOUT_GRADIENT.has(node.op)) continue;
    const rule = RULES[node.op];
    if (!rule) throw new SamError('unsupported', `The operator ${node.op} (${node.name}) cannot be differentiated.`);
    rule(g, node, outputs, wanted).forEach((gradient, i) => {
      if (wanted[i] && gradient !== undefined) gradients.add(node.inputs[i], gradient);
    });
  }
  const found = new Map<string, string>();
  for (const tensor of wrt) {
    const own = gradients.of(tensor);
    if (own !== undefined) found.set(tensor, own);
  }
  return found;
}

/** All tensors that a change of `wrt` reaches in a differentiable way. */
function dependents(g: ShapedBuilder, wrt: readonly string[]): Set<string> {
  const active = new Set(wrt);
  for (const node of g.all) {
    if (WITHOUT_GRADIENT.has(node.op) || !node.inputs.some((input) => active.has(input))) continue;
    for (const output of node.outputs) if (output !== '' && g.info(output).type === FLOAT) active.add(output);
  }
  return active;
}

/** Gradients that have come together so far; several ways to a tensor add up. */
class Gradients {
  private readonly sums = new Map<string, string>();

  constructor(private readonly g: ShapedBuilder) {}

  of(tensor: string): string | undefined {
    return this.sums.get(tensor);
  }

  add(tensor: string, gradient: string): void {
    const shape = this.g.shape(gradient);
    if (String(shape) !== String(this.g.shape(tensor)))
      throw new SamError('internal', `The gradient of ${tensor} [${this.g.shape(tensor)}] has the shape [${shape}].`);
    const sum = this.sums.get(tensor);
    this.sums.set(
      tensor,
      sum === undefined ? gradient : (this.addedByProduct(sum, gradient) ?? this.g.add(sum, gradient)),
    );
  }

  /** A product adds to what is there without a pass of its own. */
  private addedByProduct(sum: string, gradient: string): string | undefined {
    const { all } = this.g;
    const node = all[all.length - 1];
    if (node?.op !== 'Gemm' || node.outputs[0] !== gradient || node.inputs.length !== 2) return undefined;
    const [transA, transB] = [numberAttribute(node, 'transA', 0), numberAttribute(node, 'transB', 0)];
    return this.g.node('Gemm', [...node.inputs, sum], { transA, transB });
  }
}
