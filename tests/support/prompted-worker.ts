import { createHash } from 'node:crypto';
import { SamError } from '../../src/errors.js';
import type { SamPrompts } from '../../src/model/sam-tensors.js';
import { resizedSize } from '../../src/model/transforms.js';
import { tensor } from '../../src/ndimage/array.js';
import { PROTOCOL, type SamWorker } from '../../src/worker/sam-worker.js';

/**
 * A worker for tests of what is made of masks, in milliseconds: of a mask that is given, with a disc for each positive
 * point and an ellipse in the box, less a disc for each negative point. Its masks are of different size, and so are those
 * of different images; of a black image all are empty.
 *
 * @param pause awaited before each answer
 */
export function promptedWorker(pause: () => Promise<void> = async () => {}): SamWorker {
  return {
    info: async () => ({ name: 'prompted', protocol: PROTOCOL, runtime: 'none', provider: 'none', loaded: [] }),
    async load() {},
    async encode(_model, { data, shape: [height, width] }, { signal } = {}) {
      await pause();
      signal?.throwIfAborted();
      const sum = data.reduce((a, b) => a + b, 0);
      const features = new Float32Array(256 * 64 * 64);
      features[0] = sum === 0 ? 0 : 0.8 + 0.4 * ((sum % 97) / 97);
      const id = createHash('sha1').update(data).update(`${height} ${width}`).digest('hex');
      return {
        features: tensor(features, [1, 256, 64, 64]),
        inputSize: resizedSize([height, width]),
        originalSize: [height, width],
        id,
      };
    },
    async decode(_model, { features }, prompts, { signal } = {}) {
      await pause();
      signal?.throwIfAborted();
      const { batch } = prompts;
      const logits = new Float32Array(batch * 4 * GRID * GRID);
      for (let b = 0; b < batch; b++) {
        const given = prompts.maskInput?.subarray(b * GRID * GRID, (b + 1) * GRID * GRID).map((v) => (v > 0 ? 8 : -8));
        for (const [token, scale] of SCALES.entries()) {
          const out = logits.subarray((b * 4 + token) * GRID * GRID, (b * 4 + token + 1) * GRID * GRID);
          if (given && features.data[0] > 0) out.set(given);
          else out.fill(-8);
          draw(out, prompts, b, scale * features.data[0]);
        }
      }
      const iou = Float32Array.from({ length: batch * 4 }, (_, m) => [0.9, 0.7, 0.95, 0.6][m % 4]);
      return { logits, iou, tokens: [0, 1, 2, 3], rows: Int32Array.from({ length: batch }, (_, row) => row) };
    },
    decodeCandidates: async () => {
      throw new SamError('unsupported', 'This worker decodes no candidates.');
    },
    instanceMaps: async () => {
      throw new SamError('unsupported', 'This worker has no instance decoder.');
    },
    async close() {},
  };
}

const GRID = 256;
/** Size of the masks of each of SAM's tokens. */
const SCALES = [1, 0.6, 1.1, 1.8];
/** Of a point's disc, in the grid. */
const RADIUS = 18;

function draw(out: Float32Array, { coords, labels, points }: SamPrompts, b: number, scale: number): void {
  if (scale === 0) return;
  const ellipse = (y: number, x: number, ry: number, rx: number, value: number) => {
    for (let r = Math.max(0, Math.ceil(y - ry)); r <= Math.min(GRID - 1, y + ry); r++) {
      const half = rx * Math.sqrt(1 - ((r - y) / ry) ** 2);
      const [from, to] = [Math.max(0, Math.ceil(x - half)), Math.min(GRID - 1, Math.floor(x + half))];
      if (from <= to) out.fill(value, r * GRID + from, r * GRID + to + 1);
    }
  };
  const at = (k: number) => [coords[2 * (b * points + k) + 1] / 4, coords[2 * (b * points + k)] / 4];
  for (const label of [2, 1, 0])
    for (let k = 0; k < points; k++) {
      if (labels[b * points + k] !== label) continue;
      const [y, x] = at(k);
      if (label === 2) {
        const [bottom, right] = at(k + 1);
        const [ry, rx] = [Math.max(1, (bottom - y) / 2), Math.max(1, (right - x) / 2)];
        ellipse((y + bottom) / 2, (x + right) / 2, ry, rx, 8);
      } else ellipse(y, x, RADIUS * scale * (label ? 1 : 0.6), RADIUS * scale * (label ? 1 : 0.6), label ? 8 : -8);
    }
}
