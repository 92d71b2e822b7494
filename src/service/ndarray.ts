import { SamError } from '../errors.js';
import { fromRpcArray, isArrayLike, isBoolean, shapeOf, toNestedList } from '../io/rpc-array.js';
import { sizeOf, type Tensor } from '../ndimage/array.js';
import { shortly } from './problem.js';

/** numpy's scalars (np.int64(3)) come as arrays of no axes. Anything else is returned as it is. */
export function scalarOf(value: unknown): unknown {
  if (!isArrayLike(value) || shapeOf(value)?.length !== 0) return value;
  const [number] = fromRpcArray(value).data;
  return isBoolean(value) ? number !== 0 : number;
}

/** Arrays inside of lists, and arrays where lists are expected, as lists of numbers; very large ones stay. */
export function plainNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainNumbers);
  const shape = isArrayLike(value) ? shapeOf(value) : undefined;
  if (!shape || sizeOf(shape) > MOST_PLAIN) return value;
  return toNestedList(fromRpcArray(value));
}

const MOST_PLAIN = 100_000;

/** Lists in lists, all of one length: numbers, or true and false. */
export function isNestedList(value: unknown): value is readonly unknown[] {
  let first = value;
  for (let depth = 0; depth < 8 && Array.isArray(first) && first.length > 0; depth++) first = first[0];
  return Array.isArray(value) && (typeof first === 'number' || typeof first === 'boolean');
}

/**
 * The smallest of uint8, uint32 and int32 that holds them all, else float64.
 *
 * @throws SamError `invalid_argument` for lists of several lengths, and for what is no number
 */
export function fromNestedList(list: readonly unknown[]): Tensor {
  const shape: number[] = [];
  for (let first: unknown = list; Array.isArray(first); first = first[0]) shape.push(first.length);
  const values = new Float64Array(sizeOf(shape));
  let at = 0;
  const fill = (value: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (typeof value !== 'number' && typeof value !== 'boolean')
        throw new SamError('invalid_argument', `A list of numbers has ${shortly(value)} in it.`);
      values[at++] = Number(value);
      return;
    }
    if (!Array.isArray(value) || value.length !== shape[axis])
      throw new SamError(
        'invalid_argument',
        `Lists in lists must be of one length: ${shape[axis]} entries expected, got ${shortly(value)}.`,
      );
    for (const item of value) fill(item, axis + 1);
  };
  fill(list, 0);
  const whole = values.every(Number.isInteger);
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const least = values.reduce((a, b) => Math.min(a, b), 0);
  if (whole && least >= 0 && most <= 255) return { data: Uint8Array.from(values), shape };
  if (whole && least >= 0 && most <= 0xffffffff) return { data: Uint32Array.from(values), shape };
  if (whole && least >= -(2 ** 31) && most < 2 ** 31) return { data: Int32Array.from(values), shape };
  return { data: values, shape };
}
