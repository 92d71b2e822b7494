/**
 * A hash of 53 bits of numbers, by their bits: FNV-1a over 32-bit words in two halves that start differently. Tells
 * embeddings apart; nothing that an adversary would care to forge.
 */
export function contentHash(values: Float32Array): string {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let [a, b] = [0x811c9dc5, 0x01234567];
  for (const word of words) {
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ (word >>> 11) ^ (word << 21), 0x01000193);
  }
  return ((a >>> 0) * 2 ** 21 + (b >>> 11)).toString(36);
}
