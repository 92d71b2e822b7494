import type { FileParts } from '../../src/onnx/write-parts.js';

/** All of a file at once. */
export async function joinedParts({ size, pieces }: FileParts): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece instanceof Uint8Array ? piece : await piece.load(), at);
    at += piece.length;
  }
  return bytes;
}
