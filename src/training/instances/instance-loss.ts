import type { ShapedBuilder } from '../../onnx/shaped-builder.js';

/**
 * How far maps are from their targets: Dice and cross entropy of the foreground, and twice the mean difference of both
 * distances inside objects. What is unknown does not count.
 *
 * @param logits [N, 3, H, W], before the sigmoid
 * @param target [N, 4, H, W]: foreground, centre, boundary, known (`CACHED.target`)
 * @returns a tensor of shape []
 */
export function instanceLoss(g: ShapedBuilder, logits: string, target: string): string {
  const [batch, , height, width] = g.shape(logits);
  const maps = g.sigmoid(logits);
  const objects = g.slice(target, 0, 1);
  const known = g.slice(target, 3, 4);
  const dice = softDice(g, g.mul(g.slice(maps, 0, 1), known), g.mul(objects, known));
  const score = g.slice(logits, 0, 1);
  const entropy = g.mul(g.sub(g.node('Softplus', [score]), g.mul(score, objects)), known);
  const meanEntropy = g.mul(g.total(entropy), g.scalar(1 / (batch * height * width)));
  const away = g.mul(g.node('Abs', [g.sub(g.slice(maps, 1, 3), g.slice(target, 1, 3))]), objects);
  // The mean over both distances, twice: their sum over the pixels of objects.
  const meanAway = g.div(g.total(away), g.node('Max', [g.total(objects), g.scalar(1)]));
  return g.add(g.add(dice, meanEntropy), meanAway);
}

/** 1 - 2 Σpt / (Σp² + Σt²), as torch-em's DiceLoss over the whole batch. */
function softDice(g: ShapedBuilder, p: string, t: string): string {
  const common = g.mul(g.total(g.mul(p, t)), g.scalar(2));
  const all = g.add(g.total(g.mul(p, p)), g.total(g.mul(t, t)));
  return g.sub(g.scalar(1), g.div(common, g.node('Max', [all, g.scalar(1e-6)])));
}
