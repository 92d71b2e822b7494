import assert from 'node:assert/strict';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { resolveModel } from '../../src/model/registry.js';
import { panelAutomatic } from '../../src/presenter/panel/panel-automatic.js';
import { AUTOMATIC_PRESETS } from '../../src/segmentation/presets.js';
import { createService, type MicroSamService } from '../../src/service/service.js';
import { Annotator2d } from '../../src/session/annotators/annotator-2d.js';
import { Annotator3d } from '../../src/session/annotators/annotator-3d.js';
import { areaOf, objectAt } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { nodeWorker, singleEmbedding } from '../support/node-engine.js';
import { oracleSource } from '../support/oracle-maps.js';
import { volumePhantom } from '../support/phantom-stack.js';

/** Automatic segmentation in a session, with the real model on a phantom; 10 x 10 points, since only the steps matter. */
describe('automatic segmentation in a session', function () {
  this.timeout(300_000);
  const { image, labels } = cellPhantom({ size: [256, 256], cells: 14 });
  let session: AnnotationSession;
  let service: MicroSamService;
  let context: ConstructorParameters<typeof Annotator2d>[0];
  /** Calls of the network since the start. */
  let asked = 0;

  before(async () => {
    const real = await nodeWorker();
    const answers = new Map<string, Awaited<ReturnType<SamWorker['decodeCandidates']>>>();
    const model = resolveModel('vit_t');
    await real.load(model);
    const worker: SamWorker = {
      info: () => real.info(),
      load: (...args) => real.load(...args),
      encode: (...args) => real.encode(...args),
      decode: (...args) => real.decode(...args),
      instanceMaps: (...args) => real.instanceMaps(...args),
      close: () => real.close(),
      // The same points are asked several times here; the model answers each batch once.
      async decodeCandidates(...args) {
        asked++;
        const [of, { id }, { coords }, { iouFloor, stabilityFloor }] = args;
        const batch = JSON.stringify([of, id, Array.from(coords), iouFloor, stabilityFloor]);
        const found = answers.get(batch) ?? (await real.decodeCandidates(...args));
        answers.set(batch, found);
        return structuredClone(found);
      },
    };
    session = new AnnotationSession();
    context = { worker, model: model.name, embeddings: singleEmbedding(worker, model.name, image) };
    const annotator = new Annotator2d(context);
    session.open({ name: 'phantom', axes: 'yx', size: [256, 256], planes: 1, signature: 'phantom' }, annotator);
    service = createService({ session, openImage: async () => undefined });
  });

  const ids = () => [...session.state.layers.auto_segmentation.objects.keys()];

  it('finds what is there, shows it while it comes, and lands it as one step', async () => {
    const partial: number[] = [];
    const stop = session.subscribe(({ arriving, layers }) => {
      if (arriving?.auto_segmentation) partial.push(arriving.auto_segmentation.objects.size);
      if (arriving) assert.equal(layers.auto_segmentation.objects.size, 0);
    });
    const result = await service.automatic_segmentation({ points_per_side: 10 });
    stop();
    assert.ok(partial.length > 0 && partial.at(-1)! <= result.count, `partial results ${partial}`);
    assert.equal(session.state.arriving, undefined);
    const truth = new Set(labels.data);
    truth.delete(0);
    const hit = new Set<number>();
    for (const { masks } of session.state.layers.auto_segmentation.objects.values()) {
      const [y0, x0, y1, x1] = masks.get(0)!.box;
      hit.add(labels.data[Math.floor((y0 + y1) / 2) * 256 + Math.floor((x0 + x1) / 2)]);
    }
    hit.delete(0);
    assert.ok(hit.size >= 0.6 * truth.size, `${hit.size} of ${truth.size} nuclei`);
    assert.equal(session.state.history.undo, 'Automatic segmentation');
  });

  it('again, it asks the network nothing', async () => {
    const before = [asked, ids()];
    await service.automatic_segmentation();
    assert.deepEqual([asked, ids()], before);
  });

  it('thresholds act without the network and keep ids; below the floors they are refused', async () => {
    const before = ids();
    const calls = asked;
    const strict = await service.set_automatic_thresholds({ pred_iou_thresh: 0.98 });
    assert.ok(strict.count < before.length && strict.objects.every(({ predicted_iou }) => predicted_iou! > 0.98));
    assert.ok(strict.objects.every(({ id }) => before.includes(id)));
    await assert.rejects(
      service.set_automatic_thresholds({ pred_iou_thresh: 0.1 }),
      /^SamError: invalid_argument: .*below/,
    );
    assert.equal(session.state.settings.automatic.thresholds.predIouThresh, 0.98, 'what is refused changes nothing');
    await service.undo();
    assert.deepEqual(ids(), before);
    assert.equal(asked, calls);
  });

  it('one drag of a slider is one step, however many values it goes through', async () => {
    const before = ids();
    const steps = () => session.state.history.undo;
    const first = steps();
    for (const predIouThresh of [0.9, 0.93, 0.96, 0.99])
      await session.run('change_automatic', { thresholds: { predIouThresh }, gesture: 'drag' });
    assert.ok(ids().length < before.length);
    await session.run('change_automatic', { thresholds: { predIouThresh: 0.97 }, gesture: 'another drag' });
    session.undo();
    assert.equal(session.state.settings.automatic.thresholds.predIouThresh, 0.99);
    session.undo();
    assert.deepEqual(ids(), before);
    assert.equal(steps(), first);
    // There and back again in one drag is no step at all.
    for (const predIouThresh of [0.95, 0.88])
      await session.run('change_automatic', { thresholds: { predIouThresh }, gesture: 'a third' });
    await session.run('change_automatic', { thresholds: { predIouThresh: 0.9 }, gesture: 'a third' });
    session.undo();
    assert.deepEqual(ids(), before);
  });

  it('accepted, rejected and edited objects do not come back, until it is run again', async () => {
    const before = ids();
    const [a, b, c] = before;
    assert.deepEqual(await service.accept_automatic([a]), [1]);
    await service.reject_automatic([b]);
    await service.pick_object(c, { layer: 'auto_segmentation' });
    assert.deepEqual(ids(), before.slice(3));
    await service.set_automatic_thresholds({ box_nms_thresh: 0.6 });
    assert.ok(![a, b, c].some((id) => ids().includes(id)));
    for (const step of ['thresholds', 'pick', 'reject', 'accept']) {
      assert.equal(session.undo(), true, step);
    }
    assert.deepEqual(ids(), before);
    assert.equal(session.state.layers.committed_objects.objects.size, 0);
    await service.reject_automatic([b]);
    await service.automatic_segmentation();
    assert.deepEqual(ids(), before, 'all are back');
  });

  it('commits all that are left without gaps, under the preserve mode', async () => {
    const before = ids().length;
    const [first] = ids();
    await service.reject_automatic([ids()[1]]);
    await service.accept_automatic([first]);
    await service.automatic_segmentation(); // the first lies on its committed self again
    assert.equal(
      panelAutomatic(session.state, session.annotator?.automaticStatus?.(session.state))?.conflict,
      'On accept all: 1 would be left out: it lies on a committed object.',
    );
    const added = await service.accept_automatic();
    assert.equal(added.length, before - 1, 'the one that would hide a committed object is left out');
    const committed = [...session.state.layers.committed_objects.objects.keys()];
    assert.deepEqual(
      committed,
      Array.from({ length: before }, (_, i) => i + 1),
    );
    assert.equal(ids().length, 0);
    assert.match(session.state.message?.text ?? '', /not committed/);
  });

  it('a region limits the search to it (thorough)', async () => {
    const region = [0, 0, 128, 128] as const;
    await service.automatic_segmentation({ region: [...region] });
    assert.ok(ids().length > 0);
    const layer = session.state.layers.auto_segmentation;
    for (const { masks } of layer.objects.values()) {
      const [y0, x0] = masks.get(0)!.box;
      assert.ok(y0 < 128 && x0 < 128);
    }
    assert.equal(objectAt(layer, 0, [250, 250]), 0);
  });

  it('cancelling keeps what was found, as a step of undo, and running again asks only for the rest (thorough)', async () => {
    session.cancel();
    const before = session.state.layers.auto_segmentation;
    const calls = asked;
    const running = service.automatic_segmentation({ points_per_side: 18 });
    running.catch(() => undefined);
    await new Promise((resolve) => {
      const stop = session.subscribe(({ tasks }) => {
        if (!tasks.some(({ progress }) => progress.done >= 2 * 64)) return;
        stop();
        resolve(undefined);
      });
    });
    await service.cancel();
    await assert.rejects(running, /cancelled/);
    assert.equal(session.state.arriving, undefined);
    assert.match(session.state.message?.text ?? '', /Stopped\. \d+ objects? found so far/);
    const found = session.state.layers.auto_segmentation;
    assert.ok(found !== before && found.objects.size > 0);
    session.undo();
    assert.deepEqual(session.state.layers.auto_segmentation, before);
    session.redo();
    const half = asked - calls;
    assert.ok(half >= 2 && half <= 5, `${half} of 6 calls`);
    const kept = new Set(ids());
    await service.automatic_segmentation({ points_per_side: 18 });
    // One or two calls were under way when it was stopped.
    assert.ok(asked - calls <= 6 + 2, `${asked - calls} calls`);
    assert.ok(ids().filter((id) => kept.has(id)).length > 0.5 * kept.size, 'objects keep their ids');
    const whole = session.state.layers.auto_segmentation.objects.size;
    const once = new AnnotationSession();
    const annotator = new Annotator2d({ ...context });
    once.open(session.state.image!, annotator);
    assert.ok(whole > 0);
    await once.run('change_automatic', { pointsPerSide: 18 });
    await once.run('automatic_segmentation', { confirmed: true });
    assert.equal(once.state.layers.auto_segmentation.objects.size, whole, 'as in one go');
  });
});

/** The maps come from the labels themselves, so that every step has a known outcome. */
describe('automatic segmentation in a session, with an instance decoder', function () {
  this.timeout(60_000);
  const { labels } = cellPhantom({ size: [256, 256], cells: 14 });
  const count = new Set(labels.data).size - 1;
  const source = oracleSource(labels, { embedding: () => Promise.reject(new Error('Not needed.')) });
  let session: AnnotationSession;
  let service: MicroSamService;

  before(() => {
    session = new AnnotationSession();
    const worker = {} as SamWorker;
    const annotator = new Annotator2d({ worker, model: 'oracle', embeddings: source });
    session.open({ name: 'phantom', axes: 'yx', size: [256, 256], planes: 1, signature: 'phantom' }, annotator);
    service = createService({ session, openImage: async () => undefined });
  });

  const ids = () => [...session.state.layers.auto_segmentation.objects.keys()];
  const panel = () => panelAutomatic(session.state, session.annotator?.automaticStatus?.(session.state));

  it('finds all objects at once, and says how', async () => {
    assert.equal(panel()?.modes?.options.length, 4);
    assert.equal(panel()?.points, undefined, 'no grid is asked');
    const result = await service.automatic_segmentation();
    assert.equal(result.mode, 'ais');
    assert.deepEqual(result.modes, ['ais', 'apg', 'amg']);
    assert.ok(Math.abs(result.count - count) <= 1, `${result.count} of ${count}`);
    assert.equal(source.asked.length, 1);
    assert.deepEqual(
      panel()?.sliders?.map(({ threshold }) => threshold),
      [
        'foregroundThreshold',
        'centerDistanceThreshold',
        'boundaryDistanceThreshold',
        'distanceSmoothing',
        'minObjectSize',
        'maxObjectSize',
      ],
    );
    assert.equal(panel()?.deeper, undefined);
  });

  it('every threshold acts without the network, and objects keep their ids', async () => {
    const before = ids();
    const areas = () => [...session.state.layers.auto_segmentation.objects.values()].map(areaOf);
    const [first] = areas();
    const tighter = await service.set_automatic_thresholds({ foreground_threshold: 0.8 });
    assert.ok(tighter.objects.filter(({ id }) => before.includes(id)).length >= before.length - 1);
    assert.notEqual(areas()[0], first);
    await service.set_automatic_thresholds({ foreground_threshold: 0.5 });
    assert.deepEqual(ids(), before);
    const all = await service.set_automatic_thresholds({ distance_smoothing: 6, center_distance_threshold: 0.9 });
    assert.equal(all.thresholds?.distance_smoothing, 6);
    assert.ok(ids().length < before.length, 'much smoothing joins objects');
    session.undo();
    assert.deepEqual(ids(), before);
    assert.equal(source.asked.length, 1);
    await assert.rejects(service.set_automatic_thresholds({ foreground_threshold: 2 }), /invalid_argument/);
  });

  it('keeps to a region, and runs anew for it', async () => {
    const { objects } = await service.automatic_segmentation({ region: [0, 0, 128, 256] });
    assert.ok(objects.length > 0 && objects.length < count);
    const whole = await service.automatic_segmentation();
    assert.ok(whole.count > objects.length);
  });

  it('takes of the settings that a model recommends what is meant for the mode', () => {
    const recommended = resolveModel({ name: 'vit_b_lm', encoder: 'a.onnx', decoder: 'b.onnx' }).defaults;
    const context = { worker: {} as SamWorker, model: 'oracle', embeddings: source };
    const { thresholds } = new Annotator2d(context, recommended).automaticStatus(session.state);
    assert.deepEqual(
      [thresholds.centerDistanceThreshold, thresholds.boundaryDistanceThreshold, thresholds.minObjectSize],
      [0.4, 0.5, 5],
    );
    const { instanceMaps: _, ...plain } = source;
    const amg = new Annotator2d({ ...context, embeddings: plain }, recommended).automaticStatus(session.state);
    assert.deepEqual([amg.thresholds.predIouThresh, amg.thresholds.minObjectSize], [0.65, 100]);
  });

  it('takes the mode from the settings while the model can do it, and else the best it can', async () => {
    await session.run('change_automatic', { mode: 'amg' });
    const status = () => session.annotator!.automaticStatus!(session.state);
    assert.deepEqual([status().mode, status().ran?.mode], ['amg', 'ais']);
    assert.ok(panel()?.points, 'a grid is asked next');
    await session.run('change_automatic', { mode: 'apg' });
    const { instanceMaps: _, ...plain } = source;
    const other = new Annotator2d({ worker: {} as SamWorker, model: 'plain', embeddings: plain });
    assert.equal(other.automaticStatus(session.state).mode, 'amg');
    await session.run('change_automatic', { mode: null });
    assert.equal(status().mode, 'ais');
  });

  it('takes its settings from the kind of image, and what is set by hand comes first', async () => {
    const { thresholds = {}, mirror, mode } = AUTOMATIC_PRESETS.phase_contrast;
    assert.ok(mirror && mode === 'ais');
    await session.run('change_automatic', { preset: 'phase_contrast' });
    const status = () => session.annotator!.automaticStatus!(session.state);
    assert.equal(panel()?.kinds?.value, 'phase_contrast');
    assert.deepEqual({ ...status().thresholds, ...thresholds }, status().thresholds);
    assert.equal(panel()?.thorough?.find(({ setting }) => setting === 'mirror')?.value, true);
    const asked = source.asked.length;
    await service.automatic_segmentation();
    assert.equal(source.asked.length, asked + 2, 'the image and its mirror image');
    await session.run('change_automatic', { mirror: false, thresholds: { foregroundThreshold: 0.37 } });
    assert.equal(status().thresholds.foregroundThreshold, 0.37);
    assert.equal(panel()?.thorough?.[0]?.value, false);
    const amg = await service.automatic_segmentation({ preset: 'phase_contrast', rule: 'flow' });
    assert.equal(amg.thresholds?.rule, 'flow');
    await session.run('change_automatic', { preset: null });
    assert.equal(JSON.stringify(session.state.settings.automatic), '{"thresholds":{}}');
  });

  it('lists the points of the maps that gave no object, and why', async () => {
    const rejected = [
      { point: [10, 20], reason: 'low score' },
      { point: [30.4, 5], reason: 'duplicate' },
    ] as const;
    const status = { ...session.annotator!.automaticStatus!(session.state), rejected };
    const { leftOut } = panelAutomatic(session.state, status) ?? {};
    assert.equal(leftOut?.title, '2 places without an object');
    assert.match(leftOut?.places[1]?.text ?? '', /^y 30, x 5: covered/);
  });
});

describe('automatic segmentation of a volume, with an instance decoder', function () {
  this.timeout(60_000);

  it('shows slices as they come; when it is stopped and run again it goes on, and objects are merged', async () => {
    const { labels } = volumePhantom({ size: [96, 128], planes: 6 });
    const [depth, height, width] = labels.shape;
    const planes = Array.from({ length: depth }, (_, z) => ({
      data: labels.data.slice(z * height * width, (z + 1) * height * width),
      shape: [height, width],
    }));
    const source = oracleSource(planes, { embedding: () => Promise.reject(new Error('Not needed.')) });
    const session = new AnnotationSession();
    const annotator = new Annotator3d({ worker: {} as SamWorker, model: 'oracle', embeddings: source }, depth);
    const image = { name: 'v', axes: 'zyx', size: [height, width], planes: depth, signature: 'v' } as const;
    session.open(image, annotator);
    const service = createService({ session, openImage: async () => undefined });
    const stop = session.subscribe(({ arriving }) => {
      if (arriving?.auto_segmentation && source.asked.length === 3) session.cancel('automatic');
    });
    await assert.rejects(service.automatic_segmentation({ all_planes: true }), /cancelled/);
    stop();
    assert.equal(source.asked.length, 3);
    assert.ok(session.state.layers.auto_segmentation.objects.size > 0, 'what was found stays');
    const { count } = await service.automatic_segmentation({ all_planes: true });
    assert.equal(source.asked.length, depth, 'what was segmented is not segmented again');
    const truth = new Set(labels.data);
    truth.delete(0);
    assert.ok(Math.abs(count - truth.size) <= 1, `${count} of ${truth.size} objects`);
    const objects = [...session.state.layers.auto_segmentation.objects.values()];
    assert.ok(
      objects.some(({ masks }) => masks.size >= 3),
      'they go through slices',
    );
    await service.accept_automatic();
    assert.equal(session.state.layers.committed_objects.objects.size, count);
  });
});
