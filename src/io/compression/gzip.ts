import { Gunzip, type Inflate, type Unzlib } from 'fflate';
import { SamError } from '../../errors.js';

/** Deflate with a bound: unpacking stops when `length` bytes are there, whatever more the data would give. */
/** What one step gives, 1,032 times this at most, is in memory at once. */
const STEP = 8_192;

/** The first `length` bytes of what a gzip file holds; fewer if it holds fewer. */
export function gunzipPrefix(bytes: Uint8Array, length: number, name: string): Uint8Array {
  return inflatePrefix(Gunzip, bytes, length, name);
}

/**
 * The same for any of fflate's streams; what is allocated grows with what is really there.
 *
 * @param onMore the data would give more
 */
export function inflatePrefix(
  Stream: typeof Gunzip | typeof Unzlib | typeof Inflate,
  bytes: Uint8Array,
  length: number,
  name: string,
  onMore: () => void = () => undefined,
): Uint8Array {
  let out = new Uint8Array(Math.min(length, Math.max(65_536, bytes.length * 4)));
  let written = 0;
  let more = false;
  const stream = new Stream((chunk) => {
    const part = chunk.subarray(0, length - written);
    if (part.length < chunk.length) more = true;
    if (written + part.length > out.length) {
      const larger = new Uint8Array(Math.min(length, Math.max(out.length * 2, written + part.length)));
      larger.set(out.subarray(0, written));
      out = larger;
    }
    out.set(part, written);
    written += part.length;
  });
  try {
    for (let at = 0; at < bytes.length && written < length; at += STEP)
      stream.push(bytes.subarray(at, at + STEP), at + STEP >= bytes.length);
  } catch (cause) {
    throw new SamError('invalid_image', `${name} is damaged or truncated (deflate data); get a complete copy.`, {
      cause,
    });
  }
  if (more) onMore();
  return written === out.length ? out : out.slice(0, written);
}
