import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { scoreSegmentation } from '../../src/evaluation/segmentation-accuracy.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { resolveModel } from '../../src/model/registry.js';
import type { LabelImage, Tensor } from '../../src/ndimage/array.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { type AutomaticMode, automaticSegmentation, automaticVolume } from '../../src/segmentation/automatic.js';
import { generateInstances } from '../../src/segmentation/instances/generate.js';
import { initializeInstances } from '../../src/segmentation/instances/initialize.js';
import type { InstanceState } from '../../src/segmentation/instances/state.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { dataItems, dataPath, hasData } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { mosaic } from '../support/mosaic.js';
import { middle, readFrames, readStack } from '../support/real-stacks.js';
import { realWorker } from '../support/real-worker.js';
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
    tiles,
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

/** Of a 512 x 512 image that is not yet embedded; processor time, so that other work on the machine counts for nothing. */
async function time(worker: SamWorker): Promise<Figure[]> {
  const { pixels } = await readGroundTruth('stardist-img2d');
  const square = mosaic(pixels, 512);
  const run = async (mode: AutomaticMode) => {
    const context = await contextOf(worker, square);
    const before = process.cpuUsage();
    const start = performance.now();
    const { state } = await automaticSegmentation(context, { mode });
    const { user, system } = process.cpuUsage(before);
    context.embeddings.close();
    return { state, processor: (user + system) / 1000, clock: performance.now() - start };
  };
  await run('ais');
  const ais = await run('ais');
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
        const found = await automaticSegmentation(context, { mode });
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
      const found = await automaticVolume({ worker, model: model.name, embeddings }, truth.shape[0], { mode, merge });
      const { msa, sa50 } = scoreSegmentation(truth, found.labels);
      const ari = adjustedRand(truth.data, found.labels.data);
      console.error(`${id} ${mode}: mSA ${msa.toFixed(3)}, SA50 ${sa50.toFixed(3)}, ARI ${ari.toFixed(3)}`);
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
