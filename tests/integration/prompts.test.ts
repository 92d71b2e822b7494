import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cellPhantom, gaussian, generator } from '../../src/io/phantom/phantom.js';
import { type LabelImage, type Size, type Tensor, tensor, type YX, type YXYX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { maskFromBitmap, masksFromLabels, maskToBitmap } from '../../src/ndimage/rle.js';
import {
  type FromMaskOptions,
  type MaskCandidate,
  type SegmentedPrompt,
  segmentFromBox,
  segmentFromBoxAndPoints,
  segmentFromMask,
  segmentFromPoints,
} from '../../src/segmentation/from-prompts.js';
import type { PromptPoint } from '../../src/segmentation/image-prompt.js';
import { projectThroughVolume } from '../../src/segmentation/volume/project.js';
import { PROJECTIONS, type Projection, type SliceSegmenter } from '../../src/segmentation/volume/projection.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { hasData } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { packagesFolder, torchPython } from '../support/python.js';
import { realWorker } from '../support/real-worker.js';
import { type CountingContext, stackContext } from '../support/stack-source.js';
import { writeDecoderState } from '../support/torch-decoder.js';

/** Of masks that agree, and how well: what is left are pixels that single and double precision round differently. */
const SAME = 0.99;
const SHARE = 0.98;

/** micro-sam and segment-anything themselves, and what their prompts are computed with; PyTorch is the machine's. */
const SOURCES = ['micro-sam==1.8.14', 'segment-anything==1.0'];
const NUMERICS = [
  'numpy==1.26.4',
  'scipy==1.11.4',
  'scikit-image==0.22.0',
  'bioimage-cpp==0.10.0',
  'lazy-loader==0.4',
  'packaging==24.2',
  'pillow==11.3.0',
  'networkx==3.2.1',
  'imageio==2.37.0',
  'tifffile==2024.8.30',
];

/** A plane or a stack with the masks that prompts are made from. */
interface Image {
  readonly name: string;
  readonly size: Size;
  readonly context: CountingContext;
  readonly planes: number;
  /** Of the first plane. */
  readonly objects: readonly Mask[];
}

/** One call here and there. */
interface Job {
  readonly kind: string;
  readonly image: Image;
  readonly there: object;
  readonly here: () => Promise<Mask[]>;
}

/** The projections that micro-sam has, by its names, and combinations that it takes as a dictionary. */
const PROJECTION_OF: Record<string, Projection> = {
  box: PROJECTIONS.box,
  mask: PROJECTIONS.mask,
  points: PROJECTIONS.points,
  points_and_mask: PROJECTIONS.points_and_mask,
  single_point: PROJECTIONS.single_point,
  mask_alone: { useBox: false, useMask: true, usePoints: false, singlePoint: false },
  box_and_points: { useBox: true, useMask: false, usePoints: true, singlePoint: false },
  everything: { useBox: true, useMask: true, usePoints: true, singlePoint: false },
};

const EXACT = { exactLogits: true } as const;

/** `MICRO_SAM_PARITY=all`: more objects and images, real ones among them, in about eight minutes of processor time. */
const ALL = process.env.MICRO_SAM_PARITY === 'all';

/** Same weights (MobileSAM's decoder), same embeddings; everything else is compared. Needs a python3 with PyTorch. */
describe('prompts give what micro-sam makes of them', function () {
  this.timeout(7_200_000);
  const python = torchPython();
  let worker: SamWorker;
  let folder: string;
  let jobs: Job[];
  /** Per job: masks here, masks there. */
  let results: { here: Mask[]; there: Mask[] }[];

  before(async function () {
    if (python === undefined) return this.skip();
    let packages: string;
    try {
      packages = packagesFolder([...SOURCES, ...NUMERICS], python);
    } catch (error) {
      console.log(`      skipped: the packages could not be fetched (${(error as Error).message})`);
      return this.skip();
    }
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-parity-'));
    worker = await realWorker();
    const images = await testImages(worker);
    jobs = images.flatMap((image) => [
      ...(ALL || image.planes === 1 ? [...promptJobs(image), ...projectionJobs(image)] : []),
      ...volumeJobs(image),
    ]);
    await writeDecoderState(folder);
    await writeImages(folder, images);
    const there = jobs.map(({ kind, image, there }) => ({ ...there, kind, image: images.indexOf(image) }));
    writeFileSync(path.join(folder, 'jobs.json'), JSON.stringify(there));
    const script = path.join('tests', 'integration', 'micro_sam_prompts.py');
    const { status, stderr } = spawnSync(python, [script, packages, folder], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const written: number[][][] = JSON.parse(readFileSync(path.join(folder, 'masks.json'), 'utf8'));
    results = [];
    for (const [k, { here, image }] of jobs.entries())
      results.push({ here: await here(), there: written[k].map((runs) => maskOf(runs, image.size)) });
  });
  after(async () => {
    await worker?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const kinds = [
    'points',
    'box',
    'box_and_points',
    'previous',
    ...Object.keys(PROJECTION_OF).map((name) => `mask: ${name}`),
    'mask: points and box given',
    ...Object.keys(PROJECTION_OF).map((name) => `volume: ${name}`),
  ];
  for (const kind of kinds)
    it(kind, () => {
      const ious = results.flatMap(({ here, there }, k) => {
        if (titleOf(jobs[k]) !== kind) return [];
        assert.equal(here.length, there.length);
        return here.map((mask, i) => (mask.area + there[i].area === 0 ? 1 : maskIou(mask, there[i])));
      });
      const same = ious.filter((iou) => iou >= SAME).length;
      console.log(`      ${same} of ${ious.length} masks; least IoU ${Math.min(...ious).toFixed(4)}`);
      assert.ok(ious.length >= 1);
      assert.ok(same >= SHARE * ious.length, `${same} of ${ious.length} masks`);
    });
});

/** The same in micro-sam's words; `projection` for volumes is one of its names or a dictionary. */
function namesThere({ useBox, useMask, usePoints, singlePoint }: Projection) {
  return { use_box: useBox, use_mask: useMask, use_points: usePoints, use_single_point: singlePoint };
}

/** For volumes a name, or a dictionary without the single point. */
function volumeNameThere(title: string, projection: Projection): string | object {
  const { use_single_point: _, ...rest } = namesThere(projection);
  return title in PROJECTIONS ? title : rest;
}

function titleOf({ kind, there }: Job): string {
  return 'title' in there ? `${kind}: ${there.title}` : kind;
}

function promptJobs(image: Image): Job[] {
  const random = generator(5);
  const context = { ...image.context, plane: 0 };
  const here = async (segmented: Promise<SegmentedPrompt>) => [(await segmented).mask];
  return image.objects.flatMap((object, k): Job[] => {
    const inside = pointsIn(object, 3, random);
    const outside = pointsAround(object, image.size, 2, random);
    const [y0, x0, y1, x1] = object.box;
    const box: YXYX = [y0 + k * 0.25, x0 - 1, y1 + 0.5, x1 + 1.5].map((v, i) =>
      Math.min(Math.max(0, v), image.size[i % 2]),
    ) as unknown as YXYX;
    const some = [inside.slice(0, 1), inside, [...inside.slice(0, 1), ...outside], [...inside, ...outside]];
    return [
      ...some.map((points) => ({
        kind: 'points',
        image,
        there: pointsThere(points),
        here: async () => [(await surest(segmentFromPoints(context, points, EXACT))).mask],
      })),
      {
        kind: 'points',
        image,
        there: { ...pointsThere(inside.slice(0, 1)), options: { use_best_multimask: false } },
        here: () => here(segmentFromPoints(context, inside.slice(0, 1), { ...EXACT, multimask: false })),
      },
      ...[0, 3, 0.25].map((boxExtension) => ({
        kind: 'box',
        image,
        there: { box, options: { box_extension: boxExtension } },
        here: () => here(segmentFromBox(context, box, { ...EXACT, boxExtension })),
      })),
      ...[inside, [...inside.slice(0, 1), ...outside]].map((points) => ({
        kind: 'box_and_points',
        image,
        there: { box, ...pointsThere(points) },
        here: () => here(segmentFromBoxAndPoints(context, box, points, EXACT)),
      })),
      {
        kind: 'previous',
        image,
        there: pointsThere([...inside.slice(0, 1), ...outside]),
        here: async () => {
          const { lowRes: previous } = await surest(segmentFromPoints(context, inside.slice(0, 1), EXACT));
          const points = [...inside.slice(0, 1), ...outside];
          return here(segmentFromPoints(context, points, { ...EXACT, previous, multimask: false }));
        },
      },
    ];
  });
}

/** What micro-sam takes: the mask of the best score, be it the whole image, which is not offered first here. */
async function surest(segmented: Promise<SegmentedPrompt>): Promise<MaskCandidate> {
  return (await segmented).candidates.reduce((a, b) => (b.predictedIou > a.predictedIou ? b : a));
}

function projectionJobs(image: Image): Job[] {
  const context = { ...image.context, plane: 0 };
  const random = generator(6);
  const job = (title: string, mask: Mask, there: object, options: FromMaskOptions): Job => ({
    kind: 'mask',
    image,
    there: { title, mask: runsOf(mask, image.size), ...there },
    here: async () => [(await segmentFromMask(context, mask, { ...EXACT, ...options })).mask],
  });
  return image.objects.flatMap((mask) => {
    const points = [...pointsIn(mask, 2, random), ...pointsAround(mask, image.size, 1, random)];
    const { box } = mask;
    return [
      ...Object.entries(PROJECTION_OF).flatMap(([title, projection]) =>
        [0, 0.1].map((boxExtension) => {
          const options = { ...namesThere(projection), box_extension: boxExtension };
          return job(title, mask, { options }, { ...projection, boxExtension });
        }),
      ),
      job('points and box given', mask, { ...pointsThere(points), box }, { points, box }),
    ];
  });
}

/**
 * From one plane, and from two, by micro-sam's rules: overlap alone, gaps to the middle. (Of a gap's single middle plane
 * micro-sam forgets that one point was asked for; such gaps are left out.)
 */
function volumeJobs(image: Image): Job[] {
  const { planes, size, context } = image;
  if (planes === 1) return [];
  const last = planes - 1;
  const segment: SliceSegmenter = async (plane, from, projection, task) => {
    const { mask, predictedIou } = await segmentFromMask({ ...context, plane }, from, {
      ...projection,
      ...EXACT,
      ...task,
    });
    return { mask, predictedIou };
  };
  return image.objects.slice(0, 1).flatMap((mask) =>
    Object.entries(PROJECTION_OF).flatMap(([title, projection]) =>
      markedPlanes(projection, last).map((marked): Job => {
        const masks = new Map(marked.map((plane) => [plane, mask]));
        const options = { projection, iouThreshold: 0.5, boxExtension: 0.05 };
        const runs = runsOf(mask, size);
        return {
          kind: 'volume',
          image,
          there: {
            title,
            slices: Object.fromEntries(marked.map((plane) => [plane, runs])),
            options: { projection: volumeNameThere(title, projection), iou_threshold: 0.5, box_extension: 0.05 },
          },
          here: async () => {
            const annotated = { masks, stopLower: false, stopUpper: false };
            const found = await projectThroughVolume(annotated, planes, segment, options);
            return Array.from(
              { length: planes },
              (_, plane) => found.masks.get(plane) ?? maskOf([size[0] * size[1]], size),
            );
          },
        };
      }),
    ),
  );
}

function markedPlanes({ singlePoint }: Projection, last: number): number[][] {
  if (!ALL) return [[0, last - 1]];
  return singlePoint ? [[0], [2], [0, last - 1]] : [[1], [0, last], [0, last - 1]];
}

/** Phantoms, square and not, a stack whose planes differ by noise and a shift; with the data beside the project, real images. */
async function testImages(worker: SamWorker): Promise<Image[]> {
  const image = (name: string, planes: readonly Tensor[], labels: LabelImage, count: number): Image => {
    const [height, width] = labels.shape;
    const data = new Float32Array(planes.length * height * width);
    for (const [z, plane] of planes.entries()) data.set(plane.data, z * height * width);
    const context = stackContext(worker, tensor(data, [planes.length, height, width]));
    const all = [...masksFromLabels(labels).values()].filter(({ area }) => area >= 40);
    const step = Math.max(1, Math.floor(all.length / count));
    return {
      name,
      size: [height, width],
      context,
      planes: planes.length,
      objects: all.filter((_, k) => k % step === 0).slice(0, ALL ? count : 1),
    };
  };
  const square = cellPhantom({ seed: 3, size: [256, 256], cells: 14 });
  const wide = cellPhantom({ seed: 4, size: [150, 333], cells: 12 });
  const deep = cellPhantom({ seed: 5, size: [200, 180], cells: 8 });
  const planes = [0, 1, 2, 3, 4].map((z) => shifted(deep.image, z));
  const images = [image('wide', [wide.image], wide.labels, 2), image('deep', planes, deep.labels, 2)];
  if (!ALL) return images;
  images.push(image('square', [square.image], square.labels, 3));
  if (!hasData) return images;
  for (const [id, count] of [
    ['dsb-cc8862734430', 2],
    ['usiigaci-set03', 1],
    ['axon-rat3-data9', 1],
  ] as const) {
    const { pixels, labels } = await readGroundTruth(id);
    images.push(image(id, [grey(pixels)], labels, count));
  }
  return images;
}

function shifted({ data, shape: [height, width] }: Tensor, by: number): Tensor {
  const random = generator(by + 1);
  const values = Float32Array.from({ length: height * width }, (_, i) => {
    const x = Math.max(0, (i % width) - by);
    return data[i - (i % width) + x] + 60 * gaussian(random);
  });
  return { data: values, shape: [height, width] };
}

function grey({ data, shape: [height, width, channels = 1] }: Tensor): Tensor {
  return { data: Float32Array.from({ length: height * width }, (_, i) => data[i * channels]), shape: [height, width] };
}

function pointsIn(mask: Mask, count: number, random: () => number): PromptPoint[] {
  return drawn(mask.box, count, random, (at) => maskIou(mask, pixel(at)) > 0).map((at) => ({ at, positive: true }));
}

function pointsAround(mask: Mask, size: Size, count: number, random: () => number): PromptPoint[] {
  const [y0, x0, y1, x1] = mask.box;
  const box: YXYX = [Math.max(0, y0 - 9), Math.max(0, x0 - 9), Math.min(size[0], y1 + 9), Math.min(size[1], x1 + 9)];
  return drawn(box, count, random, (at) => maskIou(mask, pixel(at)) === 0).map((at) => ({ at, positive: false }));
}

function drawn([y0, x0, y1, x1]: YXYX, count: number, random: () => number, suits: (at: YX) => boolean): YX[] {
  const found: YX[] = [];
  while (found.length < count) {
    const at: YX = [y0 + (y1 - y0) * random(), x0 + (x1 - x0) * random()];
    if (suits(at)) found.push(at);
  }
  return found;
}

function pixel([y, x]: YX): Mask {
  const [top, left] = [Math.floor(y), Math.floor(x)];
  return { box: [top, left, top + 1, left + 1], runs: Uint32Array.of(0, 1), area: 1 };
}

function pointsThere(points: readonly PromptPoint[]) {
  return { points: points.map(({ at }) => at), labels: points.map(({ positive }) => Number(positive)) };
}

function runsOf(mask: Mask, size: Size): number[] {
  const runs = [0];
  let value = 0;
  for (const pixel of maskToBitmap(mask, size)) {
    if (pixel !== value) {
      runs.push(0);
      value = pixel;
    }
    runs[runs.length - 1]++;
  }
  return runs;
}

function maskOf(runs: readonly number[], size: Size): Mask {
  const bitmap = new Uint8Array(size[0] * size[1]);
  let at = 0;
  for (const [k, length] of runs.entries()) {
    bitmap.fill(k % 2, at, at + length);
    at += length;
  }
  return maskFromBitmap(bitmap, size);
}

async function writeImages(folder: string, images: readonly Image[]): Promise<void> {
  const described: object[] = [];
  for (const [index, { context, planes }] of images.entries()) {
    const parts: Uint8Array[] = [];
    for (let plane = 0; plane < planes; plane++) {
      const { features, inputSize, originalSize } = await context.embeddings.embedding({ plane });
      const { buffer, byteOffset, byteLength } = features.data;
      parts.push(new Uint8Array(buffer, byteOffset, byteLength));
      if (plane === 0) described.push({ shape: originalSize, inputSize });
    }
    writeFileSync(path.join(folder, `${index}.bin`), Buffer.concat(parts));
  }
  writeFileSync(path.join(folder, 'images.json'), JSON.stringify(described));
}
