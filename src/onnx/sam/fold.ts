import { lengthOf, writeParts } from '../../ndimage/array.js';
import type { Constant } from '../graph.js';

/** Weight matrices multiplied out beforehand: [rows, columns], row-major. */

/** Row r times `scale[r]`. */
export function scaleRows({ dims, data }: Constant, scale: Float32Array): Constant {
  const columns = dims[1];
  return { dims, data: data.map((value, i) => value * scale[Math.floor(i / columns)]) };
}

/** Less the mean over rows, column by column. */
export function centreColumns({ dims, data }: Constant): Constant {
  const [rows, columns] = dims;
  const mean = new Float64Array(columns);
  for (let i = 0; i < data.length; i++) mean[i % columns] += data[i] / rows;
  return { dims, data: data.map((value, i) => value - mean[i % columns]) };
}

export function transposed({ dims, data }: Constant): Constant {
  const [rows, columns] = dims;
  const result = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = data[r * columns + c];
  return { dims: [columns, rows], data: result };
}

/** One below the other; all have as many columns. */
export function stacked(...parts: readonly Constant[]): Constant {
  const values = parts.map(({ data }) => data);
  const data = writeParts(new Float32Array(lengthOf(values)), values);
  return { dims: [data.length / parts[0].dims[1], parts[0].dims[1]], data };
}

/** A vector as one row, as a matrix. */
export function row(data: Float32Array): Constant {
  return { dims: [1, data.length], data };
}

/** A row vector times a matrix. */
export function times(vector: Float32Array, { dims, data }: Constant): Float32Array {
  const [rows, columns] = dims;
  const sums = new Float64Array(columns);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) sums[c] += vector[r] * data[r * columns + c];
  return Float32Array.from(sums);
}

export function sum(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + b[i]);
}
