import { SamError } from '../errors.js';
import type { ImageEncoder } from '../model/image-encoder.js';
import type { MaskDecoder } from '../model/mask-decoder.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { DecodedMasks, Embedding } from '../model/sam-tensors.js';
import { SELF_TEST_ENCODER, selfTestImage, selfTestProblem } from '../model/self-test.js';
import { buildPrompts } from '../model/transforms.js';

/**
 * Does a runtime compute with this model what it should? Its encoder is compared with stored values where there are some,
 * else with the runtime that always works, and so is its decoder, on one small picture.
 */
export interface CheckedModel {
  readonly spec: ModelSpec;
  readonly encoder: ImageEncoder;
  readonly decoder: MaskDecoder;
}

/** Largest allowed difference of a feature, in parts of the largest feature. */
const FEATURE_TOLERANCE = 4e-3;
/** Of a predicted IoU. */
const SCORE_TOLERANCE = 0.02;
/** Of a logit, in parts of the largest: what rounds differently moves an outline by less than a pixel. */
const LOGIT_TOLERANCE = 0.02;

/**
 * @param reference opens the same model on the other runtime
 * @throws SamError `internal` that says what is wrong
 */
export async function checkRuntime(model: CheckedModel, reference: () => Promise<CheckedModel>): Promise<void> {
  const embedding = await model.encoder.encode(selfTestImage());
  const { encoder, encoderDelta, encoderPrecision } = model.spec;
  const known = encoder.sha256 === SELF_TEST_ENCODER && !encoderDelta && encoderPrecision !== 'int8';
  refuse(known ? selfTestProblem(embedding) : undefined);
  const other = await reference();
  try {
    if (!known) {
      const wanted = (await other.encoder.encode(selfTestImage())).features.data;
      refuse(difference('features', embedding.features.data, wanted, FEATURE_TOLERANCE * largest(wanted)));
    }
    refuse(compareMasks(await click(model, embedding), await click(other, embedding)));
  } finally {
    await other.encoder.release();
    await other.decoder.dispose();
  }
}

function click({ decoder }: CheckedModel, embedding: Embedding): Promise<DecodedMasks> {
  const prompt = { points: [{ at: [30, 20] as const, positive: true }] };
  return decoder.decode(embedding, buildPrompts([prompt], embedding), {});
}

function compareMasks(got: DecodedMasks, wanted: DecodedMasks): string | undefined {
  const most = LOGIT_TOLERANCE * largest(wanted.logits);
  return (
    difference('scores of masks', got.iou, wanted.iou, SCORE_TOLERANCE) ??
    difference('masks', got.logits, wanted.logits, most)
  );
}

function difference(what: string, got: Float32Array, wanted: Float32Array, most: number): string | undefined {
  if (got.length !== wanted.length) return `${what} are ${got.length} values instead of ${wanted.length}`;
  let worst = 0;
  for (let i = 0; i < got.length; i++) {
    const off = Math.abs(got[i]! - wanted[i]!);
    worst = Number.isNaN(off) ? Infinity : Math.max(worst, off);
  }
  return worst <= most ? undefined : `${what} are off by ${worst.toPrecision(2)}`;
}

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw new SamError('internal', `It failed its self-test (${problem}).`);
}
