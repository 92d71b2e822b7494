import { type Tensor, tensor } from '../ndimage/array.js';
import type { Embedding } from './sam-tensors.js';
import vectors from './self-test-vectors.json' with { type: 'json' };

/**
 * Does a runtime compute what it should? Graphics drivers do not always: half-precision overflows and miscompiled
 * kernels give masks that look empty or odd. The stored values come from the untouched encoder in ONNX Runtime's wasm
 * build (`tests/support/make-self-test-vectors.ts` writes them).
 */
/** The sha256 of the file that the values are of. */
export const SELF_TEST_ENCODER = vectors.sha256;

/** Largest allowed difference of one feature; features lie within about +-0.5. */
const TOLERANCE = 2e-3;

/** A small colourful picture without symmetry, from a formula. [96, 64, 3] */
export function selfTestImage(): Tensor<Uint8Array> {
  const [height, width] = [96, 64];
  const data = new Uint8Array(height * width * 3);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i += 3) {
      const cell = (x - 20) ** 2 + (y - 30) ** 2 < 150 ? 120 : 0;
      data[i] = Math.min(255, x * 2 + cell);
      data[i + 1] = Math.min(255, y + cell);
      data[i + 2] = (x * y) % 97;
    }
  return tensor(data, [height, width, 3]);
}

/** Positions in the features that are compared, spread by a step coprime to all their strides. */
export function selfTestPositions(): number[] {
  return Array.from({ length: 256 }, (_, i) => (i * 65_537 + 4_099) % (256 * 64 * 64));
}

/** What is wrong with the embedding of `selfTestImage()`; undefined if it is right. */
export function selfTestProblem(embedding: Embedding): string | undefined {
  let worst = 0;
  selfTestPositions().forEach((position, i) => {
    const difference = Math.abs(embedding.features.data[position] - vectors.features[i]);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
  });
  return worst <= TOLERANCE ? undefined : `features are off by ${worst.toPrecision(2)}`;
}
