import { crc32c } from '../../io/compression/crc32c.js';
import { concatBytes, unshared } from '../../ndimage/array.js';
import { parseJson } from './saved-fields.js';

/**
 * JSON values as sealed bytes: a line with the SHA-256 of all that follows, then one line per value with its CRC-32C and
 * its length in bytes. The whole seal names these bytes in a chain; where it is broken, every line that is whole can
 * still be read.
 */
export interface Sealed {
  readonly bytes: Uint8Array;
  /** Hex, of the lines. */
  readonly digest: string;
}

export interface Unsealed {
  readonly digest: string;
  /** Undefined for a line that is damaged. */
  readonly lines: readonly unknown[];
}

export async function seal(values: readonly unknown[]): Promise<Sealed> {
  const lines = values.map((value) => {
    const text = JSON.stringify(value);
    const bytes = encode(text);
    return `${checksum(bytes)} ${bytes.length} ${text}\n`;
  });
  const body = encode(lines.join(''));
  const digest = await sha256(body);
  return { bytes: concatBytes([encode(`${digest}\n`), body]), digest };
}

export async function unseal(bytes: Uint8Array): Promise<Unsealed> {
  const body = bodyOf(bytes);
  const lines: unknown[] = [];
  for (let rest = body; rest.length > 0; ) {
    const { value, size } = readLine(rest);
    lines.push(value);
    rest = rest.subarray(size);
  }
  return { digest: await sha256(body), lines };
}

/** The text below a seal of the first format, in which the whole was one value; undefined if it is damaged. */
export async function unsealWhole(bytes: Uint8Array): Promise<{ text: string; digest: string } | undefined> {
  const body = bodyOf(bytes);
  const digest = await sha256(body);
  return digest === statedDigest(bytes) ? { text: decode(body), digest } : undefined;
}

/** What the first line says. */
export function statedDigest(bytes: Uint8Array): string {
  return decode(bytes.subarray(0, DIGEST));
}

/** Hex digits of a SHA-256. */
export const DIGEST = 64;

function bodyOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(DIGEST + 1);
}

/** The first line: by its length if that is true, else up to where a line ends. */
function readLine(bytes: Uint8Array): { value?: unknown; size: number } {
  const head = /^([0-9a-f]{8}) (\d{1,10}) /.exec(decode(bytes.subarray(0, 21)));
  if (head) {
    const start = head[0].length;
    const json = bytes.subarray(start, start + Number(head[2]));
    if (checksum(json) === head[1]) return { value: parseJson(decode(json)), size: start + json.length + 1 };
  }
  const end = bytes.indexOf(NEW_LINE);
  return { size: end < 0 ? bytes.length : end + 1 };
}

const NEW_LINE = 10;

function checksum(bytes: Uint8Array): string {
  return crc32c(bytes).toString(16).padStart(8, '0');
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(bytes)));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
