import { Gunzip } from 'fflate';
import { SamError } from '../errors.js';

const STEP = 65_536;

/** The first `length` bytes of what a gzip file holds; fewer if it holds fewer. Never allocates more than that. */
export function gunzipPrefix(bytes: Uint8Array, length: number, name: string): Uint8Array {
  const out = new Uint8Array(length);
  let written = 0;
  const stream = new Gunzip((chunk) => {
    const part = chunk.subarray(0, length - written);
    out.set(part, written);
    written += part.length;
  });
  try {
    for (let at = 0; at < bytes.length && written < length; at += STEP)
      stream.push(bytes.subarray(at, at + STEP), at + STEP >= bytes.length);
  } catch (cause) {
    throw new SamError('invalid_image', `${name} is a damaged or truncated gzip file; get a complete copy.`, { cause });
  }
  return out.subarray(0, written);
}
