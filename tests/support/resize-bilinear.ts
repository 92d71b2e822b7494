import type { Size, Tensor } from '../../src/ndimage/array.js';

/** An [H, W] image in another size, with half-pixel centres, as torch.nn.functional.interpolate with align_corners = false. */
export function resizeBilinear({ data, shape: [height, width] }: Tensor, size: Size): Tensor<Float32Array> {
  const rows = neighbours(height, size[0]);
  const columns = neighbours(width, size[1]);
  const out = new Float32Array(size[0] * size[1]);
  rows.forEach(([y0, y1, fy], y) => {
    columns.forEach(([x0, x1, fx], x) => {
      const at = (row: number) => data[row * width + x0] * (1 - fx) + data[row * width + x1] * fx;
      out[y * size[1] + x] = at(y0) * (1 - fy) + at(y1) * fy;
    });
  });
  return { data: out, shape: size };
}

/** For each of `output` places the two next to it among `input`, and the weight of the second. */
function neighbours(input: number, output: number): [below: number, above: number, fraction: number][] {
  return Array.from({ length: output }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * input) / output - 0.5, 0), input - 1);
    const below = Math.floor(at);
    return [below, Math.min(below + 1, input - 1), at - below];
  });
}
