import type { YXYX } from '../../ndimage/array.js';

/**
 * Low-resolution logits kept only where they matter. Upsampling (model/upsample.ts) takes a weighted mean of 3 x 3
 * logits, so a value counts only if a cell of the other sign lies within two cells of it; anywhere else the sign is
 * enough. A candidate that covers half the image shrinks from 256 kB to a few kB, and its mask stays exact to the pixel.
 */
export interface BandLogits {
  /** Part of the 256 grid that is described; everything outside it is negative. */
  readonly crop: YXYX;
  /** Run lengths of the sign over the crop in row-major order, negative first. */
  readonly signs: Uint16Array;
  /** The logits of the band, in row-major order. */
  readonly values: Float32Array;
}

const REACH = 2;

/** For each cell whether both signs occur within two cells of it. */
function bandOf(positive: Uint8Array, height: number, width: number): Uint8Array {
  // Bit 0: a positive cell is near, bit 1: a negative one. First along rows, then along columns.
  const alongRow = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      let seen = 0;
      const first = x < REACH ? 0 : x - REACH;
      const last = x + REACH >= width ? width - 1 : x + REACH;
      for (let i = first; i <= last; i++) seen |= positive[row + i] ? 1 : 2;
      alongRow[row + x] = seen;
    }
  }
  const band = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const first = y < REACH ? 0 : y - REACH;
    const last = y + REACH >= height ? height - 1 : y + REACH;
    for (let x = 0; x < width; x++) {
      let seen = 0;
      for (let i = first; i <= last; i++) seen |= alongRow[i * width + x];
      band[y * width + x] = seen === 3 ? 1 : 0;
    }
  }
  return band;
}

/** @param logits row-major values of `crop`, which must reach two cells beyond the positive cells or to the grid's edge */
export function encodeBand(logits: Float32Array, crop: YXYX): BandLogits {
  const height = crop[2] - crop[0];
  const width = crop[3] - crop[1];
  const positive = new Uint8Array(height * width);
  const signs: number[] = [];
  let sign = 0;
  let run = 0;
  for (let i = 0; i < positive.length; i++) {
    const now = logits[i] > 0 ? 1 : 0;
    positive[i] = now;
    if (now !== sign || run === 0xffff) {
      signs.push(run);
      if (now === sign) signs.push(0);
      sign = now;
      run = 0;
    }
    run++;
  }
  signs.push(run);
  const band = bandOf(positive, height, width);
  const values: number[] = [];
  for (let i = 0; i < band.length; i++) if (band[i]) values.push(logits[i]);
  return { crop, signs: Uint16Array.from(signs), values: Float32Array.from(values) };
}

/** Logits over the crop: exact in the band, +1 or -1 elsewhere. */
export function decodeBand({ crop, signs, values }: BandLogits): Float32Array {
  const height = crop[2] - crop[0];
  const width = crop[3] - crop[1];
  const positive = new Uint8Array(height * width);
  let position = 0;
  for (let i = 0; i < signs.length; i++) {
    if (i % 2 === 1) positive.fill(1, position, position + signs[i]);
    position += signs[i];
  }
  const band = bandOf(positive, height, width);
  const logits = new Float32Array(height * width);
  let next = 0;
  for (let i = 0; i < logits.length; i++) logits[i] = band[i] ? values[next++] : positive[i] ? 1 : -1;
  return logits;
}
