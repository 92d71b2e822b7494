import { MapsOnDisk } from '../../src/cli/batch/maps-on-disk.js';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { scoreSegmentation } from '../../src/evaluation/segmentation-accuracy.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { encoderWithDelta } from '../../src/model/encoder-delta.js';
import { InstanceDecoder } from '../../src/model/instance-decoder.js';
import { toImage } from '../../src/model/intensity.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import type { LabelImage, Tensor } from '../../src/ndimage/array.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { emitUnetr } from '../../src/onnx/instances/emit-unetr.js';
import { writeModel } from '../../src/onnx/write.js';
import { automaticSegmentation, automaticVolume } from '../../src/segmentation/automatic.js';
import { recommendedThresholds } from '../../src/segmentation/automatic-choices.js';
import type { AutomaticMode } from '../../src/segmentation/automatic-settings.js';
import { generateInstances } from '../../src/segmentation/instances/generate.js';
import { initializeInstances } from '../../src/segmentation/instances/initialize.js';
import type { InstanceState } from '../../src/segmentation/instances/state.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { dataItems, dataPath, hasData } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { mosaic } from '../support/mosaic.js';
import { middle, readFrames, readStack } from '../support/real-stacks.js';
import { realWorker, sharedRuntime } from '../support/real-worker.js';
import { randomUnetrWeights } from '../support/unetr-weights.js';
import { atLeast, atMost, type Figure, median, reported } from './figure.js';

/**
 * Automatic segmentation by an instance decoder: how good, how much faster than a grid of points, thresholds, tiles, and
 * volumes. With the default model, or with INSTANCES=file, a decoder for the encoder of vit_t. INSTANCE_PARTS=accuracy,time
 * for some parts; INSTANCE_IMAGES=dsb-0,usiigaci for images with such names; INSTANCE_SLICES=n of each volume.
 */
const { INSTANCES } = process.env;
const model = INSTANCES ? { ...resolveModel('vit_t'), instances: { url: INSTANCES } } : resolveModel();

export default async function instancesBench(): Promise<Figure[]> {
  if (!hasData) return [];
  const parts: Readonly<Record<string, (worker: SamWorker) => Promise<Figure[]>>> = {
    time,
    accuracy,
    network,
    tiles,
    large,
    volumes,
  };
  const worker = await realWorker();
  await worker.load(model);
  const figures: Figure[] = [];
  for (const part of process.env.INSTANCE_PARTS?.split(',') ?? Object.keys(parts))
    figures.push(...(await parts[part](worker)));
  await worker.close();
  return figures;
}

async function contextOf(
  worker: SamWorker,
  pixels: Tensor,
  tiling: 'none' | { tileShape: [number, number]; halo: [number, number] } = 'none',
) {
  const axes = pixels.shape.length === 3 ? 'yxc' : 'yx';
  const embeddings = await openEmbeddings({ source: openNdarray({ ...pixels, axes } as never), worker, model, tiling });
  return { worker, model: model.name, plane: 0, embeddings };
}

/** Of a 512 x 512 image that is not yet embedded; processor time, so that other work on the machine counts for little. */
async function time(worker: SamWorker): Promise<Figure[]> {
  const { pixels } = await readGroundTruth('stardist-img2d');
  const square = mosaic(pixels, 512);
  const run = async (mode: AutomaticMode) => {
    const context = await contextOf(worker, square);
    const before = process.cpuUsage();
    const start = performance.now();
    const thresholds = recommendedThresholds(mode, model.defaults);
    const { state } = await automaticSegmentation(context, { mode, thresholds });
    const { user, system } = process.cpuUsage(before);
    context.embeddings.close();
    return { state, processor: (user + system) / 1000, clock: performance.now() - start };
  };
  // The first runs also compile; in the minute of a grid of points that is nothing.
  const runs: Awaited<ReturnType<typeof run>>[] = [];
  for (let i = 0; i < 7; i++) runs.push(await run('ais'));
  const [, , ais] = runs.slice(2).sort((a, b) => a.processor - b.processor); // the median
  const amg = await run('amg');
  const [small, large] = [square, mosaic(pixels, 1024)];
  return [
    atMost('ais_over_amg_time', ais.processor / amg.processor, 'ratio', 1 / 12),
    reported('ais_s', ais.clock / 1000, 's'),
    reported('ais_processor_s', ais.processor / 1000, 's'),
    atMost('ais_threshold_ms', await thresholdTime(worker, small), 'ms', 50),
    atMost('ais_threshold_1024_ms', await thresholdTime(worker, large), 'ms', 150),
  ];
}

/** Milliseconds until other thresholds are answered, the median of twenty. */
async function thresholdTime(worker: SamWorker, pixels: Tensor): Promise<number> {
  const context = await contextOf(worker, pixels);
  const state = await initializeInstances(context, { enlarge: false });
  const times = Array.from({ length: 25 }, (_, i) => {
    const start = performance.now();
    generateInstances(state, { foreground: 0.4 + 0.01 * i, centre: 0.6 - 0.01 * i });
    return performance.now() - start;
  });
  context.embeddings.close();
  return median(times.slice(5)); // the first ones are compiled
}

/** Mean segmentation accuracy on images that the decoder was not trained on. */
async function accuracy(worker: SamWorker): Promise<Figure[]> {
  const asked = process.env.INSTANCE_IMAGES?.split(',') ?? [''];
  const figures: Figure[] = [];
  for (const [set, prefix, limit] of [
    ['dsb2018', 'dsb-', 0.51],
    ['usiigaci', 'usiigaci-set', 0.31],
  ] as const) {
    const scores = new Map<AutomaticMode, number[]>();
    for (const { id } of dataItems().filter(
      (item) => item.id.startsWith(prefix) && asked.some((part) => item.id.includes(part)),
    )) {
      const { pixels, labels } = await readGroundTruth(id);
      const context = await contextOf(worker, pixels);
      const line: string[] = [];
      for (const mode of ['ais', 'apg'] as const) {
        const before = process.cpuUsage();
        const thresholds = recommendedThresholds(mode, model.defaults);
        const found = await automaticSegmentation(context, { mode, thresholds });
        const { user, system } = process.cpuUsage(before);
        const { msa } = scoreSegmentation(labels, found.labels);
        scores.set(mode, [...(scores.get(mode) ?? []), msa]);
        line.push(`${mode} ${msa.toFixed(3)} (${((user + system) / 1e6).toFixed(1)} s)`);
      }
      context.embeddings.close();
      console.error(`${id.padEnd(18)} ${line.join('  ')}`);
    }
    if (scores.size === 0) continue;
    const mean = (mode: AutomaticMode) => scores.get(mode)!.reduce((a, b) => a + b) / scores.get(mode)!.length;
    figures.push(
      atLeast(`ais_msa_${set}`, mean('ais'), 'mean mSA', limit),
      reported(`apg_msa_${set}`, mean('apg'), 'mean mSA'),
    );
  }
  return figures;
}

/** Processor seconds of what the network does for one image, beside the same files in bare ONNX Runtime, in turn. */
async function network(worker: SamWorker): Promise<Figure[]> {
  const runtime = await sharedRuntime();
  const { encoder, encoderDelta, instances } = model;
  const file = await fetchBytesInNode(encoder.url);
  const whole = encoderDelta ? encoderWithDelta(file, await fetchBytesInNode(encoderDelta.url)) : file;
  const early = ['s0', 's1'];
  const bare = await runtime.createSession(encoderWithEarlyFeatures(whole, early).bytes);
  const decoder = await runtime.createSession(await fetchBytesInNode(instances?.url ?? ''));
  const int8 = await realWorker('int8');
  await int8.load({ ...model, encoderPrecision: 'int8' });
  const { pixels } = await readGroundTruth('stardist-img2d');
  const image = toImage(mosaic(pixels, 512));
  const [input] = bare.inputNames;
  const noise = (shape: readonly number[]) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    return runtime.tensor(
      'float32',
      data.map((_, i) => ((i * 7919) % 1009) / 1009 - 0.5),
      shape,
    );
  };
  const embedding = await worker.encode(model.name, image, { early: true });
  const square = noise([1, 3, 1024, 1024]);
  const features = { emb: [1, 256, 64, 64], s1: [1, 128, 128, 128], s0: [1, 64, 256, 256], img: [1, 3, 512, 512] };
  const feeds = Object.fromEntries(Object.entries(features).map(([name, shape]) => [name, noise(shape)]));
  const jobs: Readonly<Record<string, () => Promise<unknown>>> = {
    encoder_bare_s: () => bare.run({ [input as string]: square }),
    encoder_s: () => worker.encode(model.name, image, { early: true }),
    encoder_int8_s: () => int8.encode(model.name, image, { early: true }),
    instance_decoder_bare_s: () => decoder.run(feeds),
    instance_decoder_s: () => worker.instanceMaps(model.name, embedding, image),
  };
  const times = new Map(Object.keys(jobs).map((name) => [name, [] as number[]]));
  for (let round = 0; round < 6; round++)
    for (const [name, job] of Object.entries(jobs)) {
      const before = process.cpuUsage();
      await job();
      const { user, system } = process.cpuUsage(before);
      if (round > 0) times.get(name)?.push((user + system) / 1e6);
    }
  await int8.close();
  await bare.release();
  await decoder.release();
  // Of its size, not of its weights, depends how long micro-sam's decoder takes.
  const unetr = await InstanceDecoder.create(runtime, writeModel(emitUnetr(randomUnetrWeights(false, 32))));
  const start = process.cpuUsage();
  await unetr.run(embedding, image);
  const { user, system } = process.cpuUsage(start);
  await unetr.release();
  times.set('unetr_s', [(user + system) / 1e6]);
  return [...times].map(([name, list]) => reported(name, Math.min(...list), 's'));
}

/**
 * Images of 4096 and 8192 pixels (INSTANCE_SIDES=8192,20000) in tiles of 512, with the maps of one real tile in all of them, so
 * that no network runs: how memory grows besides the labels themselves, with maps on disk as on the command line.
 */
async function large(worker: SamWorker): Promise<Figure[]> {
  const { pixels } = await readGroundTruth('stardist-img2d');
  const small = await contextOf(worker, mosaic(pixels, 512));
  const maps = await small.embeddings.instanceMaps?.({ plane: 0 });
  small.embeddings.close();
  if (!maps) return [];
  const sides = (process.env.INSTANCE_SIDES ?? '4096,8192').split(',').map(Number);
  const grown: number[] = [];
  for (const side of sides) {
    const tiling = makeTiling([side, side], [512, 512], [64, 64]);
    const embeddings = {
      size: [side, side] as const,
      tiling,
      embedding: () => Promise.reject(new Error('Not needed.')),
    };
    const context = {
      worker,
      model: model.name,
      plane: 0,
      embeddings: { ...embeddings, instanceMaps: async () => maps },
    };
    const disk = new MapsOnDisk();
    const [cpu, before] = [process.cpuUsage(), process.memoryUsage().rss];
    let most = 0;
    const look = () => {
      most = Math.max(most, process.memoryUsage().rss - before);
    };
    const state = await initializeInstances(context, { keepMaps: (of) => disk.keep(of), onPartial: look });
    const objects = generateInstances(state);
    look();
    disk.close();
    const { user, system } = process.cpuUsage(cpu);
    grown.push(most / 2 ** 20);
    console.error(
      `${side}: ${objects.length} objects, ${((user + system) / 1e6).toFixed(0)} CPU-s, ${grown.at(-1)?.toFixed(0)} MB`,
    );
  }
  return sides.map((side, i) => reported(`ais_memory_${side}_mb`, grown[i] as number, 'MB'));
}

/** Mosaics of 1024 and 2048 pixels in tiles of 512. Seams: objects cut or doubled where tiles meet. */
async function tiles(worker: SamWorker): Promise<Figure[]> {
  const { pixels } = await readGroundTruth('stardist-img2d');
  const run = async (side: number) => {
    const context = await contextOf(worker, mosaic(pixels, side), { tileShape: [512, 512], halo: [64, 64] });
    const before = process.cpuUsage();
    const state = await initializeInstances(context);
    const objects = generateInstances(state);
    const { user, system } = process.cpuUsage(before);
    context.embeddings.close();
    return { perTile: (user + system) / state.tiles.length, state, objects };
  };
  await run(512);
  const [small, large] = [await run(1024), await run(2048)];
  const linearity = large.perTile / small.perTile;
  return [
    { ...atMost('ais_tiled_linearity', linearity, 'ratio', 1.1), ok: linearity >= 0.85 && linearity <= 1.1 },
    atMost('ais_tiled_seams', seams(small.state), 'objects', 0),
  ];
}

/** Straight edges of 8 pixels and more along borders of tiles, where one object ends and another begins. */
function seams(state: InstanceState): number {
  const [height, width] = state.size;
  const objects = generateInstances(state);
  const { tiles } = makeTiling(state.size, [512, 512], [64, 64]);
  const lines = new Set(
    tiles.flatMap(({ inner, outer }) => [inner[0], inner[1], outer[0], outer[1], outer[2], outer[3]]),
  );
  lines.delete(0);
  lines.delete(height);
  lines.delete(width);
  let cut = 0;
  for (const a of objects)
    for (const b of objects) {
      if (a.id >= b.id || !touchAt(a.mask.box, b.mask.box, lines)) continue;
      if (maskIou(a.mask, b.mask) > 0) cut++;
      else cut += Math.min(a.mask.box[2] - a.mask.box[0], b.mask.box[2] - b.mask.box[0]) >= 8 ? 1 : 0;
    }
  return cut;
}

type Box = readonly [number, number, number, number];

/** One ends at a line where the other begins, over at least half of the smaller side. */
function touchAt(a: Box, b: Box, lines: ReadonlySet<number>): boolean {
  return [0, 1].some((axis) => {
    const meets = (a[axis + 2] === b[axis] && lines.has(b[axis])) || (b[axis + 2] === a[axis] && lines.has(a[axis]));
    const other = 1 - axis;
    const common = Math.min(a[other + 2], b[other + 2]) - Math.max(a[other], b[other]);
    return meets && common > 0.5 * Math.min(a[other + 2] - a[other], b[other + 2] - b[other]);
  });
}

/** Merged over z from grids of points and from maps, and followed from a point each. */
async function volumes(worker: SamWorker): Promise<Figure[]> {
  const slices = Number(process.env.INSTANCE_SLICES ?? 6);
  const asked = process.env.INSTANCE_VOLUMES?.split(',') ?? [''];
  const modes = (process.env.INSTANCE_MODES?.split(',') ?? ['amg', 'ais', 'apg']) as AutomaticMode[];
  const figures: Figure[] = [];
  for (const id of VOLUMES.filter((name) => asked.some((part) => name.includes(part)))) {
    const item = dataItems().find((candidate) => candidate.id === id);
    if (!item?.labels) continue;
    const read = (file: string) => (/\.\w+$/.test(file) ? readStack(dataPath(file)) : readFrames(dataPath(file), /./));
    const pixels = middle(await read(item.file), slices);
    const labels = middle(await read(item.labels), slices);
    const truth: LabelImage = { data: Uint32Array.from(labels.data), shape: labels.shape };
    const source = openNdarray({ ...pixels, axes: 'zyx' } as never);
    const embeddings = await openEmbeddings({ source, worker, model, tiling: 'none' });
    for (const mode of modes) {
      const merge = { gapClosing: 2, minExtent: 2 };
      const context = { worker, model: model.name, following: model.following, embeddings };
      const thresholds = recommendedThresholds(mode, model.defaults);
      const before = process.cpuUsage();
      const found = await automaticVolume(context, truth.shape[0], { mode, merge, thresholds });
      const { user, system } = process.cpuUsage(before);
      const { msa, sa50 } = scoreSegmentation(truth, found.labels);
      const ari = adjustedRand(truth.data, found.labels.data);
      console.error(
        `${id} ${mode}: mSA ${msa.toFixed(3)}, SA50 ${sa50.toFixed(3)}, ARI ${ari.toFixed(3)}, ${((user + system) / 1e6).toFixed(0)} CPU-s`,
      );
      figures.push(reported(`volume_${mode}_msa_${id}`, msa, 'mSA'), reported(`volume_${mode}_ari_${id}`, ari, 'ARI'));
    }
    embeddings.close();
  }
  return figures;
}

const VOLUMES = ['gala-train', 'neuroproof-ts2-z0-60', 'plantseg-sample_ovule', 'plantseg-1135_mini', 'qcanet-8cell'];

/** Adjusted Rand index over the voxels that are labelled in truth (Hubert and Arabie 1985). */
function adjustedRand(truth: Uint32Array, found: Uint32Array): number {
  const pairs = (n: number) => (n * (n - 1)) / 2;
  const [rows, columns, cells] = [new Map<number, number>(), new Map<number, number>(), new Map<string, number>()];
  const add = <K>(map: Map<K, number>, key: K) => map.set(key, (map.get(key) ?? 0) + 1);
  let total = 0;
  for (let p = 0; p < truth.length; p++) {
    if (truth[p] === 0) continue;
    total++;
    add(rows, truth[p]);
    add(columns, found[p]);
    add(cells, `${truth[p]} ${found[p]}`);
  }
  const sum = (map: Map<unknown, number>) => [...map.values()].reduce((a, n) => a + pairs(n), 0);
  const expected = (sum(rows) * sum(columns)) / pairs(total);
  const most = (sum(rows) + sum(columns)) / 2;
  return most === expected ? 1 : (sum(cells) - expected) / (most - expected);
}
