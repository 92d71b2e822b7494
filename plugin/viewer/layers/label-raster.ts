/**
 * Objects as pixel runs, painted for one viewport at screen resolution: crisp at any zoom, thin outlines at any zoom, cost
 * by what is visible. Rows count from the top here (row 0 at map y = image height).
 */
export interface LabelObject {
  readonly id: number;
  /** 0xRRGGBB */
  readonly color: number;
  /** y0, x0, y1, x1, upper bounds exclusive. */
  readonly box: readonly [number, number, number, number];
  /** Row-major run lengths over the box, background first. */
  readonly runs: Uint32Array;
  readonly area: number;
}

/** Image (row, column) at the upper left corner of the canvas, and canvas pixels per image pixel. */
export interface RasterView {
  readonly row: number;
  readonly column: number;
  readonly scale: number;
  readonly width: number;
  readonly height: number;
}

export interface LabelStyle {
  /** Opacity of the inside, 0-1. */
  readonly fill: number;
  /** Opacity of the outline, 0-1. */
  readonly outline: number;
  readonly dashed?: boolean;
}

/** Canvas pixels, upper bounds exclusive. */
export interface CanvasBox {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The part of the canvas that the objects lie in. */
export function canvasBox(
  objects: readonly LabelObject[],
  { row, column, scale, width, height }: RasterView,
): CanvasBox {
  let [top, left, bottom, right] = [Infinity, Infinity, 0, 0];
  for (const { box } of objects) {
    top = Math.min(top, box[0]);
    left = Math.min(left, box[1]);
    bottom = Math.max(bottom, box[2]);
    right = Math.max(right, box[3]);
  }
  const onCanvas = (at: number, from: number, length: number) => Math.min(length, Math.max(0, (at - from) * scale));
  return {
    left: Math.floor(onCanvas(left, column, width)),
    top: Math.floor(onCanvas(top, row, height)),
    right: Math.ceil(onCanvas(right, column, width)),
    bottom: Math.ceil(onCanvas(bottom, row, height)),
  };
}

/** For each canvas pixel, 1 + the index of the topmost object there, or 0. `out` has width x height entries, zeroed. */
export function paintIndices(objects: readonly LabelObject[], view: RasterView, out: Uint32Array): void {
  for (const [index, object] of objects.entries()) paintObject(object, index + 1, view, out);
}

function paintObject(object: LabelObject, value: number, view: RasterView, out: Uint32Array): void {
  const { row, column, scale, width, height } = view;
  const [y0, x0, y1, x1] = object.box;
  // A canvas pixel shows the image pixel under its centre.
  const canvasRow = (y: number) => Math.min(height, Math.max(0, Math.ceil((y - row) * scale - 0.5)));
  const canvasColumn = (x: number) => Math.min(width, Math.max(0, Math.ceil((x - column) * scale - 0.5)));
  if (canvasRow(y0) >= canvasRow(y1) || canvasColumn(x0) >= canvasColumn(x1)) return;
  const boxWidth = x1 - x0;
  let position = 0;
  for (let k = 0; k < object.runs.length; k++) {
    const end = position + object.runs[k]!;
    if (k % 2 === 1) {
      while (position < end) {
        const y = Math.floor(position / boxWidth);
        const rowEnd = Math.min(end, (y + 1) * boxWidth);
        const top = canvasRow(y0 + y);
        const bottom = canvasRow(y0 + y + 1);
        if (top < bottom) {
          const left = canvasColumn(x0 + position - y * boxWidth);
          const right = canvasColumn(x0 + rowEnd - y * boxWidth);
          if (left < right) for (let j = top; j < bottom; j++) out.fill(value, j * width + left, j * width + right);
        }
        position = rowEnd;
      }
    }
    position = end;
  }
}

export interface Colouring {
  readonly view: RasterView;
  readonly style: LabelStyle;
  /** Of outlines, canvas pixels. */
  readonly thickness: number;
  readonly part: CanvasBox;
}

const DASH = 10;

/** Stripes across the canvas, so that outlines of any direction but one are dashed. */
function inGap(x: number, y: number): boolean {
  return (x + 2 * y) % DASH >= DASH / 2;
}

/** Indices of paintIndices to RGBA (as little-endian 32-bit words), in one part of the canvas. */
export function colorize(
  indices: Uint32Array,
  objects: readonly LabelObject[],
  { view, style, thickness, part }: Colouring,
  out: Uint32Array,
): void {
  const { width, height } = view;
  const fills = new Uint32Array(objects.length + 1);
  const edges = new Uint32Array(objects.length + 1);
  objects.forEach(({ color }, k) => {
    const bgr = ((color & 255) << 16) | (color & 0xff00) | (color >> 16);
    fills[k + 1] = (bgr | (Math.round(style.fill * 255) << 24)) >>> 0;
    edges[k + 1] = (bgr | (Math.round(style.outline * 255) << 24)) >>> 0;
  });
  for (let y = part.top; y < part.bottom; y++) {
    const up = y >= thickness ? -thickness * width : 0;
    const down = y + thickness < height ? thickness * width : 0;
    for (let x = part.left, i = y * width + x; x < part.right; x++, i++) {
      const value = indices[i]!;
      if (value === 0) {
        out[i] = 0;
        continue;
      }
      const left = x >= thickness ? i - thickness : i;
      const right = x + thickness < width ? i + thickness : i;
      const inside =
        indices[i + up] === value && indices[i + down] === value && indices[left] === value && indices[right] === value;
      out[i] = inside || (style.dashed && inGap(x, y)) ? fills[value]! : edges[value]!;
    }
  }
}

/** The topmost object that covers the image pixel (row, column). */
export function objectAt(objects: readonly LabelObject[], row: number, column: number): LabelObject | undefined {
  for (let k = objects.length - 1; k >= 0; k--) {
    const object = objects[k]!;
    const [y0, x0, y1, x1] = object.box;
    if (row < y0 || row >= y1 || column < x0 || column >= x1) continue;
    const target = (row - y0) * (x1 - x0) + column - x0;
    let position = 0;
    let run = -1;
    while (position <= target) position += object.runs[++run] ?? Infinity;
    if (run % 2 === 1 && run < object.runs.length) return object;
  }
  return undefined;
}
