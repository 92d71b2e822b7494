import type { LabelImage, Size, Tensor } from '../../ndimage/array.js';

/**
 * A made-up fluorescence image of nuclei with known labels: the sample that opens when no file is given, and ground
 * truth for tests. Seeded, so the same call gives the same pixels everywhere. Blur is part of each nucleus' edge
 * profile rather than a filter pass, which keeps the labels exact: a pixel belongs to the nucleus whose outline holds
 * its centre.
 */
export interface CellPhantom {
  /** [H, W] camera counts, about 200 (dark) to 4000 (bright). */
  readonly image: Tensor<Uint16Array>;
  /** [H, W], ids 1..n. */
  readonly labels: LabelImage;
  /** [y, x] inside each nucleus, in order of id. */
  readonly centers: readonly (readonly [y: number, x: number])[];
}

export interface PhantomOptions {
  readonly seed?: number;
  readonly size?: Size;
  /** How many nuclei to try to place; crowding may leave out a few. */
  readonly cells?: number;
}

interface Nucleus {
  readonly y: number;
  readonly x: number;
  readonly radius: number;
  readonly brightness: number;
  /** Distance from the centre to the outline in direction `angle`. */
  readonly outline: (angle: number) => number;
  readonly reach: number;
}

const BACKGROUND = 240;
const READ_NOISE = 9;
const PHOTONS_PER_COUNT = 0.12;

export function cellPhantom({ seed = 7, size = [512, 512], cells = 42 }: PhantomOptions = {}): CellPhantom {
  const [height, width] = size;
  const random = generator(seed);
  const nuclei = placeNuclei(random, size, cells);
  const chromatin = smoothNoise(random, size, 7);
  const coarse = smoothNoise(random, size, 22);
  const haze = smoothNoise(random, size, 90);
  const light = new Float32Array(height * width);
  const depth = new Float32Array(height * width).fill(Number.NEGATIVE_INFINITY);
  const labels = new Uint32Array(height * width);

  nuclei.forEach((nucleus, index) => {
    const margin = Math.ceil(nucleus.reach + 24);
    for (let y = Math.max(0, Math.floor(nucleus.y) - margin); y < Math.min(height, nucleus.y + margin); y++) {
      for (let x = Math.max(0, Math.floor(nucleus.x) - margin); x < Math.min(width, nucleus.x + margin); x++) {
        const dy = y + 0.5 - nucleus.y;
        const dx = x + 0.5 - nucleus.x;
        const distance = Math.sqrt(dy * dy + dx * dx);
        const inside = nucleus.outline(Math.atan2(dy, dx)) - distance;
        const at = y * width + x;
        if (inside > 0 && inside > depth[at]!) {
          labels[at] = index + 1;
          depth[at] = inside;
        }
        const edge = 1 / (1 + Math.exp(-inside / 0.9));
        const texture = 0.72 + 0.5 * (chromatin[at]! - 0.5) + 0.6 * (coarse[at]! - 0.5);
        const dome = 0.75 + 0.25 * Math.sqrt(Math.max(0, Math.min(1, inside / nucleus.radius)));
        const blur = inside < 0 ? 0.05 * Math.exp(inside / 7) : 0.05;
        light[at]! += nucleus.brightness * (edge * texture * dome + blur);
      }
    }
  });

  const image = new Uint16Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const [v, u] = [(y - height / 2) / height, (x - width / 2) / width];
      const vignette = 1 - 0.55 * (v * v + u * u);
      const expected = vignette * (light[at]! + 110 * haze[at]!);
      const shot = gaussian(random) * Math.sqrt(Math.max(expected, 1) / PHOTONS_PER_COUNT);
      const counts = BACKGROUND + expected + shot + READ_NOISE * gaussian(random);
      image[at] = Math.max(0, Math.min(65535, Math.round(counts)));
    }
  }
  const shape = [height, width];
  return { image: { data: image, shape }, labels: { data: labels, shape }, centers: nuclei.map((n) => [n.y, n.x]) };
}

/** Nuclei that hardly overlap: some touch, as in a real culture, none lies on another. */
function placeNuclei(random: () => number, [height, width]: Size, cells: number): Nucleus[] {
  const nuclei: Nucleus[] = [];
  const scale = Math.min(1, Math.min(height, width) / 256);
  for (let attempt = 0; attempt < cells * 60 && nuclei.length < cells; attempt++) {
    const radius = scale * (random() < 0.18 ? 10 + 5 * random() : 17 + 11 * random());
    const y = radius * 0.8 + random() * (height - 1.6 * radius);
    const x = radius * 0.8 + random() * (width - 1.6 * radius);
    if (nuclei.some((other) => Math.hypot(y - other.y, x - other.x) < 1.02 * (radius + other.radius) + 1)) continue;
    const stretch = 1 + 0.28 * random();
    const turn = Math.PI * random();
    const waves = [2, 3, 4].map((n) => ({ n, size: (0.045 * random()) / (n - 1), phase: 2 * Math.PI * random() }));
    const outline = (angle: number) => {
      const c = Math.cos(angle - turn);
      const s = Math.sin(angle - turn);
      const ellipse = radius / Math.sqrt((c / stretch) ** 2 + (s * stretch) ** 2);
      return ellipse * (1 + waves.reduce((sum, wave) => sum + wave.size * Math.cos(wave.n * angle + wave.phase), 0));
    };
    const brightness = 500 + 2300 * random() ** 1.6 + (radius < 15 * scale ? 500 : 0);
    nuclei.push({ y, x, radius, brightness, outline, reach: radius * stretch * 1.1 });
  }
  return nuclei;
}

/** Bilinear value noise in 0..1 with `period` pixels between its random knots. */
function smoothNoise(random: () => number, [height, width]: Size, period: number): Float32Array {
  const rows = Math.ceil(height / period) + 2;
  const columns = Math.ceil(width / period) + 2;
  const knots = Float32Array.from({ length: rows * columns }, random);
  const noise = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const r = Math.floor(y / period);
    const v = smoothstep(y / period - r);
    for (let x = 0; x < width; x++) {
      const c = Math.floor(x / period);
      const u = smoothstep(x / period - c);
      const k = r * columns + c;
      const top = knots[k]! * (1 - u) + knots[k + 1]! * u;
      const bottom = knots[k + columns]! * (1 - u) + knots[k + columns + 1]! * u;
      noise[y * width + x] = top * (1 - v) + bottom * v;
    }
  }
  return noise;
}

function smoothstep(t: number): number {
  return t * t * (3 - 2 * t);
}

/** A standard normal number, by Box and Muller. */
export function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Uniform numbers in [0, 1) from a 32-bit seed (xorshift after a multiplicative hash of the seed). */
export function generator(seed: number): () => number {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}
