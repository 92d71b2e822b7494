import assert from 'node:assert/strict';
import { arrayImage, committedLabels, discService, openedService } from '../support/disc-service.js';

const NAMES = [
  'accept_automatic',
  'add_box_prompts',
  'add_ellipse_prompts',
  'add_point_prompts',
  'add_polygon_prompts',
  'add_scribble_prompts',
  'annotator_2d',
  'annotator_3d',
  'annotator_tracking',
  'automatic_instance_segmentation',
  'automatic_segmentation',
  'cancel',
  'choose_candidate',
  'clear_annotations',
  'clear_prompts',
  'close',
  'commit',
  'compute_embeddings',
  'connect_worker',
  'delete_model',
  'delete_object',
  'delete_track',
  'describe_objects',
  'divide_track',
  'estimate_automatic',
  'evaluate',
  'export',
  'export_session',
  'fill_object_holes',
  'get_info',
  'get_layer',
  'get_lineages',
  'get_model_names',
  'get_prompts',
  'get_series',
  'get_settings',
  'get_state',
  'get_tracks',
  'get_training',
  'go_to_image',
  'grow_objects',
  'image_series_annotator',
  'import_model',
  'import_session',
  'link_tracks',
  'list_models',
  'load_model',
  'load_objects',
  'load_tracks',
  'merge_objects',
  'merge_tracks',
  'new_track',
  'next_image',
  'next_plane',
  'off',
  'on',
  'open_image',
  'open_series',
  'paint',
  'pause_training',
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
  'segment_from_box',
  'segment_from_box_and_points',
  'segment_from_mask',
  'segment_from_points',
  'segment_object',
  'segment_series',
  'select_objects',
  'set_automatic_thresholds',
  'set_committed_objects',
  'set_committed_tracks',
  'set_image_settings',
  'set_plane',
  'set_recording_view',
  'set_settings',
  'set_track',
  'setup',
  'shrink_objects',
  'smooth_objects',
  'split_object',
  'split_track',
  'swap_tracks',
  'track_object',
  'train_sam',
  'undo',
  'unlink_track',
];

describe('service', () => {
  it('exports these functions', () => {
    assert.deepEqual(Object.keys(discService().service).sort(), NAMES);
  });

  it('does the whole 2D story', async () => {
    const { service } = await openedService();
    const ids = await service.add_point_prompts([[10, 12]]);
    assert.equal(ids.length, 1);
    assert.deepEqual(await service.commit(), { added: [1], dropped: [], overwritten: [] });
    await service.add_box_prompts([[20, 30, 35, 50]]);
    await service.commit();
    const labels = await committedLabels(service);
    assert.deepEqual(labels.shape, [40, 60]);
    assert.equal(labels.data[10 * 60 + 12], 1);
    assert.equal(labels.data.filter((id) => id === 2).length, 15 * 20);
    await service.undo();
    assert.equal((await committedLabels(service)).data.filter((id) => id === 2).length, 0);
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

  it('splits, merges and reshapes committed objects', async () => {
    const { service } = await openedService();
    await service.add_box_prompts([[10, 10, 20, 40]]);
    await service.commit();
    const area = async () => (await service.get_state()).layers.committed_objects.objects.map(({ area }) => area);
    assert.deepEqual(
      await service.split_object(1, {
        line: [
          [5, 25],
          [25, 25],
        ],
      }),
      [1, 2],
    );
    assert.equal(
      (await area()).reduce((a, b) => a + b),
      300,
    );
    await service.merge_objects([1, 2]);
    assert.deepEqual(await area(), [300]);
    assert.deepEqual(
      await service.split_object(1, {
        points: [
          [15, 12],
          [15, 38],
        ],
      }),
      [1, 2],
    );
    await service.merge_objects([2, 1]);
    await service.grow_objects([1], 1);
    assert.deepEqual(await area(), [300 + 2 * (10 + 30)]);
    await service.shrink_objects([1], 1);
    await service.smooth_objects([1]);
    await service.fill_object_holes([1]);
    await service.select_objects([1]);
    await assert.rejects(service.split_object(1, { line: [[1, 1]] }), /two positions or more/);
    await assert.rejects(service.merge_objects([1, 9]), { code: 'not_found' });
  });

  it('takes a scribble as points along it', async () => {
    const { service } = await openedService();
    const stroke = [
      [10, 10],
      [10, 30],
    ];
    const ids = await service.add_scribble_prompts([stroke, [[30, 50]]], [1, 0]);
    const labels = (await service.get_prompts()).map((prompt) => 'label' in prompt && prompt.label);
    assert.deepEqual([ids.length, labels], [5, [1, 1, 1, 1, 0]]);
  });

  it('prompts that come after those of a saved session take no place of theirs', async () => {
    const { service: before } = await openedService();
    await before.set_settings({ auto_segment: false });
    await before.add_point_prompts([[10, 10]]);
    const saved = await before.export_session();
    const { service } = await openedService();
    await service.import_session(saved);
    await service.set_settings({ auto_segment: true });
    await service.add_point_prompts([
      [10, 10],
      [20, 20],
    ]);
    const prompts = await service.get_prompts();
    assert.equal(prompts.length, 3);
    assert.equal(new Set(prompts.map(({ id }) => id)).size, 3);
    assert.equal((await service.get_state()).layers.current_object.count, 1);
  });

  it('takes an ellipse by its box', async () => {
    const { service } = await openedService();
    await service.add_ellipse_prompts([[10, 10, 30, 50]], { plane: 0 });
    const [prompt] = await service.get_prompts();
    assert.equal(prompt.kind, 'ellipse');
    const { objects } = (await service.get_state()).layers.current_object;
    assert.ok(Math.abs(objects[0].area - Math.PI * 10 * 20) < 25, `${objects[0].area} px`);
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
      const { service } = await openedService();
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
    const { service } = await openedService();
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
      [
        service.add_point_prompts([[1, 1]], { track: 1 }),
        /^invalid_argument: `track` is not an argument of add_point_prompts; did you mean `track_id`\? It takes points, labels, plane, track_id, state\.$/,
      ],
      [service.add_point_prompts([[1, 1]], { point_labels: [1] }), /did you mean `labels`/],
      [service.add_point_prompts([[1, 1]], { zzz: 1 }), /`zzz` is not an argument of add_point_prompts; it takes/],
      [service.undo({ steps: 2 }), /`steps` is not an argument of undo; it takes none/],
      [service.add_point_prompts([[1, 1]], { plane: 'first' }), /plane: expected a number, got "first"\.$/],
      [service.add_point_prompts([[1, 1]], { plane: -1 }), /plane: expected at least 0, got -1/],
      [service.add_point_prompts([[1, 1]], { plane: 0.5 }), /plane: expected a whole number, got 0\.5/],
      [service.add_point_prompts([[1, 1]], { track_id: 2 }), /Only a time series has tracks/],
      [service.set_plane(), /set_plane, plane: is missing/],
      [service.set_settings({ tool: 'lasso' }), /tool: expected "point" or .*, got "lasso"/],
      [service.set_image_settings({ tile_shape: [1, 1] }), /Tiles of 1 x 1 px are too small .*at least 64 px/],
      [service.set_image_settings({ tile_shape: 512 }), /tile_shape: expected \[y, x\] in pixels/],
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
      [service.set_committed_objects(arrayImage(40, 61)), /shape \[40,61\]; the image has \[40,60\]/],
      [service.open_image(), /open_image, image/],
      [service.open_image({ ...arrayImage(), _rshape: [40, 61] }), /^invalid_image: .*do not fill its shape/],
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
    const { service } = discService();
    for (const call of [
      service.add_point_prompts([[1, 1]]),
      service.commit(),
      service.get_layer(),
      service.preview_commit(),
    ])
      await assert.rejects(call, { code: 'no_image' });
  });

  it('tells subscribers, until they leave or fail', async () => {
    const { service } = await openedService();
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

  it('takes arrays wherever lists of numbers are asked for, also inside of lists', async () => {
    const { service } = await openedService();
    const int64 = (values: readonly number[], shape: readonly number[] = [values.length]) => ({
      _rtype: 'ndarray',
      _rvalue: BigInt64Array.from(values, BigInt).buffer,
      _rshape: shape,
      _rdtype: 'int64',
    });
    const scalar = (value: number) => int64([value], []);
    const ids = await service.add_point_prompts([int64([5, 6]), [scalar(7), 8]], { labels: [scalar(1), scalar(0)] });
    assert.equal(ids.length, 2);
    assert.deepEqual(
      (await service.get_prompts()).map((prompt) => (prompt as { at?: unknown }).at),
      [
        [5, 6],
        [7, 8],
      ],
    );
    await service.commit();
    await service.select_objects(int64([1]));
    assert.equal((await service.add_polygon_prompts([int64([2, 2, 9, 2, 9, 9], [3, 2])])).length, 1);
    await assert.rejects(service.add_point_prompts([int64([5, 6, 7])]), /points\.0: expected \[y, x\]/);
  });

  it('takes negative shapes as negative points inside of them, and refuses labels that are not as many', async () => {
    const { service } = discService();
    await service.open_image(arrayImage(40, 40, 'uint8'), { name: 'image' });
    const square = [
      [4, 4],
      [4, 16],
      [16, 16],
      [16, 4],
    ];
    const [positive, ...negative] = await service.add_polygon_prompts([square, square], [1, 0]);
    const within = await service.add_ellipse_prompts([[20, 20, 36, 36]], { labels: [0] });
    assert.ok(negative.length > 0 && within.length > 0);
    const prompts = (await service.get_prompts()) as { id: string; kind: string; label?: number; at?: number[] }[];
    assert.equal(prompts.find(({ id }) => id === positive)?.kind, 'polygon');
    for (const { id, kind, label, at = [] } of prompts.filter((prompt) => prompt.id !== positive)) {
      const [low, high] = negative.includes(id) ? [4, 16] : [20, 36];
      assert.ok(kind === 'point' && label === 0 && at.every((place) => place > low && place < high), `${id} at ${at}`);
    }
    await assert.rejects(service.add_polygon_prompts([square], [1, 0]), /1 polygons but 2 labels/);
  });

  it('opens images of every dtype, as ImJoy calls its run function too', async () => {
    for (const dtype of ['uint8', 'bool', 'int64', 'float64']) {
      const { service } = discService();
      await service.run({ data: { image: arrayImage(20, 30, dtype), name: 'from imjoy' } });
      assert.deepEqual((await service.get_state()).image?.shape, [20, 30], dtype);
    }
  });
});
