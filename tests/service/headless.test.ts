import assert from 'node:assert/strict';
import { nodeService } from '../../src/app/node-service.js';
import type { ImageInput } from '../../src/io/open.js';
import { fromRpcArray, type RpcArray } from '../../src/io/rpc-array.js';
import type { HeadlessDeps } from '../../src/service/headless.js';
import { createService } from '../../src/service/service.js';
import { AnnotationSession } from '../../src/session/session.js';
import { brightWorker } from '../support/bright-worker.js';

/** An image of 48 x 64 with a bright square, as Python sends it. */
function square(dtype = 'uint8', planes?: number): RpcArray {
  const shape = planes === undefined ? [48, 64] : [planes, 48, 64];
  const values = Array.from({ length: shape.reduce((a, b) => a * b) }, (_, p) => {
    const [y, x] = [Math.floor(p / 64) % 48, p % 64];
    return y >= 10 && y < 30 && x >= 20 && x < 44 ? 1 : 0;
  });
  const data = {
    bool: () => Uint8Array.from(values),
    uint8: () => Uint8Array.from(values, (v) => 200 * v),
    float16: () => Uint16Array.from(values, (v) => 0x3c00 * v),
    int64: () => BigInt64Array.from(values, (v) => BigInt(3000 * v)),
    uint64: () => BigUint64Array.from(values, BigInt),
    float64: () => Float64Array.from(values),
    '>u2': () => Uint16Array.from(values, (v) => 0xe803 * v), // 1000 with its bytes the other way round
  }[dtype]!();
  return { _rtype: 'ndarray', _rvalue: data.buffer as ArrayBuffer, _rshape: shape, _rdtype: dtype };
}

/** Intersection over union of what is not 0. */
function overlap(a: RpcArray, b: RpcArray): number {
  const [one, other] = [fromRpcArray(a).data, fromRpcArray(b).data];
  let both = 0;
  let either = 0;
  for (let p = 0; p < one.length; p++) {
    if (one[p] !== 0 && other[p] !== 0) both++;
    if (one[p] !== 0 || other[p] !== 0) either++;
  }
  return both / either;
}

describe('service without an annotator', () => {
  const model_type = 'vit_t';

  function service(deps: Partial<HeadlessDeps> = {}) {
    const session = new AnnotationSession();
    return createService({
      session,
      openImage: async () => undefined,
      headless: { worker: () => brightWorker(), ...deps },
    });
  }

  it('gives the same mask for every dtype, for lists in lists, and from embeddings', async () => {
    const { segment_from_points, precompute_image_embeddings } = service();
    const asked = [[[20, 30]], [1], { model_type }] as const;
    const wanted = await segment_from_points(square(), ...asked);
    const { data, shape } = fromRpcArray(wanted.mask);
    assert.deepEqual([shape, wanted.mask._rdtype], [[48, 64], 'uint8']);
    assert.deepEqual(data, fromRpcArray(square('bool')).data);
    const lists = Array.from({ length: 48 }, (_, y) => [
      ...fromRpcArray(square('bool')).data.subarray(64 * y, 64 * y + 64),
    ]);
    for (const image of [
      ...['bool', 'float16', 'int64', 'uint64', 'float64', '>u2'].map((dtype) => square(dtype)),
      lists,
    ])
      assert.deepEqual(
        (await segment_from_points(image, ...asked)).mask,
        wanted.mask,
        Array.isArray(image) ? 'lists' : image._rdtype,
      );
    const handle = await precompute_image_embeddings(square(), { model_type });
    assert.deepEqual(handle, { embedding_id: 'embeddings-1', shape: [48, 64], planes: 1, tiles: 1, model_type });
    assert.deepEqual(await segment_from_points(handle, [[20, 30]]), wanted);
    const { candidates = [] } = await segment_from_points(handle, [[20, 30]], { multimask_output: true });
    assert.equal(candidates.length, 3);
  });

  it('takes boxes, masks, and numpy arrays of them', async () => {
    const { precompute_image_embeddings, ...functions } = service();
    const handle = await precompute_image_embeddings(square(), { model_type });
    const box = {
      _rtype: 'ndarray',
      _rdtype: 'int64',
      _rshape: [4],
      _rvalue: BigInt64Array.of(10n, 20n, 30n, 44n).buffer,
    };
    const fromList = await functions.segment_from_box(handle, [10, 20, 30, 44]);
    assert.deepEqual(await functions.segment_from_box(handle, { box, box_extension: 0 }), fromList);
    const both = await functions.segment_from_box_and_points(handle, [[10, 20, 30, 44]], [[20, 30]], [true]);
    const mask = await functions.segment_from_mask(handle, square('bool'), { use_points: true });
    for (const { mask: found } of [both, mask]) assert.deepEqual(found._rshape, [48, 64]);
    await assert.rejects(
      functions.segment_from_mask(handle, square('bool', 2)),
      /shape \[2,48,64\]; the image has \[48, 64\]/,
    );
    await assert.rejects(functions.segment_from_box(handle, [1, 2, 3]), /box: expected \[y0, x0, y1, x1\]|box\.0/);
    await assert.rejects(functions.segment_from_points(handle, [[20, 64]]), /^SamError: invalid_prompt: .*outside/);
    await assert.rejects(functions.segment_from_points(handle, [[20, 30]], { plane: 1 }), /Plane 1 was asked for/);
    await assert.rejects(
      functions.segment_from_points({ ...handle, embedding_id: 'other' }, [[1, 1]]),
      /no_embedding: The embeddings other are not kept/,
    );
  });

  it('segments everything, in planes and volumes, and tells how far it is', async () => {
    const { automatic_instance_segmentation } = service();
    const steps: number[] = [];
    const plane = await automatic_instance_segmentation(square(), { model_type, mode: 'ais' });
    assert.deepEqual([plane._rshape, plane._rdtype], [[48, 64], 'uint32']);
    assert.ok(overlap(plane, square('bool')) > 0.9);
    const stack = await automatic_instance_segmentation(square('uint8', 2), {
      ...{ model_type, mode: 'ais', ndim: 2, axes: 'zyx' },
      progress: {
        _rintf: true,
        report: ({ done, total }: { done: number; total: number }) => steps.push(done / total),
      },
    });
    assert.deepEqual([stack._rshape, Math.max(...fromRpcArray(stack).data)], [[2, 48, 64], 2]);
    const volume = await automatic_instance_segmentation(square('uint8', 2), { mode: 'ais', axes: 'zyx' });
    assert.equal(Math.max(...fromRpcArray(volume).data), 1, 'one object through both planes');
    assert.equal(steps.at(-1), 1);
    await assert.rejects(automatic_instance_segmentation(square(), { ndim: 4 }), /ndim is 2 .* or 3/);
    await assert.rejects(automatic_instance_segmentation(square(), { tile_shape: [1, 1] }), /too small/);
  });

  it('hands out planes as they are done, and ends when nobody reads on', async () => {
    const { automatic_instance_segmentation } = service();
    const given = { model_type, mode: 'ais', axes: 'zyx', stream: true } as const;
    const alone = await automatic_instance_segmentation(square('uint8', 3), { ...given, ndim: 2 });
    const planes: number[] = [];
    for await (const { plane, labels } of alone) {
      planes.push(plane);
      assert.deepEqual([labels._rshape, Math.max(...fromRpcArray(labels).data)], [[48, 64], 1]);
    }
    assert.deepEqual(planes, [0, 1, 2]);
    const through = await automatic_instance_segmentation(square('uint8', 3), { ...given, ndim: 3 });
    const ids = [];
    for await (const { labels } of through) ids.push(Math.max(...fromRpcArray(labels).data));
    assert.deepEqual(ids, [1, 1, 1]);

    const long = await automatic_instance_segmentation(square('uint8', 40), { ...given, ndim: 2 });
    let read = 0;
    for await (const _ of long) if (++read === 2) break;
    await long.ended();
    assert.deepEqual(await long.next(), { done: true, value: undefined });

    const stopped = await automatic_instance_segmentation(square('uint8', 40), { ...given, ndim: 2, task: 'one' });
    await stopped.next();
    await service().cancel('one');
    const broken = await automatic_instance_segmentation(square(), { ...given, axes: 'yx', tile_shape: [1, 1] });
    await assert.rejects(broken.next(), /^SamError: invalid_argument: /);
    await stopped.return();
  });

  it('hands out planes as they are encoded, which are used at once and stay when nobody reads on', async () => {
    const worker = brightWorker(1);
    const { precompute_image_embeddings, segment_from_box } = service({ worker: () => worker });
    const box = [10, 20, 30, 44];
    const given = { axes: 'zyx', stream: true } as const;
    const planes: number[] = [];
    for await (const { plane, embeddings } of await precompute_image_embeddings(square('uint8', 4), given)) {
      planes.push(plane);
      const before = worker.encoded;
      await segment_from_box(embeddings, box, { plane });
      assert.ok(worker.encoded - before <= 2, 'what is in work at most');
    }
    assert.deepEqual(planes, [0, 1, 2, 3]);

    const long = await precompute_image_embeddings(square('uint8', 100), given);
    const { value: first } = await long.next();
    await long.return();
    const { encoded } = worker;
    assert.ok(encoded < 50, `${encoded} encoded`);
    await segment_from_box(first!.embeddings, box, { plane: 99 });
    assert.equal(worker.encoded, encoded + 1, 'what is left is encoded when it is asked for');
    const broken = await precompute_image_embeddings(new Uint8Array(9), { stream: true });
    await assert.rejects(broken.next(), { code: 'unsupported' });
  });

  it('hands out the planes of the open image as they are encoded', async () => {
    const sam = nodeService(brightWorker());
    await sam.open_image(square('uint8', 3), { axes: 'zyx' });
    const planes: unknown[] = [];
    const steps: unknown[] = [];
    const progress = ({ done }: { done: number }) => void steps.push(done);
    for await (const found of await sam.precompute_image_embeddings({ planes: [2, 0], stream: true, progress }))
      planes.push(found);
    assert.deepEqual(planes, [{ plane: 2 }, { plane: 0 }]);
    assert.equal(steps.at(-1), 2);
    await sam.close();
  });

  it('gives the result also to a caller who never answers what is told of the progress', async () => {
    const progress = () => new Promise(() => undefined);
    const labels = await service().automatic_instance_segmentation(square(), { model_type, mode: 'ais', progress });
    assert.ok(overlap(labels, square('bool')) > 0.9);
  });

  it('scores labels by comparison', async () => {
    const { evaluate } = service();
    const scores = await evaluate(square('int64'), square('bool'));
    assert.deepEqual([scores.msa, scores.sa50, scores.reference_objects, scores.predicted_objects], [1, 1, 1, 1]);
    assert.equal(
      (
        await evaluate(
          [
            [0, 1],
            [0, 2],
          ],
          [
            [0, 0],
            [0, 0],
          ],
        )
      ).sa50,
      0,
    );
    await assert.rejects(evaluate([[0, 1]], [[0], [1]]), /shape \[1,2\], the predictions \[2,1\]/);
    await assert.rejects(evaluate([[0, 1], [1]], [[0]]), /Lists in lists must be of one length/);
    await assert.rejects(evaluate([[0.5]], [[1]]), /whole numbers/);
  });

  it('a call is cancelled by the name of its task, and others go on', async () => {
    let release = () => {};
    let opened = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const reached = new Promise<void>((resolve) => (opened = resolve));
    const { openImage } = await import('../../src/io/open.js');
    const slow = service({
      async openInput(input: ImageInput, options) {
        opened();
        await gate;
        return openImage(input, options);
      },
    });
    const call = slow.segment_from_points(square(), [[20, 30]], { model_type, task: 'mine' });
    const other = slow.segment_from_points(square(), [[20, 30]], { model_type, task: 'other' });
    await reached;
    await assert.rejects(slow.evaluate([[1]], [[1]], { task: 'mine' }), /"mine" is under way/);
    await slow.cancel('mine');
    await assert.rejects(call, { code: 'cancelled' });
    await slow.cancel('mine'); // there is none any more: nothing happens
    release();
    assert.deepEqual((await other).mask._rshape, [48, 64]);
  });

  it('says what it lacks', async () => {
    const none = createService({ session: new AnnotationSession(), openImage: async () => undefined });
    await assert.rejects(none.segment_from_points(square(), [[1, 1]]), { code: 'unsupported' });
    await assert.rejects(none.precompute_image_embeddings(), { code: 'unsupported' });
    await assert.rejects(service().segment_from_points(square(), [[1, 1]], { embedding_path: 'x' }), /no folders/);
    await assert.rejects(service().segment_from_points(square(), [[1, 1]], { model_type: 'vit_x' }), {
      code: 'model_unavailable',
    });
  });
});
