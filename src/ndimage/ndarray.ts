import ndarray, { type NdArray } from 'ndarray';
import ops from 'ndarray-ops';
import { allocate, type Dtype, dtypeOf, sizeOf, type Tensor, type TypedArray } from './array.js';

/**
 * Between tensors, which are packed, and ndarray views, which can be sliced, stepped and transposed without copying:
 * for scripts that already work with the `ndarray` package.
 */

/** A view of the tensor's own data, C order: writing to it writes to the tensor. */
export function toNdarray<T extends TypedArray>({ data, shape }: Tensor<T>): NdArray<T> {
  return ndarray(data, [...shape]);
}

/** A packed copy of what the view shows, in C order, whatever its strides and offset. */
export function fromNdarray<T extends TypedArray>(view: NdArray<T>): Tensor<T> {
  const packed = ndarray(allocate(dtypeOf(view.data) as Dtype, sizeOf(view.shape)) as T, view.shape);
  ops.assign(packed, view);
  return { data: packed.data, shape: [...view.shape] };
}
