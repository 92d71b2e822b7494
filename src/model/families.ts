import { type ModelSpec, SAM_ENCODER_INPUT } from './model-spec.js';

/**
 * Known ways to export models that segment from prompts, each with how its encoder wants its pixels and its decoder its
 * prompts. All have an embedding of [1, 256, 64, 64] and prompts in a square of 1024.
 */
export const FAMILIES = {
  /** [1, 3, 1024, 1024], normalised and padded outside: segment-anything, micro-sam, patho-sam, MobileSAM. */
  sam: { encoderInput: SAM_ENCODER_INPUT, decoderLayout: { family: 'official' } },
  /** samexporter: the encoder takes [h, w, 3] in 0..255 and normalises inside the graph. */
  samexporter: { encoderInput: { ...SAM_ENCODER_INPUT, layout: 'hwc' }, decoderLayout: { family: 'official' } },
  /**
   * EfficientViT-SAM, L0 to L2 by its own export: images of 512 pixels, four masks, no mask prompts. Of XL0 and XL1 the
   * encoder's side is 1024.
   */
  'efficientvit-sam': { encoderInput: { ...SAM_ENCODER_INPUT, side: 512 }, decoderLayout: { family: 'points' } },
  /**
   * Image models of SAM 2 and 2.1 as samexporter writes them: images are stretched to the square, two finer levels of
   * features go to the decoder, which adds the padding point and gives masks 1 to 3.
   */
  sam2: {
    encoderInput: { ...SAM_ENCODER_INPUT, resize: 'stretch' },
    decoderLayout: { family: 'points', padding: 'graph', levels: sameNames('high_res_feats_0', 'high_res_feats_1') },
  },
  /** Hugging Face transformers, SAM 1 (SlimSAM and others): another decoder signature, no single-mask token. */
  transformers: { encoderInput: SAM_ENCODER_INPUT, decoderLayout: { family: 'transformers' } },
  /** The same of SAM 2 and 2.1. */
  'transformers-sam2': {
    encoderInput: { ...SAM_ENCODER_INPUT, resize: 'stretch', output: 'image_embeddings.2' },
    decoderLayout: { family: 'transformers', levels: sameNames('image_embeddings.0', 'image_embeddings.1') },
  },
} as const satisfies Record<string, Pick<ModelSpec, 'encoderInput' | 'decoderLayout'>>;

export type ModelFamily = keyof typeof FAMILIES;

function sameNames(...names: string[]) {
  return names.map((name) => ({ output: name, input: name }));
}
