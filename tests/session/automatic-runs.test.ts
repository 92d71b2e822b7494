import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { KeptPlanes } from '../../src/cli/batch/kept-planes.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { rasterizePolygon } from '../../src/ndimage/rasterize.js';
import { panelAutomatic } from '../../src/presenter/panel/panel-automatic.js';
import { automaticVolume } from '../../src/segmentation/automatic.js';
import { automaticWork, secondsOf } from '../../src/segmentation/estimate.js';
import { Annotator2d } from '../../src/session/annotators/annotator-2d.js';
import { Annotator3d } from '../../src/session/annotators/annotator-3d.js';
import { DEFAULT_SETTINGS, emptyState } from '../../src/session/empty-state.js';
import { ImageSeries } from '../../src/session/series/image-series.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { SessionState } from '../../src/session/state.js';
import { Pace, pacedWorker } from '../../src/worker/pace.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { oracleSource } from '../support/oracle-maps.js';
import { volumePhantom } from '../support/phantom-stack.js';

const worker = {} as SamWorker;
const noEmbedding = { embedding: () => Promise.reject(new Error('Not needed.')) };
/** Maps no finer than the small images here are. */
const COARSE = { cell: 8 };

function planesOf({ data, shape: [planes, height, width] }: LabelImage): LabelImage[] {
  const area = height * width;
  return Array.from({ length: planes }, (_, z) => ({
    data: data.slice(z * area, (z + 1) * area),
    shape: [height, width],
  }));
}

describe('automatic segmentation of all planes', () => {
  const PLANES = 6;
  const { labels } = volumePhantom({ planes: PLANES, size: [64, 80] });
  const info = { name: 'volume', axes: 'zyx', size: [64, 80], planes: PLANES, signature: 'v' } as const;

  function open(kind: '2d' | '3d', absentPlanes?: readonly number[]) {
    const source = oracleSource(planesOf(labels), noEmbedding, COARSE);
    const planes: number[] = [];
    const embeddings = {
      ...source,
      objectDiameter: 30,
      instanceMaps(at: { readonly plane: number }) {
        planes.push(at.plane);
        return source.instanceMaps!(at);
      },
    };
    const session = new AnnotationSession({ applyToVolume: true, minExtent: 0, annotator: kind });
    const context = { worker, model: 'oracle', embeddings };
    const annotator = kind === '3d' ? new Annotator3d(context, PLANES) : new Annotator2d(context);
    session.open({ ...info, ...(absentPlanes && { absentPlanes }) }, annotator);
    return { session, planes, objects: () => session.state.layers.auto_segmentation.objects };
  }

  /** Stops the run once objects of that many planes have come. */
  async function stopAfter(session: AnnotationSession, planes: number) {
    const stop = session.subscribe(({ arriving }) => {
      const arrived = new Set(
        [...(arriving?.auto_segmentation?.objects.values() ?? [])].flatMap(({ masks }) => [...masks.keys()]),
      );
      if (arrived.size >= planes) session.cancel('automatic');
    });
    await assert.rejects(session.run('automatic_segmentation'), /cancelled/i);
    stop();
  }

  for (const kind of ['3d', '2d'] as const)
    it(`${kind}: stopped, it keeps what was found; again, it goes on and ends as in one go`, async () => {
      const { session, planes, objects } = open(kind);
      await stopAfter(session, 3);
      const found = objects();
      assert.ok(found.size > 0);
      const done = new Set([...found.values()].flatMap(({ masks }) => [...masks.keys()]));
      assert.ok(done.size >= 3 && done.size < PLANES, `planes ${[...done]}`);
      if (kind === '3d')
        assert.ok(
          [...found.values()].some(({ masks }) => masks.size > 1),
          'merged over the slices',
        );
      assert.match(session.state.message?.text ?? '', /^Stopped after \d of 6 planes, with \d+ objects? so far/);
      session.undo();
      assert.equal(objects().size, 0);
      const before = planes.length;
      const known = new Set(planes).size;
      await session.run('automatic_segmentation');
      // Of the plane that was under way when it was stopped nothing is known.
      assert.ok(new Set(planes.slice(before)).size <= PLANES - known + 1, `again: ${planes.slice(before)}`);
      const whole = open(kind);
      await whole.session.run('automatic_segmentation');
      const masksOf = (all: ReturnType<typeof objects>) =>
        [...all.values()].map(({ masks }) => [...masks].map(([z, { area }]) => `${z}:${area}`).join(' ')).sort();
      assert.deepEqual(masksOf(objects()), masksOf(whole.objects()));
    });

  it('planes that are not in the file are passed over', async () => {
    for (const kind of ['2d', '3d'] as const) {
      const { session, planes, objects } = open(kind, [3, 4, 5]);
      await session.run('automatic_segmentation');
      assert.ok(Math.max(...planes) === 2, `${kind} asked for ${planes}`);
      assert.ok([...objects().values()].every(({ masks }) => [...masks.keys()].every((z) => z < 3)));
      await session.run('set_plane', { plane: 4 });
      await session.run('set_settings', { applyToVolume: false });
      await assert.rejects(session.run('automatic_segmentation'), /Plane 5 is not in the file/);
    }
  });

  it('the panel offers the plane or all of them, and how slices are merged; other settings need no network', async () => {
    const { session, planes, objects } = open('3d');
    const panel = () => panelAutomatic(session.state, session.annotator?.automaticStatus?.(session.state))!;
    assert.equal(panel().run.title, 'Segment volume automatically');
    assert.deepEqual(
      panel().merging?.map(({ setting }) => setting),
      ['gapClosing', 'minExtent', 'minOverlap'],
    );
    await session.run('automatic_segmentation');
    const [before, asked] = [objects().size, planes.length];
    await session.run('set_settings', { minExtent: PLANES });
    assert.equal(panel().run.title, 'Apply to all again');
    await session.run('automatic_segmentation');
    assert.ok(objects().size < before);
    assert.equal(planes.length, asked);
    await session.run('set_settings', { applyToVolume: false });
    assert.equal(panel().run.title, 'Segment slice automatically');
    assert.equal(panel().merging, undefined);
  });

  it('planes kept in a folder are not segmented again, unless the work is another', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'kept-'));
    try {
      const source = oracleSource(planesOf(labels), noEmbedding, COARSE);
      const context = { worker, model: 'oracle', embeddings: { ...source, objectDiameter: 30 } };
      const stop = new AbortController();
      const kept = () => new KeptPlanes(folder, 'cells', ['this'], [64, 80]);
      const first = kept();
      const onPlane = (plane: number) => {
        if (plane === 2) stop.abort();
      };
      await assert.rejects(automaticVolume(context, PLANES, { kept: first, onPlane, signal: stop.signal }));
      assert.equal(first.count, 3);
      source.asked.length = 0;
      const second = kept();
      const { labels: gone } = await automaticVolume(context, PLANES, { kept: second });
      const { labels: whole } = await automaticVolume(context, PLANES);
      assert.deepEqual(gone.data, whole.data);
      assert.equal(await new KeptPlanes(folder, 'cells', ['other'], [64, 80]).get(0), undefined);
      assert.equal(await new KeptPlanes(folder, 'others', ['this'], [64, 80]).get(0), undefined);
      assert.ok(await kept().get(5));
      second.clear();
      assert.equal(await kept().get(5), undefined);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('estimates of automatic segmentation', () => {
  const paced = (encode: number) => {
    const pace = new Pace();
    pace.note('encode', encode);
    return pace;
  };

  it('count what is to be encoded and asked', async () => {
    const tiling = makeTiling([20_000, 20_000], [1000, 1000], [12, 12]);
    const size = [20_000, 20_000] as const;
    const embeddings = { size, tiling, embedding: noEmbedding.embedding, isReady: async () => false };
    const work = await automaticWork(embeddings, { mode: 'amg', planes: [0], pointsPerSide: 32 });
    assert.deepEqual(work, { planes: 1, tiles: 400, encodes: 400, points: 409_600 });
    const region = [0, 0, 1000, 2000] as const;
    const part = await automaticWork(embeddings, { mode: 'amg', planes: [0], pointsPerSide: 32, region });
    assert.ok(part.points <= 3000 && part.tiles <= 6, JSON.stringify(part));
    const ready = { ...embeddings, isReady: async () => true };
    assert.equal((await automaticWork(ready, { mode: 'ais', planes: [0] })).encodes, 0);
    assert.equal(secondsOf({ planes: 1, tiles: 1, encodes: 1, points: 60 }, 'amg', paced(1000)), 2);
    assert.equal(secondsOf({ planes: 1, tiles: 10, encodes: 0, points: 0 }, 'ais', paced(1000)), 3.5);
  });

  it('go by the fastest of the last calls', async () => {
    let clock = 0;
    const slow = {
      async encode() {
        clock += 700;
      },
      async decodeCandidates() {
        clock += 640;
      },
    } as unknown as SamWorker;
    const pace = new Pace();
    const timed = pacedWorker(slow, pace, () => clock);
    await timed.encode('m', { data: new Uint8Array(3), shape: [1, 1, 3] });
    await timed.decodeCandidates('m', {} as never, { batch: 64 } as never, {} as never);
    assert.equal(pace.of('encode'), 700);
    assert.equal(pace.of('prompt'), 10);
    assert.equal(pace.of('maps'), undefined);
    for (const seen of [900, 500, 800, 800, 800, 800, 800]) pace.note('encode', seen);
    assert.equal(pace.of('encode'), 800);
  });

  it('work of more than a minute is proposed, with less beside it; asking again starts it', async () => {
    const PLANES = 12;
    const { labels } = cellPhantom({ size: [64, 80], cells: 3 });
    const source = oracleSource(Array<LabelImage>(PLANES).fill(labels), noEmbedding, COARSE);
    const session = new AnnotationSession({ applyToVolume: true });
    const context = {
      worker,
      model: 'oracle',
      embeddings: { ...source, isReady: async () => false },
      pace: paced(8000),
    };
    const image = { name: 'v', axes: 'zyx', size: [64, 80], planes: PLANES, signature: 'v' } as const;
    session.open(image, new Annotator3d(context, PLANES));
    session.setView([0, 0, 40, 40]);
    const panel = () => panelAutomatic(session.state, session.annotator?.automaticStatus?.(session.state))!.proposal;
    await session.run('automatic_segmentation');
    assert.equal(source.asked.length, 0);
    assert.equal(panel()?.text, '12 planes: about 3 min.');
    assert.deepEqual(panel()?.smaller, [
      { title: 'Only the visible plane', text: 'about 15 s' },
      { title: 'Only what is on screen', text: 'about 15 s' },
    ]);
    assert.equal(session.state.history.undo, undefined, 'a question is no step');
    await session.run('run_proposed', { smaller: 1 });
    assert.equal(panel(), undefined);
    assert.ok(source.asked.length > 0 && session.state.layers.auto_segmentation.objects.size > 0);
    for (const { masks } of session.state.layers.auto_segmentation.objects.values())
      assert.deepEqual([...masks.keys()], [0]);
    await session.run('automatic_segmentation');
    assert.ok(panel());
    await session.run('dismiss_proposal');
    assert.equal(panel(), undefined);
    await assert.rejects(session.run('run_proposed'), /Nothing waits/);
    await session.run('automatic_segmentation');
    await session.run('automatic_segmentation');
    const planes = new Set(
      [...session.state.layers.auto_segmentation.objects.values()].flatMap(({ masks }) => [...masks.keys()]),
    );
    assert.equal(planes.size, PLANES);
  });

  it('of a large image that is on screen as a whole, the less is a box in its middle', async () => {
    const size = [12000, 12000] as const;
    const source = oracleSource(cellPhantom({ size: [64, 80], cells: 3 }).labels, noEmbedding, COARSE);
    const tiling = makeTiling(size, [1000, 1000], [100, 100]);
    const embeddings = { ...source, size, tiling, isReady: async () => false };
    const session = new AnnotationSession();
    const image = { name: 'large', axes: 'yx', size, planes: 1, signature: 'large' } as const;
    session.open(image, new Annotator2d({ worker, model: 'oracle', embeddings, pace: paced(1000) }));
    session.setView([-100, -100, 12100, 12100]);
    await session.run('automatic_segmentation');
    const proposal = panelAutomatic(session.state, session.annotator?.automaticStatus?.(session.state))?.proposal;
    assert.match(proposal?.text ?? '', /^144 tiles/);
    const [piece] = session.state.proposal?.smaller ?? [];
    assert.equal(piece?.title, 'Only a box in the middle');
    assert.deepEqual(piece?.region, [4500, 4500, 7500, 7500]);
    assert.ok(piece.seconds < (session.state.proposal?.run.seconds ?? 0) / 5);
  });
});

describe('automatic segmentation of a series', () => {
  const SIZE = [64, 80] as const;
  const NAMES = ['a.tif', 'b.tif', 'c.tif', 'd.tif'];

  /** @param restored what the work of an image is restored to when it is opened, by its name */
  function sitting(store = memoryStore(), restored: Readonly<Record<string, Partial<SessionState>>> = {}) {
    const session = new AnnotationSession();
    const opened: string[] = [];
    const output = memoryStore();
    const open = async (index: number) => {
      if (NAMES[index] === 'b.tif') throw new Error('The file is cut off.');
      const { labels } = cellPhantom({ size: SIZE, cells: 3 + index, seed: index + 1 });
      const embeddings = { ...oracleSource(labels, noEmbedding, COARSE), objectDiameter: 30 };
      opened.push(NAMES[index]);
      const image = { name: NAMES[index], axes: 'yx', size: SIZE, planes: 1, signature: NAMES[index] } as const;
      session.open(image, new Annotator2d({ worker, model: 'oracle', embeddings }), restored[NAMES[index]]);
    };
    return { session, opened, output, store, series: ImageSeries.open(session, { names: NAMES, store, output, open }) };
  }

  it('commits what it finds in each, writes results, and goes on where it was stopped', async () => {
    const first = sitting();
    const series = await first.series;
    series.subscribe(() => {
      if (series.segmentation.progress?.done === 1) series.segmentation.stop();
    });
    assert.equal(series.segmentation.left, 4);
    assert.equal(await series.segmentation.run(), 1);
    assert.equal(series.images[0].segmented, true);
    assert.equal(series.segmentation.progress, undefined);
    await series.close();
    const second = sitting(first.store);
    const again = await second.series;
    assert.equal(await again.segmentation.run(), 2, 'the one that cannot be opened is passed over');
    assert.deepEqual(second.opened, ['c.tif', 'd.tif']);
    assert.deepEqual(
      again.images.map(({ state, segmented }) => [state, segmented ?? false]),
      [
        ['done', true],
        ['failed', false],
        ['done', true],
        ['done', true],
      ],
    );
    assert.ok(again.images[2].objects! > 0);
    assert.ok(await second.output.get('c_labels.tif'));
    assert.equal(again.segmentation.left, 0);
  });

  it('leaves an image as it is that has objects when it is opened: another file of the same pixels was annotated', async () => {
    const mask = rasterizePolygon(
      [
        [
          [2, 2],
          [2, 20],
          [20, 20],
          [20, 2],
        ],
      ],
      SIZE,
    );
    const record = { id: 5, masks: new Map([[0, mask]]), prompts: [], origin: 'painted' } as const;
    const { layers } = emptyState(DEFAULT_SETTINGS);
    const annotated = { layers: { ...layers, committed_objects: { objects: new Map([[5, record]]) } } };
    const { session, series: opening } = sitting(memoryStore(), { 'c.tif': annotated });
    const series = await opening;
    assert.equal(await series.segmentation.run(), 2, 'a.tif and d.tif');
    await series.goTo(2);
    assert.deepEqual([...session.state.layers.committed_objects.objects.keys()], [5]);
    assert.equal(series.segmentation.left, 0);
  });
});
