import { createHash } from 'node:crypto';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { SAM_ENCODER_INPUT } from '../../src/model/model-spec.js';
import { resizedSize } from '../../src/model/transforms.js';
import { tensor } from '../../src/ndimage/array.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/**
 * A worker for tests of the embedding cache alone: its "features" are random numbers seeded by the image's bytes, so
 * equal input gives equal features, other input others, and no model is needed.
 */
export interface HashEncoder extends SamWorker {
  /** Sizes of the images it was given, in order. */
  readonly encoded: (readonly number[])[];
}

export const HASH_MODEL: ModelSpec = {
  name: 'vit_t',
  description: 'for tests',
  encoder: { url: 'test:encoder', sha256: 'ab'.repeat(32) },
  decoder: { url: 'test:decoder' },
  encoderInput: SAM_ENCODER_INPUT,
  decoderLayout: { family: 'official' },
};

export function hashEncoder(delayMs = 0): HashEncoder {
  const encoded: (readonly number[])[] = [];
  const unused = async () => {
    throw new Error('The hash encoder only encodes.');
  };
  return {
    encoded,
    info: unused,
    async load() {},
    async encode(_model, image, { signal } = {}) {
      signal?.throwIfAborted();
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      signal?.throwIfAborted();
      encoded.push(image.shape);
      const digest = createHash('sha1').update(image.data).update(`${image.shape}`).digest();
      const data = new Float32Array(256 * 64 * 64);
      // The top of a linear congruential sequence: a million numbers for each image that is encoded.
      for (let i = 0, state = digest.readInt32LE(); i < data.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        data[i] = state / 2 ** 31;
      }
      const originalSize = [image.shape[0], image.shape[1]] as const;
      return {
        features: tensor(data, [1, 256, 64, 64]),
        inputSize: resizedSize(originalSize),
        originalSize,
        id: digest.toString('hex'),
      };
    },
    decode: unused,
    decodeCandidates: unused,
    instanceMaps: unused,
    async close() {},
  };
}
