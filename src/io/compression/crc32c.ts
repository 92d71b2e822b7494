import { pause } from '../../task.js';

/**
 * CRC-32C (Castagnoli), the checksum of zarr v3's `crc32c` codec (RFC 3720, appendix B.4), eight bytes at a time.
 *
 * @param before the sum of the bytes before these
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let crc = ~before;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low = crc ^ view.getInt32(i, true);
    const high = view.getInt32(i + 4, true);
    crc =
      AFTER_7[low & 255]! ^
      AFTER_6[(low >>> 8) & 255]! ^
      AFTER_5[(low >>> 16) & 255]! ^
      AFTER_4[low >>> 24]! ^
      AFTER_3[high & 255]! ^
      AFTER_2[(high >>> 8) & 255]! ^
      AFTER_1[(high >>> 16) & 255]! ^
      AFTER_0[high >>> 24]!;
  }
  for (const byte of bytes.subarray(i)) crc = AFTER_0[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Bytes that are summed in about a millisecond. */
const PIECE = 2 ** 20;

/** The same of many bytes, without keeping the thread from anything else. */
export async function crc32cOfMany(bytes: Uint8Array): Promise<number> {
  let crc = 0;
  for (let start = 0; start < bytes.length; start += PIECE) {
    if (start > 0) await pause();
    crc = crc32c(bytes.subarray(start, start + PIECE), crc);
  }
  return crc;
}

/** AFTER_k[b]: what byte b does to the sum when k bytes follow it. */
const AFTER_0 = new Int32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});
const followed = (table: Int32Array) => table.map((crc) => AFTER_0[crc & 255]! ^ (crc >>> 8));
const AFTER_1 = followed(AFTER_0);
const AFTER_2 = followed(AFTER_1);
const AFTER_3 = followed(AFTER_2);
const AFTER_4 = followed(AFTER_3);
const AFTER_5 = followed(AFTER_4);
const AFTER_6 = followed(AFTER_5);
const AFTER_7 = followed(AFTER_6);
