import { FLOAT } from '../../onnx/model.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';

/**
 * The loss of micro-sam's interactive training (micro_sam/training/sam_trainer.py, 1.8): for each object the Dice loss of
 * the best of the masks that count, and for all of these the squared error of the predicted IoU; both means, added.
 *
 * @param masks [B, 4, 256, 256] logits
 * @param iou [B, 4], predicted
 * @param target [B, 1, 256, 256], 0 and 1
 * @param candidates [B, 4]: 1 for masks that count, 0 for the others
 * @param measured [B, 4], what the IoU are (`measuredIou`); no gradient goes through them
 * @param shown the share, 0 to 1, of the mask that a person is shown, whose predicted IoU is the highest: the Dice loss is that of
 *   the best mask and of this one, so that all come to show whole objects
 * @returns a tensor of shape []
 */
export function promptLoss(
  g: ShapedBuilder,
  { masks, iou, target, candidates, measured }: Readonly<Record<PromptLossInput, string>>,
  shown = 0,
): string {
  const [batch] = g.shape(masks);
  const p = g.sigmoid(masks);
  const common = g.mul(area(g, g.mul(p, target)), g.scalar(2));
  const both = g.node('Max', [g.add(area(g, g.mul(p, p)), area(g, target)), g.scalar(1e-7)]);
  const dice = g.sub(g.scalar(1), g.div(common, both));
  const ranked = g.add(dice, g.mul(g.sub(g.scalar(1), candidates), g.scalar(BARRED)));
  const least = g.node('ReduceMin', [ranked], { axes: [1], keepdims: 1 });
  const best = g.node('Cast', [g.node('Equal', [ranked, least])], { to: FLOAT });
  const counted = shown === 0 ? best : mixed(g, best, shownMask(g, iou, candidates), shown);
  const maskLoss = g.mul(g.total(g.mul(counted, dice)), g.scalar(1 / batch));
  const error = g.sub(iou, measured);
  const iouLoss = g.div(g.total(g.mul(g.mul(error, error), candidates)), g.total(candidates));
  return g.add(maskLoss, iouLoss);
}

function mixed(g: ShapedBuilder, a: string, b: string, share: number): string {
  return g.add(g.mul(a, g.scalar(1 - share)), g.mul(b, g.scalar(share)));
}

/** [B, 4]: 1 for the mask that a person is shown: of those that count, the one with the highest predicted IoU. */
function shownMask(g: ShapedBuilder, iou: string, candidates: string): string {
  const ranked = g.sub(iou, g.mul(g.sub(g.scalar(1), candidates), g.scalar(BARRED)));
  const most = g.node('ReduceMax', [ranked], { axes: [1], keepdims: 1 });
  return g.node('Cast', [g.node('Equal', [ranked, most])], { to: FLOAT });
}

export type PromptLossInput = 'masks' | 'iou' | 'target' | 'candidates' | 'measured';

/** More than any Dice loss. */
const BARRED = 10;

/** [B, 4]: IoU of each mask, where its logits are above 0, with its object. */
export function measuredIou(g: ShapedBuilder, masks: string, target: string): string {
  const inside = g.node('Cast', [g.node('Greater', [masks, g.scalar(0)])], { to: FLOAT });
  const overlap = area(g, g.mul(inside, target));
  const union = g.sub(g.add(area(g, inside), area(g, target)), overlap);
  return g.div(overlap, g.node('Max', [union, g.scalar(1)]));
}

/** [B, M, H, W] → [B, M]. */
function area(g: ShapedBuilder, x: string): string {
  const [batch, masks] = g.shape(x);
  return g.shaped(g.sumOver(x, [2, 3]), [batch, masks]);
}
