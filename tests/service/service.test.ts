import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { openImage } from '../../src/io/open.js';
import { decodeError } from '../../src/service/call.js';
import { fromRpcArray, type RpcArray } from '../../src/service/ndarray.js';
import { createService, type MicroSamService } from '../../src/service/service.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { rpcPeer } from '../support/rpc-peer.js';

const NAMES = [
  'accept_automatic',
  'add_box_prompts',
  'add_point_prompts',
  'add_polygon_prompts',
  'automatic_segmentation',
  'cancel',
  'choose_candidate',
  'clear_annotations',
  'clear_prompts',
  'close',
  'commit',
  'compute_embeddings',
  'connect_worker',
  'delete_object',
  'delete_track',
  'divide_track',
  'export',
  'export_session',
  'get_info',
  'get_layer',
  'get_lineages',
  'get_prompts',
  'get_series',
  'get_settings',
  'get_state',
  'get_tracks',
  'go_to_image',
  'import_session',
  'link_tracks',
  'list_models',
  'load_model',
  'merge_tracks',
  'new_track',
  'next_image',
  'next_plane',
  'off',
  'on',
  'open_image',
  'paint',
  'pick_object',
  'precompute_image_embeddings',
  'preview_commit',
  'previous_image',
  'previous_plane',
  'redo',
  'refine_object',
  'reject_automatic',
  'remove_prompts',
  'run',
  'screenshot',
  'segment_all_slices',
  'segment_object',
  'set_automatic_thresholds',
  'set_committed_objects',
  'set_committed_tracks',
  'set_image_settings',
  'set_plane',
  'set_settings',
  'set_track',
  'setup',
  'split_track',
  'swap_tracks',
  'track_object',
  'undo',
  'unlink_track',
];

/** The service over a session whose images are really opened; a disc stands for the model. */
function made(): { service: MicroSamService; session: AnnotationSession } {
  const session = new AnnotationSession();
  const service = createService({
    session,
    async openImage(input, options) {
      const source = await openImage(input instanceof Uint8Array ? new Blob([input.slice()]) : input, options);
      const { name, axes, sizes } = source;
      const size = [sizes.y, sizes.x] as const;
      session.open({ name, axes, size, planes: sizes.t * sizes.z, signature: name }, new DiscAnnotator(size));
    },
  });
  return { service, session };
}

const image = (height = 40, width = 60, dtype = 'uint8'): RpcArray => ({
  _rtype: 'ndarray',
  _rvalue: new ArrayBuffer(height * width * (dtype === 'uint8' || dtype === 'bool' ? 1 : 8)),
  _rshape: [height, width],
  _rdtype: dtype,
});

async function opened() {
  const { service, session } = made();
  await service.open_image(image(), { name: 'cells' });
  return { service, session };
}

const labelsOf = async (service: MicroSamService) => fromRpcArray(await service.get_layer('committed_objects'));

describe('service', () => {
  it('exports these functions', () => {
    assert.deepEqual(Object.keys(made().service).sort(), NAMES);
  });

  it('does the whole 2D story', async () => {
    const { service } = await opened();
    const ids = await service.add_point_prompts([[10, 12]]);
    assert.equal(ids.length, 1);
    assert.deepEqual(await service.commit(), { added: [1], dropped: [], overwritten: [] });
    await service.add_box_prompts([[20, 30, 35, 50]]);
    await service.commit();
    const labels = await labelsOf(service);
    assert.deepEqual(labels.shape, [40, 60]);
    assert.equal(labels.data[10 * 60 + 12], 1);
    assert.equal(labels.data.filter((id) => id === 2).length, 15 * 20);
    await service.undo();
    assert.equal((await labelsOf(service)).data.filter((id) => id === 2).length, 0);
    await service.redo();
    await service.pick_object(1);
    assert.equal((await service.get_state()).editing, 1);
    assert.deepEqual(await service.get_prompts(), [{ id: ids[0], kind: 'point', plane: 0, at: [10, 12], label: 1 }]);
    await service.clear_annotations();
    await service.delete_object(1);
    assert.deepEqual(
      (await service.get_state()).layers.committed_objects.objects.map(({ id, area }) => [id, area]),
      [[2, 300]],
    );
  });

  it('takes arguments by position, by name, or as Python keywords', async () => {
    const calls = [
      [
        [
          [10, 12],
          [12, 14],
        ],
        [1, 0],
        { plane: 0 },
      ],
      [
        [
          [10, 12],
          [12, 14],
        ],
        { labels: [1, 0] },
      ],
      [
        {
          points: [
            [10, 12],
            [12, 14],
          ],
          labels: [1, 0],
          plane: 0,
        },
      ],
      [
        [
          [10, 12],
          [12, 14],
        ],
        { labels: [true, false], _rkwargs: true },
      ],
      [
        {
          _rtype: 'ndarray',
          _rdtype: 'int64',
          _rshape: [2, 2],
          _rvalue: new BigInt64Array([10n, 12n, 12n, 14n]).buffer,
        },
        [1, 0],
      ],
    ];
    for (const call of calls) {
      const { service } = await opened();
      await service.add_point_prompts(...call);
      assert.deepEqual(
        (await service.get_prompts()).map(({ at, label }) => [...(at ?? []), label]),
        [
          [10, 12, 1],
          [12, 14, 0],
        ],
      );
    }
  });

  it('refuses wrong arguments by name of function and place, and changes nothing', async () => {
    const { service } = await opened();
    const before = await service.get_state();
    const cases: [Promise<unknown>, RegExp][] = [
      [service.add_point_prompts([[1, 2, 3]]), /^invalid_argument: add_point_prompts, points\.0: expected \[y, x\]/],
      [service.add_point_prompts('all'), /points: expected a list of \[y, x\]/],
      [service.add_point_prompts([]), /points: the list is empty/],
      [service.add_point_prompts([[1, Number.NaN]]), /points\.0\.1/],
      [service.add_point_prompts([[1, 1]], [1, 1]), /1 points but 2 labels/],
      [service.add_point_prompts([[1, 1]], [2]), /labels\.0: a label is 1 \(positive\) or 0/],
      [service.add_point_prompts([[1, 1]], [1], [0]), /takes 2 arguments by position/],
      [service.add_point_prompts([[1, 1]], { points: [[1, 1]] }), /"points" twice/],
      [service.add_point_prompts([[1, 1]], { z: 1 }), /z/],
      [service.add_point_prompts(Array.from({ length: 10_001 }, () => [1, 1])), /at most 10,000/],
      [service.add_point_prompts([[1, 60]]), /^invalid_prompt: .*outside the image/],
      [service.add_box_prompts([[5, 5, 5, 5]]), /^invalid_prompt: .*covers no pixel/],
      [service.set_settings({ preservation_threshold: 2 }), /preservation_threshold/],
      [service.set_settings({ brush_size: 0 }), /^invalid_argument: The brush size/],
      [service.get_layer('labels'), /get_layer, name/],
      [service.get_layer({ plane: 1 }), /Plane 1/],
      [service.pick_object(7), /^not_found: There is no object 7/],
      [service.commit(), /^no_prompts: There is nothing to commit/],
      [service.undo(), /nothing to undo/],
      [service.export('jpeg'), /export, format/],
      [service.on('click', () => {}), /no event "click"; choose state, commit/],
      [service.on('state', {}), /must be a function/],
      [service.screenshot(), /^unsupported/],
      [service.import_session('{'), /not JSON/],
      [service.set_committed_objects(image(40, 61)), /shape \[40,61\]; the image has \[40,60\]/],
      [service.open_image(), /open_image, image/],
      [service.open_image({ ...image(), _rshape: [40, 61] }), /^invalid_image: .*do not fill its shape/],
    ];
    for (const [call, message] of cases) {
      await assert.rejects(call, (error: Error) => {
        assert.match(error.message, message);
        return true;
      });
    }
    assert.deepEqual({ ...(await service.get_state()), message: null }, { ...before, message: null });
  });

  it('without an image, says so with the code no_image', async () => {
    const { service } = made();
    for (const call of [
      service.add_point_prompts([[1, 1]]),
      service.commit(),
      service.get_layer(),
      service.preview_commit(),
    ])
      await assert.rejects(call, { code: 'no_image' });
  });

  it('labels come and go unchanged, in every dtype Python has for them', async () => {
    const values = Array.from({ length: 40 * 60 }, (_, i) => (i % 7 === 0 ? 0 : Math.floor(i / 300) + 1));
    const arrays: [string, ArrayBuffer][] = [
      ['uint8', Uint8Array.from(values).buffer],
      ['uint16', Uint16Array.from(values).buffer],
      ['int32', Int32Array.from(values).buffer],
      ['int64', BigInt64Array.from(values, BigInt).buffer],
      ['uint64', BigUint64Array.from(values, BigInt).buffer],
      ['float64', Float64Array.from(values).buffer],
    ];
    for (const [_rdtype, _rvalue] of arrays) {
      const { service } = await opened();
      await service.set_committed_objects({ _rtype: 'ndarray', _rshape: [40, 60], _rdtype, _rvalue });
      const sent = (await service.get_layer()) as RpcArray;
      assert.equal(sent._rdtype, 'uint32');
      assert.deepEqual([...new Uint32Array(sent._rvalue)], values, _rdtype);
    }
    const { service } = await opened();
    const half = {
      _rtype: 'ndarray',
      _rshape: [40, 60],
      _rdtype: 'float32',
      _rvalue: new Float32Array(2400).fill(0.5).buffer,
    };
    await assert.rejects(service.set_committed_objects(half), /whole numbers/);
  });

  it('polygons enclose, and run lengths are, what the labels are', async () => {
    const { service } = await opened();
    await service.add_box_prompts([[5, 10, 15, 30]]);
    await service.commit();
    const { features } = (await service.get_layer('committed_objects', { as: 'polygons' })) as unknown as {
      features: { geometry: { type: string; coordinates: number[][][] } }[];
    };
    assert.equal(features.length, 1);
    const ring = features[0].geometry.coordinates.flat(
      features[0].geometry.type === 'MultiPolygon' ? 1 : 0,
    )[0] as unknown as number[][];
    let twice = 0;
    for (let i = 0; i + 1 < ring.length; i++) twice += ring[i][0] * ring[i + 1][1] - ring[i + 1][0] * ring[i][1];
    assert.equal(Math.abs(twice) / 2, 200);
    assert.deepEqual(await service.get_layer('committed_objects', { as: 'rle' }), [
      { id: 1, plane: 0, box: [5, 10, 15, 30], runs: [0, 200], area: 200 },
    ]);
  });

  it('an exported label image opens again with the same labels', async () => {
    const { service } = await opened();
    await service.add_box_prompts([[5, 10, 15, 30]]);
    await service.commit();
    const [file] = await service.export('tiff');
    assert.equal(file.name, 'cells_labels.tif');
    const source = await openImage(new Blob([file.bytes.slice()]), { name: file.name });
    const { data } = await source.readRegion({ channels: [0] });
    assert.deepEqual([...data], [...(await labelsOf(service)).data]);
  });

  it('a session goes out and in, and the import can be undone', async () => {
    const { service } = await opened();
    await service.add_box_prompts([[5, 10, 15, 30]]);
    await service.commit();
    const text = await service.export_session();
    await service.delete_object(1);
    await service.import_session(text);
    assert.equal((await service.get_state()).layers.committed_objects.count, 1);
    await service.undo();
    assert.equal((await service.get_state()).layers.committed_objects.count, 0);
  });

  it('previews what a commit would overwrite or leave out', async () => {
    const { service } = await opened();
    await service.add_box_prompts([[0, 0, 10, 10]]);
    await service.commit();
    await service.add_box_prompts([[0, 0, 5, 20]]);
    assert.deepEqual(await service.preview_commit(), {
      added: [2],
      dropped: [],
      overwritten: [{ id: 1, pixels: 50, fraction: 0.5, removed: false }],
    });
    assert.deepEqual(await service.preview_commit({ preservation_threshold: 0.5 }), {
      added: [],
      dropped: [{ id: 1, keeps: 1, fraction: 0.5 }],
      overwritten: [],
    });
  });

  it('tells subscribers, until they leave or fail', async () => {
    const { service } = await opened();
    const heard: string[] = [];
    const states = await service.on('state', () => heard.push('state'));
    await service.on('commit', { _rintf: true, commit: ({ ids }: { ids: number[] }) => heard.push(`commit ${ids}`) });
    await service.on('commit', () => {
      heard.push('failing');
      throw new Error('The window is gone.');
    });
    await service.on('close', () => heard.push('close'));
    await service.add_point_prompts([[10, 12]]);
    assert.ok(heard.includes('state'));
    assert.equal(await service.off(states), true);
    heard.length = 0;
    await service.commit();
    await service.add_point_prompts([[30, 40]]);
    await service.commit();
    await service.close();
    assert.deepEqual(heard, ['commit 1', 'failing', 'commit 1,2', 'close']);
  });

  it('opens images of every dtype, as ImJoy calls its run function too', async () => {
    for (const dtype of ['uint8', 'bool', 'int64', 'float64']) {
      const { service } = made();
      await service.run({ data: { image: image(20, 30, dtype), name: 'from imjoy' } });
      assert.deepEqual((await service.get_state()).image?.shape, [20, 30], dtype);
    }
  });

  describe('over imjoy-rpc', () => {
    let close = () => {};
    afterEach(() => close());

    async function remote() {
      const { service, session } = made();
      const { port1, port2 } = new MessageChannel();
      close = () => {
        port1.close();
        port2.close();
      };
      void rpcPeer(port2, service, 'plugin');
      return { api: await rpcPeer(port1, {}, 'script'), session };
    }

    it('arrays, results and error codes arrive', async () => {
      const { api } = await remote();
      const failed = await api.commit().catch(decodeError);
      assert.equal((failed as { code: string }).code, 'no_image');
      assert.match((failed as Error).message, /^Open an image first/);
      await api.open_image(image(), { name: 'sent' });
      await api.add_point_prompts([[10, 12]], { labels: [1] });
      assert.deepEqual(await api.commit(), { added: [1], dropped: [], overwritten: [] });
      const labels = fromRpcArray(await api.get_layer('committed_objects'));
      assert.equal(labels.data[10 * 60 + 12], 1);
    });

    it('a subscribed interface hears every change', async () => {
      const { api } = await remote();
      await api.open_image(image());
      const heard: number[][] = [];
      await api.on('commit', { _rintf: true, commit: ({ ids }: { ids: number[] }) => void heard.push([...ids]) });
      for (const x of [10, 30, 50]) {
        await api.add_point_prompts([[10, x]]);
        await api.commit();
      }
      const deadline = Date.now() + 5000;
      while (heard.length < 3 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.deepEqual(heard, [[1], [1, 2], [1, 2, 3]]);
    });
  });
});
