import { pause } from '../task.js';

/** Words that are taken in at a time, in some milliseconds where they are the first. */
const PIECE = 2 ** 17;

/**
 * A hash of 53 bits of numbers, by their bits: FNV-1a over 32-bit words in two halves that start differently. Tells
 * embeddings apart; nothing that an adversary would care to forge. Between pieces the thread is free for others.
 */
export async function contentHash(values: Float32Array): Promise<string> {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  let halves: Halves = [0x811c9dc5, 0x01234567];
  for (let start = 0; start < words.length; start += PIECE) {
    if (start > 0) await pause();
    halves = takenIn(words.subarray(start, start + PIECE), halves);
  }
  const [a, b] = halves;
  return ((a >>> 0) * 2 ** 21 + (b >>> 11)).toString(36);
}

type Halves = readonly [a: number, b: number];

function takenIn(words: Int32Array, [first, second]: Halves): Halves {
  let a = first;
  let b = second;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ (word >>> 11) ^ (word << 21), 0x01000193);
  }
  return [a, b];
}
