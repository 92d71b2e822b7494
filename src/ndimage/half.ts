/** float32 ↔ IEEE 754 half precision: half the size, with a relative error of at most 2^-11. */
export function toHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = (bits[i] >>> 16) & 0x8000;
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
      // Nearly all: to nearest, ties to even, by what is added before the shift.
      const scaled = magnitude - 0x38000000;
      out[i] = sign | ((scaled + 0xfff + ((scaled >>> 13) & 1)) >>> 13);
    } else if (magnitude > 0x7f800000) out[i] = sign | 0x7e00;
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00;
    else if (magnitude >= 0x33000000)
      out[i] = sign | roundedShift((magnitude & 0x7fffff) | 0x800000, 126 - (magnitude >>> 23));
    else out[i] = sign;
  }
  return out;
}

export function fromHalf(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = halfValues();
  const out = new Float32Array(halves.length);
  for (let i = 0; i < out.length; i++) out[i] = values[halves[i]];
  return out;
}

/** The number that each of the 65,536 bit patterns stands for. */
export function halfValues(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToFloat(bits));
  return table;
}

let table: Float32Array | undefined;

/** IEEE 754 binary16 bits as a number. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (fraction + 0x400) * 2 ** (exponent - 25));
}

/** Shifts right, rounding to nearest and ties to even. */
function roundedShift(value: number, by: number): number {
  const half = 1 << (by - 1);
  const rest = value & ((1 << by) - 1);
  const shifted = value >>> by;
  return rest > half || (rest === half && (shifted & 1) === 1) ? shifted + 1 : shifted;
}
