import { SamError } from '../../errors.js';

/**
 * LZW as TIFF uses it, in both dialects: codes packed from the high bit with the width growing one code early (TIFF 6.0
 * section 13), and the old style of TIFF 5 writers, packed from the low bit and growing on time. The output is bounded
 * by `expected` bytes whatever the input says, and the input is read once, so no data can make it hang.
 */
const CLEAR = 256;
const END = 257;
const TABLE = 4096;

/** Old-style data begins with a clear code packed from the low bit: bytes 0, then an odd one. */
function isOldStyleLzw(input: Uint8Array): boolean {
  return input.length > 1 && input[0] === 0 && ((input[1] ?? 0) & 1) === 1;
}

/** Decompresses at most `expected` bytes; fewer where the data ends early. */
export function decodeLzw(input: Uint8Array, expected: number): Uint8Array {
  const old = isOldStyleLzw(input);
  const output = new Uint8Array(expected);
  const prefix = new Uint16Array(TABLE);
  const suffix = new Uint8Array(TABLE);
  const lengths = new Uint16Array(TABLE);
  for (let code = 0; code < 256; code++) {
    suffix[code] = code;
    lengths[code] = 1;
  }
  let written = 0;
  let next = 258;
  let width = 9;
  let previous = -1;
  let bits = 0;
  let available = 0;
  let position = 0;
  while (written < expected) {
    while (available < width && position < input.length) {
      bits = old ? bits | (input[position++]! << available) : (bits << 8) | input[position++]!;
      available += 8;
    }
    if (available < width) break;
    let code: number;
    available -= width;
    if (old) {
      code = bits & ((1 << width) - 1);
      bits >>>= width;
    } else {
      code = (bits >>> available) & ((1 << width) - 1);
      bits &= (1 << available) - 1;
    }
    if (code === END) break;
    if (code === CLEAR) {
      next = 258;
      width = 9;
      previous = -1;
      continue;
    }
    if (code > next || (code >= next && previous < 0) || (previous < 0 && code >= 256))
      throw new SamError('invalid_image', `LZW data is damaged: code ${code} where at most ${next} is defined.`);
    const repeated = code === next;
    const source = repeated ? previous : code;
    const length = lengths[source]!;
    let at = source;
    for (let i = written + length - 1; i >= written; i--) {
      if (i < expected) output[i] = suffix[at]!;
      at = prefix[at]!;
    }
    const first = output[written]!;
    if (repeated && written + length < expected) output[written + length] = first;
    written += repeated ? length + 1 : length;
    if (previous >= 0 && next < TABLE) {
      prefix[next] = previous;
      suffix[next] = first;
      lengths[next] = lengths[previous]! + 1;
      next++;
    }
    previous = code;
    if (next + (old ? 0 : 1) >= 1 << width && width < 12) width++;
  }
  return written < expected ? output.subarray(0, written) : output;
}
