import assert from 'node:assert/strict';
import { readCtc, tracksToLineages } from '../../src/io/results/ctc.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { createService, type MicroSamService } from '../../src/service/service.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';

/** Tracks over RPC, on labels whose family is known: 1 divides into 2 and 3 in frame 2; 9 stays alone. */
describe('service: volumes and tracks', () => {
  const SHAPE = [4, 20, 30];
  const labels: LabelImage = { data: new Uint32Array(4 * 20 * 30), shape: SHAPE };
  const fill = (frame: number, id: number, y: number, x: number) => {
    for (let dy = 0; dy < 4; dy++)
      labels.data.fill(id, (frame * 20 + y + dy) * 30 + x, (frame * 20 + y + dy) * 30 + x + 5);
  };
  for (let frame = 0; frame < 4; frame++) {
    fill(frame, 9, 14, 20);
    if (frame < 2) fill(frame, 1, 6, 5 + frame);
    else
      for (const [id, y] of [
        [2, 1],
        [3, 9],
      ] as const)
        fill(frame, id, y, 5 + frame);
  }
  const FAMILIES = [{ 1: [2, 3], 2: [], 3: [] }, { 9: [] }];

  function opened(): MicroSamService {
    const session = new AnnotationSession();
    session.open(
      { name: 'cells.tif', axes: 'tyx', size: [20, 30], planes: 4, signature: 's' },
      new DiscAnnotator([20, 30], 3),
    );
    return createService({ session, openImage: async () => undefined });
  }
  const rpc = ({ data, shape }: LabelImage) => ({
    _rtype: 'ndarray',
    _rvalue: data.buffer as ArrayBuffer,
    _rshape: [...shape],
    _rdtype: 'uint32',
  });
  const load = async () => {
    const service = opened();
    await service.set_committed_tracks(rpc(labels), FAMILIES);
    return service;
  };

  it('what is refused changes neither track nor settings, and leaves what there is to undo and to do again', async () => {
    const service = await load();
    await service.set_settings({ batched: true });
    await service.set_settings({ preserve_mode: 'pixels' });
    await service.undo();
    const { message: _, ...before } = await service.get_state();
    const wrong = [
      () => service.track_object({ id: 9, iou_threshold: 0.9 }),
      () => service.track_object({ id: 77 }),
      () => service.segment_object({ batched: false }),
      () => service.segment_all_slices({ projection: 'box' }),
    ];
    for (const call of wrong) {
      await assert.rejects(call());
      const { message: __, ...after } = await service.get_state();
      assert.deepEqual(after, before);
    }
    await service.redo();
    assert.equal((await service.get_settings()).preserve_mode, 'pixels');
  });

  it('a tracking result is loaded, told, and exported for the Cell Tracking Challenge unchanged', async () => {
    const service = await load();
    assert.deepEqual(await service.get_lineages(), FAMILIES);
    const tracks = await service.get_tracks('committed_objects');
    assert.deepEqual(
      tracks.map(({ id, first, last, mother }) => [id, first, last, mother]),
      [
        [1, 0, 1, null],
        [2, 2, 3, 1],
        [3, 2, 3, 1],
        [9, 0, 3, null],
      ],
    );
    const files = await service.export('ctc');
    const read = await readCtc(files);
    assert.deepEqual([...read.labels.data], [...labels.data]);
    assert.deepEqual(tracksToLineages(read.tracks), FAMILIES);
  });

  it('what is exported is loaded again, and what are no tracks is refused', async () => {
    const files = await (await load()).export('ctc');
    const service = opened();
    const tracks = await service.load_tracks(files.map(({ name, bytes }) => ({ name, bytes: bytes.slice().buffer })));
    assert.deepEqual(
      tracks.map(({ id, mother }) => [id, mother]),
      [
        [1, null],
        [2, 1],
        [3, 1],
        [9, null],
      ],
    );
    assert.deepEqual(await service.get_lineages(), FAMILIES);
    const bytes = new Uint8Array(4);
    await assert.rejects(
      service.load_tracks([{ name: 'cells.tif', bytes }]),
      /invalid_argument: cells.tif is no tracks/,
    );
    await assert.rejects(service.load_tracks([{ name: 'res_track.txt', bytes }]), /invalid_image: /);
    await assert.rejects(service.load_tracks([{ name: 'a', data: 1 }]), /invalid_argument: load_tracks, files/);
    assert.deepEqual(await service.get_lineages(), FAMILIES, 'nothing was lost');
  });

  it('tracks are edited, and undone', async () => {
    const service = await load();
    const layer = 'committed_objects';
    await service.split_track({ id: 9, frame: 1, layer });
    await service.unlink_track({ daughter: 3, layer });
    assert.deepEqual(await service.get_lineages(), [{ 1: [2], 2: [] }, { 3: [] }, { 9: [] }, { 10: [] }]);
    await service.delete_track({ id: 1, layer });
    assert.deepEqual(await service.get_lineages(), [{ 2: [] }, { 3: [] }, { 9: [] }, { 10: [] }]);
    for (let i = 0; i < 3; i++) await service.undo();
    assert.deepEqual(await service.get_lineages(), FAMILIES);
  });

  it('prompts belong to the current track', async () => {
    const service = opened();
    await service.set_settings({ auto_segment: false, track_state: 'division', iou_threshold: 0.4 });
    assert.equal((await service.get_settings()).iou_threshold, 0.4);
    assert.equal(await service.new_track(), 2);
    await service.add_point_prompts([[5, 5]]);
    assert.deepEqual((await service.get_prompts())[0].track, { id: 2, state: 'division' });
    assert.deepEqual(
      (await service.get_tracks()).map(({ id, prompts }) => [id, prompts]),
      [[2, 1]],
    );
    await assert.rejects(service.set_track(7), /no track 7/);
    await assert.rejects(service.track_object(), /works on single planes/);
    await assert.rejects(service.set_settings({ projection: 'guess' }), /projection/);
  });
});
