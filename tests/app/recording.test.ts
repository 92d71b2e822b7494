import assert from 'node:assert/strict';
import { recordingChoices } from '../../plugin/app/recording-choices.js';
import { Workspace } from '../../src/app/workspace.js';
import { openImage } from '../../src/io/open.js';
import type { RecordingView } from '../../src/io/recording.js';
import { exportLabels } from '../../src/io/results/export.js';
import { exportRecording } from '../../src/io/results/export-recording.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { setCommittedObjects } from '../../src/session/edits/edits.js';
import { setFacts } from '../../src/session/edits/facts.js';
import { labelExport } from '../../src/session/label-export.js';
import { recordsFromLabels } from '../../src/session/layers.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/** Recordings with time and depth, from opening to files; nothing here asks the model for a mask. */
describe('annotating a recording with time and depth', function () {
  this.timeout(60_000);
  // Nothing is asked for that needs an embedding; one that is never there costs nothing.
  const worker = {
    load: async () => {},
    encode: () => new Promise(() => {}),
    close: async () => {},
  } as unknown as SamWorker;
  const [TIMES, SLICES, HEIGHT, WIDTH] = [3, 5, 8, 10];
  const data = Uint16Array.from({ length: TIMES * SLICES * HEIGHT * WIDTH }, (_, i) => (i * 37) % 4001);
  const input = { data, shape: [TIMES, SLICES, HEIGHT, WIDTH], axes: 'tzyx', name: 'embryo.tif' };

  async function sitting(store = memoryStore()) {
    const lease = async () => ({ held: true, take: async () => {}, release: async () => {} });
    const workspace = new Workspace(Promise.resolve({ worker, store, lease }));
    await workspace.open(input, { name: 'embryo.tif' });
    return { workspace, store, session: workspace.session };
  }

  /** A label image with one object of a pixel in plane 0. */
  const objects = (planes: number, id: number) => {
    const labels = new Uint32Array(planes * HEIGHT * WIDTH);
    labels[id] = id;
    return setCommittedObjects(recordsFromLabels({ data: labels, shape: [planes, HEIGHT, WIDTH] }), 'Load');
  };
  const ids = ({ session }: Workspace) => [...session.state.layers.committed_objects.objects.keys()];

  it('opens as the volume of the first time point, at its middle slice', async () => {
    const { workspace, session } = await sitting();
    const { image, plane } = session.state;
    assert.deepEqual([image?.axes, image?.planes, plane], ['zyx', SLICES, 2]);
    assert.deepEqual(image?.recording, { times: TIMES, slices: SLICES, view: { as: 'volume', t: 0 } });
    await workspace.close();
  });

  it('each part has work of its own, which is there again; along time one stays in the slice', async () => {
    const { workspace, session, store } = await sitting();
    session.apply(objects(SLICES, 1));
    await session.run('set_plane', { plane: 4 });
    await workspace.chooseView({ as: 'volume', t: 1 });
    assert.deepEqual([session.state.plane, ids(workspace)], [4, []]);
    assert.equal(session.state.history.undo, undefined);
    session.apply(objects(SLICES, 2));
    await workspace.chooseView({ as: 'slice', z: 3 });
    assert.deepEqual([session.state.image?.axes, session.state.image?.planes], ['tyx', TIMES]);
    session.apply(objects(TIMES, 3));
    await workspace.chooseView({ as: 'projection' });
    session.apply(objects(TIMES, 4));
    await workspace.chooseView({ as: 'volume', t: 0 });
    assert.deepEqual(ids(workspace), [1]);
    await workspace.close();
    const again = await sitting(store);
    const found: number[][] = [];
    const views: RecordingView[] = [
      { as: 'volume', t: 1 },
      { as: 'slice', z: 3 },
      { as: 'projection' },
      { as: 'slice', z: 0 },
    ];
    for (const view of views) {
      await again.workspace.chooseView(view);
      found.push(ids(again.workspace));
    }
    assert.deepEqual(found, [[2], [3], [4], []]);
    await assert.rejects(
      again.workspace.chooseView({ as: 'volume', t: 3 }),
      /no time point 3: the recording has 0 to 2/,
    );
    await assert.rejects(again.workspace.chooseView({ as: 'slice', z: -1 }), /no slice -1/);
    assert.deepEqual(session.state.image, undefined);
    await again.workspace.close();
  });

  it('is taken another way from the place where one is, however long the choice has been shown', async () => {
    const { workspace, session } = await sitting();
    const chosen: RecordingView[] = [];
    const shown = () => recordingChoices(workspace, (view) => chosen.push(view))[0];
    const asVolume = shown();
    await session.run('set_plane', { plane: 4 });
    asVolume.choose('slice');
    await workspace.chooseView({ as: 'volume', t: 2 });
    await session.run('set_plane', { plane: 1 });
    asVolume.choose('slice');
    await workspace.chooseView({ as: 'projection' });
    const asProjection = shown();
    await session.run('set_plane', { plane: 1 });
    asProjection.choose('volume');
    assert.deepEqual(chosen, [
      { as: 'slice', z: 4 },
      { as: 'slice', z: 1 },
      { as: 'volume', t: 1 },
    ]);
    await workspace.close();
  });

  it('reads its pixels from its place in the recording, or the brightest over depth', async () => {
    const { workspace } = await sitting();
    const at = (t: number, z: number) => data[((t * SLICES + z) * HEIGHT + 2) * WIDTH + 3];
    const pixel = async (plane: number) => {
      const { source } = workspace;
      const region = source!.sizes.z > 1 ? { z: plane } : { t: plane };
      return (await source!.readRegion({ ...region, box: [2, 3, 3, 4] })).data[0];
    };
    await workspace.chooseView({ as: 'volume', t: 2 });
    assert.deepEqual([await pixel(0), await pixel(4)], [at(2, 0), at(2, 4)]);
    await workspace.chooseView({ as: 'slice', z: 3 });
    assert.deepEqual([await pixel(0), await pixel(2)], [at(0, 3), at(2, 3)]);
    await workspace.chooseView({ as: 'projection' });
    assert.equal(await pixel(1), Math.max(...[0, 1, 2, 3, 4].map((z) => at(1, z))));
    await workspace.close();
  });

  it('files know where they lie in time and depth', async () => {
    const { workspace, session } = await sitting();
    const files = async (format: 'tiff' | 'ome-tiff' | 'csv' | 'ome-zarr') =>
      exportLabels(format, labelExport(session.state, workspace.source));
    await workspace.chooseView({ as: 'volume', t: 2 });
    session.apply(objects(SLICES, 7));
    for (const format of ['tiff', 'ome-tiff'] as const) {
      const [{ name, bytes }] = await files(format);
      assert.match(name, /^embryo_t0002_labels\.(ome\.)?tif$/);
      const { axes, sizes } = await openImage(bytes, { name });
      assert.deepEqual([axes.endsWith('zyx'), sizes.t, sizes.z], [true, 1, SLICES]);
    }
    const [table] = await files('csv');
    const [head, row] = new TextDecoder().decode(table.bytes).split('\r\n');
    assert.match(head, /^label,t,/);
    assert.match(row, /^7,2,/);
    const zarr = await files('ome-zarr');
    const metadata = JSON.parse(
      new TextDecoder().decode(zarr.find(({ name }) => name.endsWith('ome.zarr/zarr.json'))!.bytes),
    );
    const [{ axes, datasets }] = metadata.attributes.ome.multiscales;
    assert.deepEqual(
      axes.map(({ name }: { name: string }) => name),
      ['t', 'z', 'y', 'x'],
    );
    assert.deepEqual(datasets[0].coordinateTransformations[1], { type: 'translation', translation: [2, 0, 0, 0] });
    await workspace.chooseView({ as: 'slice', z: 3 });
    session.apply(objects(TIMES, 5));
    const [series] = await files('csv');
    assert.match(new TextDecoder().decode(series.bytes), /^label,z,frame,.*\r\n5,3,0,/);
    const [{ name, bytes }] = await files('ome-tiff');
    assert.equal(name, 'embryo_z0003_labels.ome.tif');
    assert.deepEqual((await openImage(bytes, { name })).sizes.t, TIMES);
    await workspace.close();
  });

  it('writes all time points to one file: the open one as it is, the others as they were saved', async () => {
    const { workspace, session } = await sitting();
    session.apply(objects(SLICES, 7));
    await workspace.chooseView({ as: 'volume', t: 2 });
    session.apply(objects(SLICES, 4));
    session.apply(setFacts({ comment: 'dim' }, { layer: 'committed_objects', ids: [4] }));
    const recording = (await workspace.wholeRecording())!;
    const expected = new Uint32Array(data.length);
    expected[7] = 7;
    expected[2 * SLICES * HEIGHT * WIDTH + 4] = 4;
    for (const format of ['tiff', 'ome-tiff'] as const) {
      const [{ name, bytes }] = await exportRecording(format, recording);
      assert.match(name, /^embryo_all_labels\.(ome\.)?tif$/);
      const { sizes, readRegion } = await openImage(bytes, { name });
      assert.deepEqual([sizes.t, sizes.z], [TIMES, SLICES]);
      const volumes = [0, 1, 2].flatMap((t) => [0, 1, 2, 3, 4].map((z) => readRegion({ t, z })));
      const planes = (await Promise.all(volumes)).flatMap((plane) => [...plane.data]);
      assert.deepEqual(Uint32Array.from(planes), expected);
    }
    const [table] = await exportRecording('csv', recording);
    const rows = new TextDecoder().decode(table.bytes).trim().split('\r\n');
    assert.deepEqual(
      rows.map((row) => row.split(',').slice(0, 2)),
      [
        ['label', 't'],
        ['7', '0'],
        ['4', '2'],
      ],
    );
    assert.match(rows[2], /dim/);
    const store = memoryStore();
    for (const { name, bytes } of await exportRecording('ome-zarr', recording))
      await store.set(name.replace('embryo_all_labels.ome.zarr/', ''), bytes);
    const zarr = await openImage(store, { name: 'all.ome.zarr' });
    assert.deepEqual([zarr.sizes.t, zarr.sizes.z], [TIMES, SLICES]);
    assert.equal((await zarr.readRegion({ t: 2, z: 0 })).data[4], 4);
    await assert.rejects(exportRecording('png' as 'csv', recording), /holds one time point/);
    await workspace.chooseView({ as: 'projection' });
    assert.equal(await workspace.wholeRecording(), undefined);
    await workspace.close();
  });
});
