import { createHash } from 'node:crypto';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { selfTestImage, selfTestPositions } from '../../src/model/self-test.js';

/** What src/model/self-test-vectors.json holds, of an encoder: features by ONNX Runtime's wasm build. */
export interface SelfTestVectors {
  readonly model: string;
  /** Of the encoder's file. */
  readonly sha256: string;
  readonly runtime: string;
  readonly features: readonly number[];
}

export async function selfTestVectors(model: string, file: Uint8Array): Promise<SelfTestVectors> {
  const runtime = await createNodeRuntime({ wasm: true });
  const encoder = await ImageEncoder.create(runtime, file, SAM_ENCODER_INPUT);
  const { features } = await encoder.encode(selfTestImage());
  await encoder.release();
  return {
    model,
    sha256: createHash('sha256').update(file).digest('hex'),
    runtime: runtime.name,
    features: selfTestPositions().map((position) => Number(features.data[position].toPrecision(6))),
  };
}
