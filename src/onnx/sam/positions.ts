/**
 * The positional encoding of the embedding's 64 x 64 cells, [4096, 256]: sine and cosine of the projected cell centres.
 * Rounded to single precision step by step, as the exported graphs do it.
 *
 * @param gaussian [2, 128], rows x and y
 */
export function imagePositions(gaussian: Float32Array): Float32Array {
  const known = positionsOf.get(gaussian) ?? computePositions(gaussian);
  positionsOf.set(gaussian, known);
  return known;
}

/** Several graphs of one decoder hold them. */
const positionsOf = new WeakMap<Float32Array, Float32Array>();

function computePositions(gaussian: Float32Array): Float32Array {
  const { fround } = Math;
  const turn = fround(2 * Math.PI);
  const positions = new Float32Array(4096 * 256);
  for (let cell = 0; cell < 4096; cell++) {
    const x = ((cell & 63) * 2 + 1) / 64 - 1;
    const y = ((cell >> 6) * 2 + 1) / 64 - 1;
    for (let k = 0; k < 128; k++) {
      const angle = fround(turn * fround(fround(x * gaussian[k]) + y * gaussian[128 + k]));
      positions[cell * 256 + k] = Math.sin(angle);
      positions[cell * 256 + 128 + k] = Math.cos(angle);
    }
  }
  return positions;
}
