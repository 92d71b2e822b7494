import type { OnnxModel } from '../../onnx/model.js';
import { type EncoderTraits, encoderAfter, STAGE_OUTPUTS, type TrainableEncoder } from './trainable-encoder.js';

/**
 * The late part of MobileSAM's encoder (TinyViT): the merging of patches after its third stage, the last stage (two blocks
 * of attention in windows of 7 x 7 cells) and the neck; 3.3 of 5.7 million weights and a third of the work. What comes before
 * stays as it is, so that a picture goes through it once.
 *
 * @throws SamError `unsupported` or `model_unavailable` if the encoder is no TinyViT of MobileSAM's size
 */
export function lateStage(encoder: OnnxModel, traits?: EncoderTraits): TrainableEncoder {
  return encoderAfter(STAGE_NAME, encoder, traits);
}

/** Early features (model/early-features.ts) that the late part builds on, and their shape. */
export const STAGE_NAME = 's2';
export const STAGE = STAGE_OUTPUTS[STAGE_NAME];
