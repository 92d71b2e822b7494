import { removeDeadCode, renameTensor } from '../graph.js';
import type { OnnxModel } from '../model.js';
import { findTaps } from './read-weights.js';

/**
 * An official decoder export changed in place to give all four masks and scores, for B prompts at a time, without
 * enlarging them: outputs `logits` [B, 4, 256, 256] and `iou` [B, 4]; inputs as before, without `orig_im_size`. The
 * arithmetic is the export's own.
 *
 * @throws PatternError if the places where masks and scores are computed are not found
 */
export function batchDecoder(model: OnnxModel): void {
  const { graph } = model;
  const { logits, iou } = findTaps(graph);
  renameTensor(graph, logits, 'logits');
  renameTensor(graph, iou, 'iou');
  graph.outputs = [
    { name: 'logits', tensor: { type: 1, shape: ['B', 4, 256, 256] } },
    { name: 'iou', tensor: { type: 1, shape: ['B', 4] } },
  ];
  const shapes: Record<string, (number | string)[]> = {
    point_coords: ['B', 'N', 2],
    point_labels: ['B', 'N'],
    mask_input: ['M', 1, 256, 256],
  };
  graph.inputs = graph.inputs.map((input) => {
    const shape = shapes[input.name];
    return shape ? { name: input.name, tensor: { type: 1, shape } } : input;
  });
  removeDeadCode(graph);
}
