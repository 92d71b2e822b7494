import type { LabelImage } from '../../src/ndimage/array.js';

/** Random binary and label images for kernel tests: noise for the corner cases, disks for realistic objects. */

export function randomBitmap(random: () => number, height: number, width: number, density = 0.5): Uint8Array {
  return Uint8Array.from({ length: height * width }, () => (random() < density ? 1 : 0));
}

/** Disks of random place and radius, later ones on top; ids 1 … count. */
export function randomDisks(
  random: () => number,
  [height, width]: readonly [number, number],
  count: number,
  radius: readonly [number, number],
): LabelImage {
  const data = new Uint32Array(height * width);
  for (let id = 1; id <= count; id++) {
    const r = radius[0] + random() * (radius[1] - radius[0]);
    const cy = random() * height;
    const cx = random() * width;
    for (let y = Math.max(0, Math.floor(cy - r)); y < Math.min(height, cy + r); y++)
      for (let x = Math.max(0, Math.floor(cx - r)); x < Math.min(width, cx + r); x++)
        if ((y + 0.5 - cy) ** 2 + (x + 0.5 - cx) ** 2 <= r * r) data[y * width + x] = id;
  }
  return { data, shape: [height, width] };
}

/** Draws a picture of digits and dots as labels: '.' is 0. */
export function labelsFromPicture(...rows: string[]): LabelImage {
  const data = Uint32Array.from(rows.join(''), (c) => (c === '.' ? 0 : Number(c)));
  return { data, shape: [rows.length, rows[0].length] };
}
