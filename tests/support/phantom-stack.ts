import { gaussian, generator } from '../../src/io/phantom/phantom.js';
import type { LabelImage, Size, Tensor } from '../../src/ndimage/array.js';

/**
 * Made-up stacks with known labels: nuclei through the slices of a volume, and cells that move and divide in time. Like
 * `cellPhantom` (phantom.ts) they are seeded and the labels are exact.
 */
export interface StackPhantom {
  /** [Z or T, H, W] camera counts. */
  readonly image: Tensor<Uint16Array>;
  /** [Z or T, H, W]; an object or track has one id in all planes. */
  readonly labels: LabelImage;
}

export interface TimePhantom extends StackPhantom {
  /** Daughter → mother. */
  readonly parents: ReadonlyMap<number, number>;
  /** First frame of the daughters. */
  readonly divisionFrame: number;
}

export interface StackPhantomOptions {
  readonly seed?: number;
  readonly size?: Size;
  /** Slices or frames. */
  readonly planes?: number;
}

/** An ellipse in one plane. */
interface Spot {
  readonly id: number;
  readonly y: number;
  readonly x: number;
  readonly ry: number;
  readonly rx: number;
  readonly brightness: number;
}

const BACKGROUND = 240;
const NOISE = 25;

/** Six ellipsoids on a jittered grid of two rows; some are cut by the first or last slice. */
export function volumePhantom({ seed = 11, size = [192, 256], planes = 12 }: StackPhantomOptions = {}): StackPhantom {
  const random = generator(seed);
  const [height, width] = size;
  const cells = Array.from({ length: 6 }, (_, index) => ({
    id: index + 1,
    z: planes * (0.3 + 0.4 * random()),
    rz: planes * (0.28 + 0.2 * random()),
    y: ((Math.floor(index / 3) + 0.5 + 0.1 * (random() - 0.5)) * height) / 2,
    x: (((index % 3) + 0.5 + 0.1 * (random() - 0.5)) * width) / 3,
    ry: height * (0.12 + 0.05 * random()),
    rx: width * (0.09 + 0.04 * random()),
    drift: (random() - 0.5) * 1.5,
    brightness: 1200 + 1500 * random(),
  }));
  const slices = Array.from({ length: planes }, (_, plane) =>
    cells.flatMap(({ z, rz, drift, ...cell }): Spot[] => {
      const offset = (plane - z) / rz;
      if (Math.abs(offset) >= 1) return [];
      const scale = Math.sqrt(1 - offset * offset);
      const x = cell.x + drift * (plane - z);
      return [{ ...cell, x, ry: cell.ry * scale, rx: cell.rx * scale }];
    }),
  );
  return render(slices, size, random);
}

/** Three cells that drift; the first divides in the middle of the series into tracks 4 and 5. */
export function dividingPhantom({ seed = 5, size = [192, 256], planes = 10 }: StackPhantomOptions = {}): TimePhantom {
  const random = generator(seed);
  const [height, width] = size;
  const divisionFrame = Math.floor(planes / 2);
  const radius = Math.min(height, width) * 0.1;
  const starts = [
    { id: 1, y: 0.5 * height, x: 0.3 * width, vy: 0, vx: 0.012 * width },
    { id: 2, y: 0.18 * height, x: 0.6 * width, vy: 0.008 * height, vx: 0.006 * width },
    { id: 3, y: 0.82 * height, x: 0.7 * width, vy: -0.006 * height, vx: -0.012 * width },
  ].map((start) => ({ ...start, brightness: 1500 + 1200 * random() }));
  const frames = Array.from({ length: planes }, (_, frame) =>
    starts.flatMap(({ id, y, x, vy, vx, brightness }): Spot[] => {
      const here = { y: y + vy * frame, x: x + vx * frame, ry: radius, rx: radius, brightness };
      if (id !== 1 || frame < divisionFrame) return [{ ...here, id }];
      const apart = radius * (0.85 + 0.2 * (frame - divisionFrame));
      const small = { ...here, ry: radius * 0.72, rx: radius * 0.72, brightness: brightness * 1.2 };
      return [
        { ...small, id: 4, y: here.y - apart },
        { ...small, id: 5, y: here.y + apart },
      ];
    }),
  );
  const parents = new Map([
    [4, 1],
    [5, 1],
  ]);
  return { ...render(frames, size, random), parents, divisionFrame };
}

function render(planes: readonly (readonly Spot[])[], [height, width]: Size, random: () => number): StackPhantom {
  const shape = [planes.length, height, width];
  const image = new Uint16Array(planes.length * height * width);
  const labels = new Uint32Array(image.length);
  planes.forEach((spots, plane) => {
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const at = (plane * height + y) * width + x;
        let light = 0;
        for (const { id, brightness, ...spot } of spots) {
          const distance = Math.hypot((y + 0.5 - spot.y) / spot.ry, (x + 0.5 - spot.x) / spot.rx);
          if (distance < 1) labels[at] = id;
          light += brightness / (1 + Math.exp(((distance - 1) * Math.min(spot.ry, spot.rx)) / 0.9));
        }
        const counts = BACKGROUND + light + (NOISE + 0.1 * Math.sqrt(light)) * gaussian(random);
        image[at] = Math.max(0, Math.min(65535, Math.round(counts)));
      }
  });
  return { image: { data: image, shape }, labels: { data: labels, shape } };
}
