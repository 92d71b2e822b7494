import { encoderWithDelta } from '../../src/model/encoder-delta.js';
import { toImage } from '../../src/model/intensity.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import type { Embedding } from '../../src/model/sam-tensors.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { masksFromLabels } from '../../src/ndimage/rle.js';
import { segmentFromBox, segmentFromPoints } from '../../src/segmentation/from-prompts.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { dataItems, hasData } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { realWorker, sharedRuntime } from '../support/real-worker.js';
import { atLeast, type Figure, reported } from './figure.js';

/**
 * What the encoder in 8-bit integers saves and costs beside the float32 one, and beside the encoder as it is published in bare
 * ONNX Runtime, which is not given the time for resizing: processor time of the same images in turn, masks of both compared
 * with each other and with the labels. INT8_IMAGES=dsb-0,usiigaci for images of such names;
 * otherwise one of each kind.
 */
const MODEL = resolveModel();
const OBJECTS = 12;
/** Of each image, after one that is not counted. */
const ROUNDS = 3;

export default async function run(): Promise<Figure[]> {
  if (!hasData) return [];
  const [float, int8] = [await realWorker('float32'), await realWorker('int8')];
  await float.load(MODEL);
  await int8.load({ ...MODEL, encoderPrecision: 'int8' });
  const published = await publishedEncoder();
  const figures: Figure[] = [];
  const seconds: [number, number, number][] = [];
  const agreement: number[] = [];
  const change: number[] = [];
  for (const id of imageIds()) {
    const { pixels, labels } = await readGroundTruth(id);
    const image = toImage(pixels);
    const encode = (worker: SamWorker) => timed(() => worker.encode(MODEL.name, image));
    let [a, b] = [await encode(float), await encode(int8)];
    await published.run();
    for (let round = 0; round < ROUNDS; round++) {
      [a, b] = [await encode(float), await encode(int8)];
      seconds.push([a.seconds, b.seconds, (await timed(published.run)).seconds]);
    }
    const objects = [...masksFromLabels(labels).values()].filter(({ area }) => area >= 20);
    const step = Math.max(1, Math.floor(objects.length / OBJECTS));
    const ious: number[][] = [];
    for (let i = 0; i < objects.length && ious.length < 2 * OBJECTS; i += step) {
      const truth = objects[i];
      const [top, left, bottom, right] = truth.box;
      const at = [(top + bottom) / 2, (left + right) / 2] as const;
      for (const kind of ['box', 'point'] as const) {
        const [first, second] = await Promise.all(
          (
            [
              [float, a.result],
              [int8, b.result],
            ] as const
          ).map(([worker, embedding]) => {
            const context = contextOf(worker, embedding);
            return kind === 'box'
              ? segmentFromBox(context, truth.box)
              : segmentFromPoints(context, [{ at, positive: true }]);
          }),
        );
        ious.push([maskIou(first.mask, second.mask), maskIou(first.mask, truth), maskIou(second.mask, truth)]);
      }
    }
    const [same, before, after] = [0, 1, 2].map((k) => mean(ious.map((row) => row[k])));
    agreement.push(same);
    change.push(after - before);
    console.error(
      `${id.padEnd(28)} masks alike ${same.toFixed(4)}  IoU ${before.toFixed(4)} -> ${after.toFixed(4)}  ${a.seconds.toFixed(2)} -> ${b.seconds.toFixed(2)} s`,
    );
  }
  await float.close();
  await int8.close();
  await published.release();
  const fastest = (k: 0 | 1 | 2) => Math.min(...seconds.map((pair) => pair[k]));
  figures.push(
    atLeast('encoder_int8_speedup', fastest(0) / fastest(1), 'ratio', 1.5),
    atLeast('encoder_int8_agreement', mean(agreement), 'mean IoU', 0.99),
    reported('encoder_int8_over_published', fastest(2) / fastest(1), 'ratio'),
    reported('encoder_int8_speedup_median', median(seconds.map(([a, b]) => a / b)), 'ratio'),
    reported('encoder_int8_iou_change', mean(change), 'mean IoU'),
  );
  return figures;
}

function imageIds(): string[] {
  const labelled = dataItems().filter(({ labels, axes }) => labels && (axes === 'YX' || axes === 'YXC'));
  const wanted = process.env.INT8_IMAGES?.split(',');
  if (wanted) return labelled.map(({ id }) => id).filter((id) => wanted.some((part) => id.startsWith(part)));
  const kinds = new Map(labelled.map(({ id }) => [id.split('-')[0], id]));
  return [...kinds.values()];
}

async function publishedEncoder() {
  const runtime = await sharedRuntime();
  const { encoder, encoderDelta } = MODEL;
  const file = await fetchBytesInNode(encoder.url);
  const whole = encoderDelta ? encoderWithDelta(file, await fetchBytesInNode(encoderDelta.url)) : file;
  const session = await runtime.createSession(whole);
  const side = MODEL.encoderInput.side;
  const square = Float32Array.from({ length: 3 * side * side }, (_, i) => ((i * 7919) % 1009) / 504.5 - 1);
  const feeds = { [session.inputNames[0]]: runtime.tensor('float32', square, [1, 3, side, side]) };
  return { run: () => session.run(feeds), release: () => session.release() };
}

async function timed<T>(job: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const before = process.cpuUsage();
  const result = await job();
  const { user, system } = process.cpuUsage(before);
  return { result, seconds: (user + system) / 1e6 };
}

function contextOf(worker: SamWorker, embedding: Embedding) {
  return {
    worker,
    model: MODEL.name,
    plane: 0,
    embeddings: { size: embedding.originalSize, tiling: undefined, embedding: async () => embedding },
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
