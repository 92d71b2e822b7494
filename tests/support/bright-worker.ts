import { createHash } from 'node:crypto';
import { SamError } from '../../src/errors.js';
import type { Embedding } from '../../src/model/sam-tensors.js';
import { resizedSize } from '../../src/model/transforms.js';
import { tensor } from '../../src/ndimage/array.js';
import { labelComponents } from '../../src/ndimage/label.js';
import { PROTOCOL, type SamWorker } from '../../src/worker/sam-worker.js';
import { oracleMaps } from './oracle-maps.js';

/**
 * A worker for tests of what stands around the model, in milliseconds: an object is what is brighter than half of the range,
 * whatever the prompt is. The first 256 x 256 of its features say where that is, on the grid of the decoder.
 *
 * @param delayMs that encoding takes
 */
export function brightWorker(delayMs = 0): SamWorker & { readonly encoded: number } {
  let encoded = 0;
  return {
    get encoded() {
      return encoded;
    },
    info: async () => ({ name: 'bright', protocol: PROTOCOL, runtime: 'none', provider: 'none', loaded: [] }),
    async load() {},
    async encode(_model, { data, shape: [height, width] }, { signal } = {}) {
      signal?.throwIfAborted();
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      signal?.throwIfAborted();
      encoded++;
      const inputSize = resizedSize([height, width]);
      const [h, w] = inputSize.map((side) => side / 4);
      const features = new Float32Array(256 * 64 * 64);
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const at = Math.floor((y * height) / h) * width + Math.floor((x * width) / w);
          features[y * 256 + x] = data[3 * at] > 127 ? 1 : 0;
        }
      const id = createHash('sha1').update(data).update(`${height} ${width}`).digest('hex');
      return { features: tensor(features, [1, 256, 64, 64]), inputSize, originalSize: [height, width], id };
    },
    async decode(_model, { features }, { batch }) {
      const mask = features.data.subarray(0, 65536).map((bright) => (bright ? 8 : -8));
      const logits = new Float32Array(batch * 4 * 65536);
      for (let m = 0; m < batch * 4; m++) logits.set(mask, m * 65536);
      const iou = Float32Array.from({ length: batch * 4 }, (_, m) => 0.9 - 0.1 * (m % 4));
      return { logits, iou, tokens: [0, 1, 2, 3], rows: Int32Array.from({ length: batch }, (_, row) => row) };
    },
    decodeCandidates: async () => {
      throw new SamError('unsupported', 'This worker decodes no candidates.');
    },
    async instanceMaps(_model, embedding) {
      const { inputSize } = embedding;
      return { maps: oracleMaps(labelComponents(brightOf(embedding)).labels), cell: 4, inputSize };
    },
    async close() {},
  };
}

function brightOf({ features, inputSize }: Embedding) {
  const [h, w] = inputSize.map((side) => side / 4);
  const data = Uint32Array.from({ length: h * w }, (_, p) => features.data[Math.floor(p / w) * 256 + (p % w)]);
  return { data, shape: [h, w] };
}
